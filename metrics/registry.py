"""The facts about every metric, and which of them are computed only when somebody asks."""

import math

from core.registry import Registry
from metrics import gradients, information, learned, multi_scale, wavelets
from metrics.base import MetricSpec
from metrics.colour import colour_shift
from metrics.consistency import lr_consistency
from metrics.fidelity import mse, psnr_db
from metrics.protocol import PROTOCOLS
from metrics.structural import WINDOW, ssim

ALL = tuple(PROTOCOLS.ids())
RGB = ("rgb",)
"""For metrics that make their own luma of the colours, or see them all: what the other protocols cut off or convert is not theirs."""

METRICS: Registry[MetricSpec] = Registry("metric", lambda metric: metric.id)
METRICS.add(
    MetricSpec(
        id="mse",
        name="MSE",
        unit="levels²",
        higher_is_better=False,
        needs_reference=True,
        reference="https://en.wikipedia.org/wiki/Mean_squared_error",
        identical=0.0,
        min_side=1,
        value_range=(0.0, 65_025.0),
        colour="all channels together",
        protocols=ALL,
        fn=mse,
    ),
    MetricSpec(
        id="psnr_db",
        name="PSNR",
        unit="dB",
        higher_is_better=True,
        needs_reference=True,
        reference="https://en.wikipedia.org/wiki/Peak_signal-to-noise_ratio",
        identical=math.inf,
        min_side=1,
        value_range=(0.0, math.inf),
        colour="all channels together",
        protocols=ALL,
        fn=psnr_db,
    ),
    MetricSpec(
        id="ssim",
        name="SSIM",
        unit="",
        higher_is_better=True,
        needs_reference=True,
        reference="https://doi.org/10.1109/TIP.2003.819861",
        identical=1.0,
        min_side=WINDOW,
        value_range=(-1.0, 1.0),
        colour="mean of the channels'",
        protocols=ALL,
        fn=ssim,
    ),
    MetricSpec(
        id="lr_consistency",
        name="Agrees with your picture",
        unit="dB",
        higher_is_better=True,
        needs_reference=False,
        reference="https://github.com/andreas128/NTIRE21_Learning_SR_Space",
        identical=math.inf,
        min_side=1,
        value_range=(0.0, math.inf),
        colour="all channels together",
        protocols=(),
        fn=lr_consistency,
    ),
    MetricSpec(
        id="colour_shift",
        name="Colour shift",
        unit="ΔE00",
        higher_is_better=False,
        needs_reference=False,
        reference="https://doi.org/10.1002/col.20070",
        identical=0.0,
        min_side=1,
        value_range=(0.0, math.inf),
        colour="CIELAB",
        protocols=(),
        fn=colour_shift,
    ),
)
METRICS.add(
    MetricSpec(
        id="ms_ssim",
        name="MS-SSIM",
        unit="",
        higher_is_better=True,
        needs_reference=True,
        reference="https://doi.org/10.1109/ACSSC.2003.1292216",
        identical=1.0,
        value_range=(0.0, 1.0),
        min_side=multi_scale.MIN_SIDE,
        colour="mean of the channels'",
        protocols=ALL,
        opt_in=True,
        fn=multi_scale.ms_ssim,
    ),
    MetricSpec(
        id="vif",
        name="VIF (pixel domain)",
        unit="",
        higher_is_better=True,
        needs_reference=True,
        reference="https://doi.org/10.1109/TIP.2005.859378",
        identical=1.0,
        value_range=(0.0, math.inf),
        min_side=information.MIN_SIDE,
        colour="luma",
        protocols=RGB,
        symmetric=False,
        opt_in=True,
        undefined="The original is flat: there is no information that could be kept.",
        fn=information.vif,
    ),
    MetricSpec(
        id="gmsd",
        name="GMSD",
        unit="",
        higher_is_better=False,
        needs_reference=True,
        reference="https://doi.org/10.1109/TIP.2013.2293423",
        identical=0.0,
        value_range=(0.0, 0.5),
        min_side=gradients.MIN_SIDE,
        colour="luma",
        protocols=RGB,
        opt_in=True,
        fn=gradients.gmsd,
    ),
    MetricSpec(
        id="haarpsi",
        name="HaarPSI",
        unit="",
        higher_is_better=True,
        needs_reference=True,
        reference="https://doi.org/10.1016/j.image.2017.11.001",
        identical=1.0,
        value_range=(0.0, 1.0),
        min_side=wavelets.MIN_SIDE,
        colour="luma and colour differences (YIQ)",
        protocols=RGB,
        opt_in=True,
        fn=wavelets.haarpsi,
    ),
    MetricSpec(
        id="lpips",
        name="LPIPS (AlexNet)",
        unit="",
        higher_is_better=False,
        needs_reference=True,
        reference="https://arxiv.org/abs/1801.03924",
        identical=0.0,
        value_range=(0.0, math.inf),
        min_side=learned.MIN_SIDE,
        colour="all channels",
        protocols=RGB,
        opt_in=True,
        weights=(learned.ALEXNET,),
        package="lpips",
        fn=learned.lpips,
    ),
)

MORE: Registry[MetricSpec] = Registry("metric", lambda metric: metric.option)
"""Those that are computed only when somebody asks for them, by the name to ask with."""
MORE.add(*(metric for metric in METRICS if metric.opt_in))
