"""Metrics on request at the command line: their weights."""

import json

from tests.test_cli import run


def test_the_weights_of_a_metric_are_listed_and_fetched_by_its_name() -> None:
    entries = json.loads(run("weights", "list", "--json").stdout)["weights"]
    (entry,) = [entry for entry in entries if entry.get("metric") == "lpips"]
    assert (entry["file"], entry["size_bytes"], entry["upscaler"]) == ("alexnet-owt-7be5be79.pth", 244_408_911, None)
    done = run("weights", "fetch", "lpips", UPSCALE_BENCH_WEIGHTS="", UPSCALE_BENCH_OFFLINE="1")
    assert done.returncode == 1
    assert done.stderr.strip().startswith("alexnet-owt-7be5be79.pth can't be fetched")
    assert len(done.stderr.strip().splitlines()) == 1
