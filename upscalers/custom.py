"""A person's own model files as upscalers: added, listed and removed like the others.

    from upscalers import custom
    spec = custom.add(Path("4x-Lively.pth"), name="Lively", aim="vivid")
    custom.remove(spec.id)

A file is checked in a process of its own (`upscalers.model_check`) before it is kept. All processes share the models of one
`UPSCALE_BENCH_HOME`: the registry of each sees what another adds or removes.
"""

import datetime
import functools
import logging
import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from filelock import Timeout

from core.errors import UsageError, WeightsError
from core.image import RGB8
from core.settings import settings
from core.weights import AddedSource, WeightFile
from runtimes.base import NetworkSource
from runtimes.speed import REFERENCE_GFLOPS
from runtimes.tiling import Tiling
from upscalers import custom_store
from upscalers.base import NetworkUpscaler, enlarge_rgb
from upscalers.custom_store import AddedModel, Fingerprint, fingerprint
from upscalers.luma import enlarge_luma
from upscalers.model_facts import ModelFacts
from upscalers.model_rules import MAX_BYTES, exceeds_limits, is_damaged, one_line
from upscalers.network_code import code_version
from upscalers.parameters import OptionValue
from upscalers.spec import Aim, UpscalerSpec

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

MOST_PADDING_PX = 4
"""By more, the padding of a long tile can take more memory than its shape saves."""

__all__ = ["AddedUpscaler", "Fingerprint", "add", "facts_of", "fingerprint", "is_added", "remove", "specs"]

MAX_NAME_CHARACTERS = 60
MAX_FILE_NAME_CHARACTERS = 120
PER_SIZE = ("DAT",)
"""Architectures that are compiled for each size of their input, see `runtimes.base.NetworkSource.compile_per_size`."""
PUNCTUATION = " .,+-_()'&@"
"""What names may have beside letters and digits: nothing that a page could take for a link, a picture or a colour."""


class AddedUpscaler(NetworkUpscaler):
    """A network from a file that a person added."""

    def __init__(self, spec: UpscalerSpec, scale: float, options: Mapping[str, OptionValue], *, facts: ModelFacts) -> None:
        super().__init__(spec, scale, options)
        self._facts = facts

    def _source(self) -> NetworkSource:
        weights = self.weights[0]
        if self._facts.format == "onnx":
            return NetworkSource(key=weights.sha256, onnx=weights.path)
        return NetworkSource(
            key=weights.sha256,
            module=self._module,
            code=code_version(),
            channels=self._facts.channels,
            compile_per_size=self._facts.architecture in PER_SIZE,
        )

    def _module(self) -> "torch.nn.Module":
        from upscalers.spandrel_files import as_module, open_network

        network = open_network(self.weights[0].path)
        found = (network.architecture.name, network.scale, network.input_channels)
        if found != (self._facts.architecture, self._facts.scale, self._facts.channels):
            # The bytes are the same: another version of spandrel reads them differently.
            raise WeightsError(f"{self.spec.name} is now read as {found[0]} x{found[1]}: remove {self.spec.id} and add its file again.")
        return as_module(network)

    def _forward(self, tile: RGB8, seed: int | None) -> RGB8:
        enlarge = enlarge_luma if self._facts.channels == 1 else enlarge_rgb
        return enlarge(tile, self.session.run)


def add(
    path: Path,
    *,
    name: str | None = None,
    file_name: str | None = None,
    aim: Aim = "faithful",
    cancelled: Callable[[], bool] | None = None,
) -> UpscalerSpec:
    """Check a model file and keep a copy of it as an upscaler. Takes some seconds; safe to call in any thread and process.

    Parameters
    ----------
    path:
        A `.pth`, `.pt`, `.ckpt`, `.safetensors` or `.onnx` file. It is only read.
    name:
        Name for people; the id is made from it. By default that of the file.
    file_name:
        What the person's file is called, where `path` is a copy under another name, such as an upload. Its ending decides how the
        file is read.
    aim:
        Among which upscalers its scores are compared; a file does not tell what it was trained for.
    cancelled:
        Asked about twenty times a second; once it says True the call ends within a moment.

    Returns
    -------
    The upscaler; `upscalers.registry()` has it in every process from now on.

    Raises
    ------
    core.errors.UsageError
        There is no such file, the name is taken or no name, the same bytes are here already, or the disk refuses.
    core.errors.ModelFileError
        The file can't be used; one line says why. Nothing was kept.
    core.errors.CheckCancelledError
        `cancelled` said True. Nothing was kept.
    """
    # It is also started as a program, `python -m`, which must not find itself imported.
    from upscalers.model_check import check_model_file, check_name

    given_name = _cleaned(Path(file_name or path.name).name, MAX_FILE_NAME_CHARACTERS)
    check_name(file_name or path.name)
    title = _checked_name(name) if name is not None else _cleaned(Path(file_name or path.name).stem, MAX_NAME_CHARACTERS)
    if aim not in get_args(Aim):
        raise UsageError(f"The aim of a model is {' or '.join(get_args(Aim))}; got {one_line(aim)!r}.")
    if not path.is_file():
        raise UsageError(f"There is no file {given_name!r}.")
    stored_name = f"model{Path(file_name or path.name).suffix.lower()}"
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_BYTES:
            raise exceeds_limits(f"the file has {size_bytes / 1e9:.1f} GB; {MAX_BYTES / 1e9:.1f} GB are allowed")
        with custom_store.draft() as folder:
            sha256 = custom_store.copy_file(path, folder / stored_name, cancelled or (lambda: False))
            model_id = _id(title, sha256)
            custom_store.check_is_new(model_id, title, sha256)
            facts = check_model_file(folder / stored_name, cancelled=cancelled)
            if facts.sha256 != sha256:
                raise is_damaged("its bytes changed while it was checked")
            model = AddedModel(
                name=title,
                aim=aim,
                file_name=given_name,
                added_at=datetime.datetime.now(datetime.UTC).isoformat(),
                stored_name=stored_name,
                sha256=sha256,
                facts=facts,
            )
            custom_store.publish(folder, model_id, model)
    except Timeout as error:
        raise UsageError("Another process is adding models: try again in a moment.") from error
    except OSError as error:
        raise UsageError(f"{given_name!r} can't be stored in {settings().models}: {error.strerror or error}.") from error
    return _spec(model_id, model)


def remove(model_id: str) -> None:
    """Delete an added model and its file. Stored comparisons keep its results.

    Raises
    ------
    core.errors.UsageError
        No added model has this id, or the disk refuses.
    """
    try:
        deleted = custom_store.delete(model_id)
    except OSError as error:
        raise UsageError(f"{model_id} can't be deleted from {settings().models}: {error.strerror or error}.") from error
    if not deleted:
        raise UsageError(f"{one_line(model_id)!r} is no model that was added: `upscale-bench upscalers` lists all ids.")


def is_added(upscaler_id: str) -> bool:
    """Whether this is the id of an added model, be it whole or damaged."""
    return custom_store.is_added(upscaler_id)


def specs() -> tuple[UpscalerSpec, ...]:
    """The added models, the oldest first, as they are now. Reads all their records: `upscalers.registry` has them at hand."""
    found = []
    for model_id, model in custom_store.read_all().items():
        try:
            found.append(_spec(model_id, model))
        except ValueError as error:
            log.warning("%s is left out: its facts do not fit together (%s).", model_id, error)
    return tuple(found)


def facts_of(spec: UpscalerSpec) -> ModelFacts | None:
    """What the check of its file found; None for an upscaler that nobody added, or that was removed meanwhile."""
    model = custom_store.read_all().get(spec.id)
    return model.facts if model else None


def _spec(model_id: str, model: AddedModel) -> UpscalerSpec:
    """Raises `ValueError` when the facts do not fit together."""
    facts = model.facts
    file = WeightFile(name=f"{model_id}/{model.stored_name}", source=AddedSource(), sha256=model.sha256, size_bytes=facts.size_bytes)
    strict, compiled_per_size = facts.fixed_side_px is not None, facts.architecture in PER_SIZE
    padded = max(facts.multiple_of_px, facts.min_side_px) > MOST_PADDING_PX
    # What a tile of a fixed size costs is paid for its core only.
    useful_px = (facts.tile_px - 2 * facts.overlap_px) ** 2 if strict else facts.sample_px
    return UpscalerSpec(
        id=model_id,
        name=model.name,
        group="Custom",
        summary=" ".join([f"Your own {facts.architecture} model, from {model.file_name}.", *facts.notes()]),
        aim=model.aim,
        scales=(facts.scale,),
        runtimes=("openvino",) if facts.format == "onnx" else ("openvino", "torch"),
        license="unknown",
        reference="",
        weights={facts.scale: (file,)},
        tiling={facts.scale: Tiling(facts.tile_px, facts.overlap_px, strict=strict, even=compiled_per_size, square=padded)},
        min_side_px=facts.min_side_px,
        multiple_of_px=facts.multiple_of_px,
        parameter_count={facts.scale: facts.parameters},
        seconds_per_mp={facts.scale: facts.sample_s / useful_px * 1e6 * facts.sample_gflops / REFERENCE_GFLOPS},
        speedup={} if facts.format == "onnx" else {"openvino": 2.5 if facts.architecture in PER_SIZE else 1.15},
        build=functools.partial(AddedUpscaler, facts=facts),
    )


def _checked_name(name: str) -> str:
    plain = " ".join(name.split())
    if not plain or len(plain) > MAX_NAME_CHARACTERS or not all(map(_is_plain, plain)):
        raise UsageError(
            f"A name has 1 to {MAX_NAME_CHARACTERS} letters, digits, spaces or any of {PUNCTUATION[1:]}; got {one_line(name)!r}."
        )
    return plain


def _cleaned(text: str, most_characters: int) -> str:
    """The beginning of a text, as far as names may have its characters."""
    plain = "".join(character if _is_plain(character) else " " for character in text)
    return " ".join(plain.split())[:most_characters].strip() or "model"


def _is_plain(character: str) -> bool:
    """Whether it is a letter or digit of any script (marks belong to letters), or allowed punctuation."""
    return character in PUNCTUATION or unicodedata.category(character)[0] in "LMN"


def _id(name: str, sha256: str) -> str:
    """The id: Latin letters and digits of the name, without accents; of a name without any, the beginning of the file's hash."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return f"custom-{re.sub(r'[^a-z0-9]+', '-', plain).strip('-') or sha256[:8]}"
