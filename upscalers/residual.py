"""Residual networks with balanced attention: RCAN and DRLN, as trained and published by Eugene Siow (https://huggingface.co/eugenesiow).

They take and give RGB in [0, 1], as `ImageLoader` of the package super-image feeds them (https://github.com/eugenesiow/super-image);
what they take off for the mean colour is among their weights.

Their attention averages over the whole picture and they see further than any overlap reaches, so tiles change pixels slightly.
"""

from typing import TYPE_CHECKING

from core.errors import UnavailableError, WeightsError
from core.image import RGB8
from core.weights import HuggingFaceSource, WeightFile
from runtimes.base import NetworkSource, Placement
from runtimes.tiling import Tiling
from upscalers.base import NetworkUpscaler, enlarge_rgb
from upscalers.network_code import code_version
from upscalers.spec import UpscalerSpec
from upscalers.state_dicts import read_state_dict

if TYPE_CHECKING:
    import torch


class ResidualUpscaler(NetworkUpscaler):
    """One of the networks, of the size that the tensors in its weight file ask for."""

    def _source(self) -> NetworkSource:
        return NetworkSource(key=self.weights_sha256 or "", module=self._module, code=code_version())

    def _module(self) -> "torch.nn.Module":
        import torch

        from upscalers.architectures.drln_bam import DRLNBAMSize
        from upscalers.architectures.rcan_bam import RCANBAMSize

        path = self.weights[0].path
        name = f"{path.parent.name}/{path.name}"  # the families' files have the same names
        state_dict = read_state_dict(path)
        sizes = {"RCAN-BAM": RCANBAMSize.of(state_dict), "DRLN-BAM": DRLNBAMSize.of(state_dict)}
        size = sizes[self.spec.name]
        if size is None or size.scale != self.scale:
            held = next((f"{kind} at x{found.scale}" for kind, found in sizes.items() if found), "another kind of network")
            raise WeightsError(f"{name} holds {held}; {self.spec.name} at x{self.scale:g} is needed: put the published file in its place.")
        with torch.device("meta"):  # the numbers come from the file: random ones would cost time and memory
            network = size.build()
        try:
            network.load_state_dict(state_dict, assign=True)
        except RuntimeError as error:
            what = f"{name} holds {self.spec.name} at x{self.scale:g} with tensors missing, left over or of wrong shapes"
            raise WeightsError(f"{what}: put the published file in its place.") from error
        return network.float().eval()

    def _forward(self, tile: RGB8, seed: int | None) -> RGB8:
        return enlarge_rgb(tile, self.session.run)


class RCANUpscaler(ResidualUpscaler):
    """RCAN-BAM, which is refused in half precision: its weights take 114 off samples that lie between 0 and 1."""

    def _load(self, runtime: str, placement: Placement) -> None:
        if placement.precision != "f32":
            # Numbers near 114 are 1/2 apart in bf16 and 1/16 in f16.
            raise UnavailableError(f"{self.spec.name} needs f32: its first layer leaves {placement.precision} no bits for the picture.")
        super()._load(runtime, placement)


def _file(spec_id: str, scale: int, revision: str, sha256: str | None = None) -> tuple[WeightFile]:
    """A published file. Where no hash is published, that of the first download is recorded and later ones must have it."""
    name = f"pytorch_model_{scale}x.pt"
    return (
        WeightFile(
            name=f"{spec_id}/{name}",
            source=HuggingFaceSource(f"eugenesiow/{spec_id}", revision, name),
            sha256=sha256,
            size_bytes=None,
        ),
    )


DRLN_REVISION = "c5d6efffdb6d7ddda5909f2d9105b33b69f4039f"
RCAN_REVISION = "61a51e6d87423f47943974a8427710ffb13ef4ce"

SPECS = (
    UpscalerSpec(
        id="rcan-bam",
        name="RCAN-BAM",
        group="CNN",
        summary="Four hundred convolutions deep, with balanced attention. Only its x4 weights are published; x2 and x3 need your own.",
        aim="faithful",
        scales=(2, 3, 4),
        runtimes=("openvino", "torch"),
        license="Apache-2.0",
        reference="https://arxiv.org/abs/1807.02758",
        weights={
            # At that commit, its last, the repository has no x2 and x3, though the model card speaks of them.
            # Should they come, they come to main.
            2: _file("rcan-bam", 2, "main"),
            3: _file("rcan-bam", 3, "main"),
            4: _file("rcan-bam", 4, RCAN_REVISION),
        },
        tiling={2: Tiling(384, 32), 3: Tiling(384, 32), 4: Tiling(384, 32)},
        # Its attention weighs channels by their averages over all it is given.
        whole_picture=True,
        parameter_count={2: 15_441_667, 3: 15_626_307, 4: 15_589_379},
        trained_for="bicubic",
        tile_mib_per_mp={2: 2_570.0, 3: 4_990.0, 4: 8_390.0},
        seconds_per_mp={2: 320.0, 3: 320.0, 4: 330.0},
        speedup={"openvino": 1.15},
        build=RCANUpscaler,
    ),
    UpscalerSpec(
        id="drln-bam",
        name="DRLN-BAM",
        group="CNN",
        summary="Densely connected residual units with balanced attention: very faithful and very slow.",
        aim="faithful",
        scales=(2, 3, 4),
        runtimes=("openvino", "torch"),
        license="Apache-2.0",
        reference="https://arxiv.org/abs/1906.12021",
        weights={
            2: _file("drln-bam", 2, DRLN_REVISION),
            3: _file("drln-bam", 3, DRLN_REVISION),
            # The hash that the hub shows on the file's page.
            4: _file("drln-bam", 4, DRLN_REVISION, "989b377b1c3f031033754dc51d057fa38750bdea6697e76c8765a7f55e772ba0"),
        },
        tiling={2: Tiling(384, 32), 3: Tiling(384, 32), 4: Tiling(384, 32)},
        # Its attention weighs channels by their averages over all it is given.
        whole_picture=True,
        parameter_count={2: 34_163_455, 3: 34_348_095, 4: 34_311_167},
        trained_for="bicubic",
        tile_mib_per_mp={2: 5_750.0, 3: 6_710.0, 4: 10_110.0},
        seconds_per_mp={2: 700.0, 3: 700.0, 4: 700.0},
        speedup={"openvino": 1.15},
        build=ResidualUpscaler,
    ),
)
