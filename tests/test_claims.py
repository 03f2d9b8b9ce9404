"""Published numbers: judged only by what is the same measurement, and doubted by rule."""

from dataclasses import replace

import pytest

import upscalers
from benchmark.ranking.claims import Claim, Measured, Other, Verdict, judge, others, published, suspicions
from metrics.protocol import PROTOCOLS

CLAIM = Claim(
    system="bicubic",
    metric="psnr_db",
    dataset="Set5",
    scale=2,
    protocol="y",
    lr="given",
    value=33.64,
    tolerance=0.01,
    source="a paper",
    note="",
)
MEASURED = Measured(
    upscaler="bicubic",
    metric="psnr_db",
    dataset="Set5",
    scale=2,
    protocol="y",
    lr="given",
    value=33.6394,
    pictures=5,
    verified_weights=True,
    run="night",
)


def verdict(*measured: Measured, claim: Claim = CLAIM) -> Verdict:
    return judge([claim], measured, [])[0]


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (33.6394, "reproduced"),
        (33.63, "reproduced"),
        (33.65, "reproduced"),
        (33.6299, "not reproduced"),
        (33.6501, "not reproduced"),
        (28.0, "not reproduced"),
    ],
)
def test_a_claim_holds_within_its_tolerance_and_not_beyond(value: float, status: str) -> None:
    judged = verdict(replace(MEASURED, value=value))
    assert judged.status == status
    assert judged.difference == pytest.approx(value - 33.64)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lr": "bicubic"}, "other small pictures (bicubic)"),
        ({"verified_weights": False}, "weights that are not the catalogue's"),
        ({"in_tiles": True}, "Measured in tiles"),
        ({"pictures": 4}, "on 4 pictures; Set5 has 5"),
        ({"value": None}, "not defined"),
        ({"value": float("inf")}, "not defined"),
        ({"protocol": "y-float"}, "No run has measured it on Set5 at x2"),
        ({"scale": 3}, "No run has measured it"),
        ({"metric": "ssim"}, "No run has measured it"),
        ({"dataset": "Set14"}, "No run has measured it"),
        ({"upscaler": "lanczos"}, "No run has measured it"),
    ],
)
def test_another_measurement_never_judges_a_claim(change: dict[str, object], reason: str) -> None:
    judged = verdict(replace(MEASURED, **change))
    assert judged.status == "not measurable here"
    assert reason in judged.reason
    assert judged.found is None


def test_the_last_fitting_measurement_counts_and_says_which_run_it_was() -> None:
    wrong, right = replace(MEASURED, value=20.0, run="old"), replace(MEASURED, run="new", dataset="set5")
    judged = verdict(wrong, right, replace(MEASURED, lr="area", run="newest"))
    assert judged.status == "reproduced"
    assert judged.measured is not None
    assert judged.measured.run == "new"


def test_what_is_not_here_is_not_measurable_and_says_why() -> None:
    assert "no upscaler srcnn" in verdict(claim=replace(CLAIM, system="srcnn", note="trained on ImageNet")).reason
    missing = verdict(claim=replace(CLAIM, system="dat", scale=4))
    assert missing.status == "not measurable here"
    assert missing.reason


def test_a_count_of_parameters_is_checked_without_a_run() -> None:
    claim = replace(CLAIM, system="dat-light", metric="parameters", dataset="", protocol="", scale=4, value=573_000, tolerance=10_000)
    judged = verdict(claim=claim)
    assert (judged.status, judged.found) == ("reproduced", 572_766)
    assert verdict(claim=replace(claim, value=583_000)).status == "not reproduced"


# -- doubts --------------------------------------------------------------------------------------------------------


def test_one_value_for_two_data_sets_is_suspicious() -> None:
    twin = replace(CLAIM, dataset="Set14")
    assert suspicions(CLAIM, [CLAIM, twin], []) == ("equals the value for Set14 to the digit",)
    for harmless in (replace(twin, value=30.22), replace(twin, system="lanczos"), replace(twin, scale=3), replace(twin, metric="ssim")):
        assert suspicions(CLAIM, [CLAIM, harmless], []) == ()


def test_a_value_far_outside_what_others_report_is_suspicious() -> None:
    claim = replace(CLAIM, system="drln-bam", value=33.95)
    sources = [
        Other(system=name, peers=frozenset({"drln-bam"}), metric="psnr_db", dataset="Set5", scale=2, value=value, source="")
        for name, value in (("EDSR", 32.32), ("RCAN", 32.41))
    ]
    assert suspicions(claim, [claim], sources) == ("1.54 dB above other sources (EDSR and RCAN: 32.32 dB to 32.41 dB)",)
    assert "1.32 dB below" in suspicions(replace(claim, value=31.0), [claim], sources)[0]
    for value in (32.02, 32.37, 32.71):
        assert suspicions(replace(claim, value=value), [claim], sources) == ()
    assert suspicions(replace(claim, system="bicubic"), [claim], sources) == ()


def test_two_sources_on_one_system_must_agree_closely() -> None:
    source = Other(system="bicubic", peers=frozenset({"bicubic"}), metric="psnr_db", dataset="Set5", scale=2, value=33.66, source="")
    assert suspicions(CLAIM, [CLAIM], [source]) == ()
    assert suspicions(replace(CLAIM, value=33.44), [CLAIM], [source]) != ()


# -- the files -----------------------------------------------------------------------------------------------------


def test_the_published_claims_are_known_measurements_with_a_source() -> None:
    claims = published()
    assert len(claims) == 77
    keys = [(c.system, c.metric, c.dataset, c.scale, c.protocol, c.source) for c in claims]
    assert len(set(keys)) == len(keys)
    for claim in claims:
        assert claim.source
        assert claim.tolerance > 0
        assert claim.metric in {"psnr_db", "ssim", "parameters"}
        assert claim.protocol in PROTOCOLS or claim.metric == "parameters"
        assert claim.system in {*(spec.id for spec in upscalers.registry()), "srcnn", "fsrcnn", "espcn"}


def test_the_doubtful_model_cards_are_found_out() -> None:
    doubted = {(v.claim.system, v.claim.metric, v.claim.dataset, v.claim.scale) for v in judge(published(), [], others()) if v.suspicions}
    psnr = {key for key in doubted if key[1] == "psnr_db"}
    assert psnr == {
        ("bicubic", "psnr_db", "Urban100", 2),
        *(("drln-bam", "psnr_db", "BSD100", scale) for scale in (2, 3, 4)),
        *(("drln-bam", "psnr_db", name, 3) for name in ("Set5", "Set14", "Urban100")),
        ("drln-bam", "psnr_db", "Set14", 2),
        *(("rcan-bam", "psnr_db", name, 4) for name in ("Set5", "Set14", "BSD100", "Urban100")),
    }
    assert not any(system.startswith("dat") for system, *_ in doubted)
