"""What a file written by `torch.save` asks for, found out before anything of it is built.

A pickle is a small program. Here it runs with stand-ins: a tensor becomes a note of its size, and a name that does not belong to
plain tensors ends the reading. So neither code is run nor memory taken, however large the tensors claim to be. The formats are
described at https://docs.pytorch.org/docs/stable/notes/serialization.html and in `torch/serialization.py`.
"""

import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

from core.errors import ModelFileError
from upscalers.model_rules import MAX_BYTES, MAX_TENSORS, exceeds_limits, has_code, is_damaged, is_unknown

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""The first of the pickles that make up a file of PyTorch before 1.6."""
MAX_PICKLE_BYTES = 16 * 1024**2
"""20,000 tensors with long names need less than a quarter of it."""
MAX_ENTRIES = 2 * MAX_TENSORS
ITEM_BYTES = {
    "Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1, "Bool": 1,
    "ComplexFloat": 8, "ComplexDouble": 16, "Untyped": 1,
}  # fmt: skip
"""Bytes of one element, by the name of PyTorch's storage class without its ending."""
SCALAR_TYPES = {"bool", "float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "complex64", "complex128"}
HARMLESS = {("collections", "OrderedDict"): OrderedDict, ("torch", "Size"): tuple}
"""Both are types that nothing in a pickle can change."""


def scan_pytorch(path: Path) -> None:
    """Refuse a file that holds code, is damaged, is no mapping, or asks for more than the limits. Builds and runs nothing of it.

    Parameters
    ----------
    path:
        A `.pth`, `.pt` or `.ckpt` file of any origin.

    Raises
    ------
    core.errors.ModelFileError
        It must not be opened. One line, with the reason.
    """
    with path.open("rb") as stream:
        is_archive = stream.read(len(ZIP_MAGIC)) == ZIP_MAGIC
        stream.seek(0)
        top = _scan_archive(stream) if is_archive else _scan_legacy(stream, path.stat().st_size)
    if not isinstance(top, dict):
        raise is_unknown(f"a state_dict (tensors by name) is expected, and the file holds a {type(top).__name__}")


def _scan_archive(stream: IO[bytes]) -> object:
    try:
        with zipfile.ZipFile(stream) as archive:
            records = _records(archive)
            broken = archive.testzip()
            if broken:
                raise is_damaged(f"checksum of {broken}")
            main = next((name for name in records if name.endswith("/data.pkl")), None)
            if main is None:
                raise is_damaged("it is an archive without tensors")
            if records[main] > MAX_PICKLE_BYTES:
                raise exceeds_limits(f"its list of tensors unpacks to {records[main] / 1e6:,.0f} MB; 17 MB are allowed")
            with archive.open(main) as listing:
                scanner = _Scanner(listing)
                top = scanner.read()
    except ModelFileError:
        raise
    except Exception as error:
        # Of a damaged archive: BadZipFile, NotImplementedError, zlib's own error, and more.
        raise is_damaged(f"structure of the archive: {error}") from error
    folder = main.removesuffix("data.pkl")
    for key, size_bytes in scanner.storages.items():
        if records.get(f"{folder}data/{key}") != size_bytes:
            raise is_damaged(f"the numbers of tensor storage {key} are not as many as it says")
    return top


def _records(archive: zipfile.ZipFile) -> dict[str, int]:
    """Bytes of each entry when unpacked, as the archive's directory states them; reading never gives more than stated."""
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise exceeds_limits(f"the archive has {len(entries):,} entries; {MAX_ENTRIES:,} are allowed")
    records = {entry.filename: entry.file_size for entry in entries}
    if len(records) != len(entries):
        raise is_damaged("the archive has two entries of one name")
    total_bytes = sum(records.values())
    if total_bytes > MAX_BYTES:
        raise exceeds_limits(f"it unpacks to {total_bytes / 1e9:.1f} GB; {MAX_BYTES / 1e9:.1f} GB are allowed")
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in records):
        raise has_code("TorchScript")
    return records


def _scan_legacy(stream: IO[bytes], size_bytes: int) -> object:
    """The format before PyTorch 1.6: magic number, version, machine, the pickle with the tensors, the keys of their storages, numbers."""
    if _Scanner(stream).read() != LEGACY_MAGIC:
        raise is_damaged("it was not written by torch.save")
    _Scanner(stream).read()
    _Scanner(stream).read()
    scanner = _Scanner(stream)
    top = scanner.read()
    if sum(scanner.storages.values()) > size_bytes:
        raise is_damaged("it holds fewer numbers than it says")
    return top


class _Storage(NamedTuple):
    """Stands in for a class of storages. A tuple, because a pickle may set the attributes of what it made."""

    item_bytes: int


class _Tensor:
    """Stands in for a tensor."""


class _Scanner(pickle.Unpickler):
    """Reads a pickle with stand-ins."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)
        self.storages: dict[str, int] = {}
        """Bytes of each storage, by its key."""
        self._tensors = 0
        self._tensor_bytes = 0
        self._rebuilders: dict[str, Callable[..., object]] = {
            "_rebuild_tensor": self._tensor,
            "_rebuild_tensor_v2": self._tensor,
            "_rebuild_parameter": lambda tensor, *_: tensor,
        }

    def read(self) -> Any:  # noqa: ANN401 - a pickle holds anything
        """The object with its stand-ins. Raises `core.errors.ModelFileError`."""
        try:
            return self.load()
        except ModelFileError:
            raise
        except MemoryError as error:
            raise exceeds_limits("its list of tensors needs too much memory") from error
        except Exception as error:
            # A damaged pickle can call for anything, so it can raise anything.
            raise is_damaged(f"structure: {error or type(error).__name__}") from error

    def find_class(self, module: str, name: str, /) -> Any:  # noqa: ANN401
        """The stand-in for a name. Raises `core.errors.ModelFileError` for one that plain tensors do not need."""
        if module == "torch._utils" and name in self._rebuilders:
            return self._rebuilders[name]
        if module in {"torch", "torch.storage"} and name.endswith("Storage") and name.removesuffix("Storage") in ITEM_BYTES:
            return _Storage(ITEM_BYTES[name.removesuffix("Storage")])
        if module == "torch" and name in SCALAR_TYPES:
            return name
        if (module, name) in HARMLESS:
            return HARMLESS[module, name]
        if (module, name) == ("torch", "device"):
            return lambda *_: None
        raise has_code(f"{module}.{name}")

    def persistent_load(self, pid: Any, /) -> _Storage:  # noqa: ANN401
        """Note a storage. Its id is a tuple: `storage`, class, key, device, number of elements, and in old files a view."""
        kind, storage, key, _, count, *_ = pid
        if kind != "storage" or not isinstance(storage, _Storage) or not isinstance(key, str) or not _is_count(count):
            raise ValueError("a storage is described in an unknown way")
        self.storages[key] = storage.item_bytes * count
        return storage

    def _tensor(self, storage: object, offset: object, size: object, *_: object) -> _Tensor:
        if not isinstance(storage, _Storage) or not _is_count(offset) or not isinstance(size, tuple) or not all(map(_is_count, size)):
            raise ValueError("a tensor is described in an unknown way")
        self._tensors += 1
        self._tensor_bytes += math.prod(size) * storage.item_bytes
        if self._tensors > MAX_TENSORS:
            raise exceeds_limits(f"it holds more than {MAX_TENSORS:,} tensors")
        if self._tensor_bytes > MAX_BYTES:
            raise exceeds_limits(f"its tensors claim more than the {MAX_BYTES / 1e9:.1f} GB that are allowed")
        return _Tensor()


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 0
