"""The networks of OpenCV's dnn_superres module: EDSR, ESPCN, FSRCNN and LapSRN as frozen TensorFlow graphs.

What happens around the networks follows OpenCV's own code, so that the pixels are those that `cv2.dnn_superres` gives
(https://github.com/opencv/opencv_contrib/tree/4.x/modules/dnn_superres).
"""

from collections.abc import Mapping

import numpy as np

from core.image import RGB8
from core.weights import HttpSource, WeightFile
from runtimes.base import FrozenGraph, NetworkSource
from runtimes.tiling import Tiling
from upscalers.base import NetworkUpscaler, to_levels
from upscalers.spec import Build, UpscalerSpec

OUTPUT = "NCHW_output"
"""The node that holds the result; LapSRN's further outputs are the smaller scales on its way."""
LEVEL = np.float32(1 / 255)
"""Multiplying by it, as OpenCV does, and dividing by 255 differ in the last bit, which decides how ties of chroma round."""
DIV2K_MEAN_BGR = np.array([103.1545782, 111.561547, 114.35629928], np.float32)
"""Mean of EDSR's training pictures, in levels."""


class _FrozenGraphUpscaler(NetworkUpscaler):
    def _source(self) -> NetworkSource:
        weights = self.weights[0]
        return NetworkSource(key=weights.sha256, graph=FrozenGraph(weights.path, OUTPUT))


class LumaUpscaler(_FrozenGraphUpscaler):
    """ESPCN, FSRCNN, LapSRN: the network enlarges luma, the chroma planes are enlarged bilinearly."""

    def _forward(self, tile: RGB8, seed: int | None) -> RGB8:
        import cv2

        luma, *chroma = cv2.split(cv2.cvtColor(tile, cv2.COLOR_RGB2YCrCb).astype(np.float32) * LEVEL)
        enlarged = self.session.run(np.asarray(luma, np.float32)[np.newaxis, np.newaxis])[0, 0]
        size = enlarged.shape[::-1]
        planes = [enlarged, *(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in chroma)]
        return np.asarray(cv2.cvtColor(cv2.merge([to_levels(plane) for plane in planes]), cv2.COLOR_YCrCb2RGB), np.uint8)


class EDSRUpscaler(_FrozenGraphUpscaler):
    """EDSR: BGR levels with the mean of its training pictures taken off."""

    def _forward(self, tile: RGB8, seed: int | None) -> RGB8:
        batch = (tile[..., ::-1] - DIV2K_MEAN_BGR).transpose(2, 0, 1)[np.newaxis]
        enlarged = self.session.run(np.ascontiguousarray(batch, np.float32))[0].transpose(1, 2, 0)
        return np.ascontiguousarray(to_levels(enlarged + DIV2K_MEAN_BGR, full_scale=1.0)[..., ::-1])


def _files(folder: str, stem: str, hashes: Mapping[int, tuple[str, int]]) -> dict[int, tuple[WeightFile, ...]]:
    return {
        scale: (
            WeightFile(
                name=f"{stem}_x{scale}.pb",
                source=HttpSource(f"https://github.com/{folder}/{stem}_x{scale}.pb"),
                sha256=sha256,
                size_bytes=size_bytes,
            ),
        )
        for scale, (sha256, size_bytes) in hashes.items()
    }


def _row(
    spec_id: str,
    name: str,
    summary: str,
    *,
    build: Build,
    reference: str,
    weights: Mapping[int, tuple[WeightFile, ...]],
    tiling: Mapping[int, Tiling],
    tile_mib_per_mp: Mapping[int, float],
    seconds_per_mp: Mapping[int, float],
    openvino_speedup: float,
    parameter_count: Mapping[int, int] | None = None,
) -> UpscalerSpec:
    return UpscalerSpec(
        id=spec_id,
        name=name,
        group="CNN",
        summary=summary,
        aim="faithful",
        scales=tuple(weights),
        runtimes=("openvino", "opencv"),
        license="Apache-2.0",
        reference=reference,
        weights=weights,
        tiling=tiling,
        trained_for="opencv-cubic",
        parameter_count=parameter_count or {},
        tile_mib_per_mp=tile_mib_per_mp,
        seconds_per_mp=seconds_per_mp,
        speedup={"openvino": openvino_speedup},
        build=build,
    )


SPECS = (
    _row(
        "opencv-espcn",
        "ESPCN",
        "A very small network that works at low resolution: real-time video.",
        build=LumaUpscaler,
        reference="https://arxiv.org/abs/1609.05158",
        weights=_files(
            "fannymonori/TF-ESPCN/raw/master/export",
            "ESPCN",
            {
                2: ("59f77351e1d7c0057bf6fe088b4a8a07e42c468c8c8aebb674a6b4ea1823221d", 86446),
                3: ("0e667db7a431d14c32568ed79bf21701a64df8b1d162e48ca1f8800affe2c2b3", 92226),
                4: ("e403f06309229cf36009cd8fb0da032ba7643fae9f15cf94fe562e8edf8fef47", 100323),
            },
        ),
        tiling={2: Tiling(1024, 16), 3: Tiling(1024, 16), 4: Tiling(1024, 16)},
        parameter_count={2: 21_284, 3: 22_729, 4: 24_752},
        tile_mib_per_mp={2: 930.0, 3: 920.0, 4: 900.0},
        seconds_per_mp={2: 1.7, 3: 1.9, 4: 2.1},
        openvino_speedup=2.0,
    ),
    _row(
        "opencv-fsrcnn",
        "FSRCNN",
        "A small network with one enlarging layer at its end: quick and clean.",
        build=LumaUpscaler,
        reference="https://arxiv.org/abs/1608.00367",
        weights=_files(
            "Saafke/FSRCNN_Tensorflow/raw/master/models",
            "FSRCNN",
            {
                2: ("366b33f0084c7b3f2bf6724f0a2c77bca94fcec9d7b6d72389d330073b380d5c", 38973),
                3: ("efd38655a815908c6c8954db6052f128e76a735f1de657894c477d0dc0b64481", 40093),
                4: ("5c68d18db561aed8ead4feedf1b897ea615baaf60ebf6c35f8e641f8fa4a21bf", 41661),
            },
        ),
        tiling={2: Tiling(1024, 16), 3: Tiling(1024, 16), 4: Tiling(1024, 16)},
        parameter_count={2: 8_497, 3: 8_777, 4: 9_169},
        tile_mib_per_mp={2: 1080.0, 3: 1080.0, 4: 1240.0},
        seconds_per_mp={2: 1.6, 3: 1.8, 4: 2.1},
        openvino_speedup=4.0,
    ),
    _row(
        "opencv-fsrcnn-small",
        "FSRCNN small",
        "FSRCNN with a quarter of the weights: the fastest network here.",
        build=LumaUpscaler,
        reference="https://arxiv.org/abs/1608.00367",
        weights=_files(
            "Saafke/FSRCNN_Tensorflow/raw/master/models",
            "FSRCNN-small",
            {
                2: ("429e4793d049c1ae16ddbbc322fd11c3c08831c0c20137390b4d098976a2b0d9", 9595),
                3: ("58e72d0c4231b8e754180e787d7348f45ae6230ee3c5af7dc12b558467f593f7", 10235),
                4: ("92a9f57c28494813b4dc073b51a300cb909401454d77541bcdc96b4d55901d02", 11131),
            },
        ),
        tiling={2: Tiling(1024, 16), 3: Tiling(1024, 16), 4: Tiling(1024, 16)},
        parameter_count={2: 1_622, 3: 1_782, 4: 2_006},
        tile_mib_per_mp={2: 620.0, 3: 710.0, 4: 870.0},
        seconds_per_mp={2: 1.2, 3: 1.3, 4: 1.5},
        openvino_speedup=4.0,
    ),
    _row(
        "opencv-lapsrn",
        "LapSRN",
        "Enlarges step by step, doubling each time: smooth edges, also at x8.",
        build=LumaUpscaler,
        reference="https://arxiv.org/abs/1710.01992",
        weights=_files(
            "fannymonori/TF-LapSRN/raw/master/export",
            "LapSRN",
            {
                2: ("f59c86e6835bbca646dbd81588f07820dfe3bd09e3702976ae2d90b5fc0f0b21", 1356253),
                4: ("d3e95c93cafae5ce5a8ed57ce9abf07f2de58da8c5d6d656b766774969835ee2", 2712798),
                8: ("a00211938b2b4c7d23691525a9267d9d0bbb345cdb9f38a7fc917414a5a1884f", 4069183),
            },
        ),
        tiling={2: Tiling(768, 16), 4: Tiling(384, 16), 8: Tiling(192, 16)},
        parameter_count={2: 337_089, 4: 674_178, 8: 1_011_267},
        tile_mib_per_mp={2: 1190.0, 4: 5030.0, 8: 20_310.0},
        seconds_per_mp={2: 17.0, 4: 80.0, 8: 300.0},
        openvino_speedup=2.4,
    ),
    _row(
        "opencv-edsr",
        "EDSR",
        "A deep residual network: the most faithful of OpenCV's, and slow.",
        build=EDSRUpscaler,
        reference="https://arxiv.org/abs/1707.02921",
        weights=_files(
            "Saafke/EDSR_Tensorflow/raw/master/models",
            "EDSR",
            {
                2: ("585623221baa070279a0d1e7e113a4c3faba0f318ca7fdd9a65d9afc0763d9b4", 38490162),
                3: ("3baa3740fdb8ee9c52f1a41d69fa74cb9feef0fa9bfeec24f0ee58b928068e9a", 38524784),
                4: ("dd35ce3cae53ecee2d16045e08a932c3e7242d641bb65cb971d123e06904347f", 38573255),
            },
        ),
        tiling={2: Tiling(448, 32), 3: Tiling(320, 32), 4: Tiling(256, 32)},
        # Counted: the two largest arrays of 256 features that stand beside each other.
        tile_mib_per_mp={2: 9_800.0, 3: 18_500.0, 4: 30_500.0},
        seconds_per_mp={2: 300.0, 3: 300.0, 4: 320.0},
        openvino_speedup=1.5,
    ),
)
