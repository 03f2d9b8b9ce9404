"""Converted networks on their way to the nodes of a cluster: what the driver has is what the node computes with."""

import dataclasses
from contextlib import ExitStack
from pathlib import Path

import pytest

import upscalers
from benchmark.plan import Plan
from benchmark.ray.actor import BenchActor
from benchmark.ray.cluster import LOOPBACK
from benchmark.ray.forms import Form, read_form
from benchmark.runner import model_key
from benchmark.storage.store import Store
from benchmark.workers.local_engine import LocalEngine
from benchmark.workers.worker import Loaded, ModelKey
from core.settings import settings
from runtimes.conversion import convert
from tests import networks
from tests.run_helpers import cells_of, compute, make_set, plan_of, problems, substance

UPSCALER = "realesr-animevideov3"


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelKey:
    """A model whose converted network this machine has."""
    weights = tmp_path / "weights"
    weights.mkdir()
    networks.write_compact(weights / f"{UPSCALER}.pth", scale=4, convolutions=2, features=8, seed=0)
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(weights))
    upscaler = upscalers.create(UPSCALER, 4)
    source = upscaler.needs_conversion("openvino")
    assert source is not None
    assert convert(source, upscaler.small_sizes()).refused is None
    (row,) = Plan(scale=4, upscaler_ids=[UPSCALER]).rows()
    assert row.runtime == "openvino"
    return model_key(row, upscalers.get(UPSCALER))


@pytest.fixture
def form(key: ModelKey) -> Form:
    found = read_form(key)
    assert found is not None
    return found


@pytest.fixture
def node(form: Form, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BenchActor:
    """An actor on a node that has the weights and nothing else."""
    monkeypatch.setenv("UPSCALE_BENCH_HOME", str(tmp_path / "node"))
    return BenchActor()


def stored() -> dict[str, bytes]:
    """The files of the networks that this home has."""
    return {path.name: path.read_bytes() for path in settings().converted.glob("[!.]*/*") if path.name != "entry.json"}


def test_a_node_without_the_converted_network_is_sent_it_once_and_computes_with_the_same_bytes(
    node: BenchActor, key: ModelKey, form: Form
) -> None:
    assert node.lacks_form(key)
    assert not isinstance(without := node.load(key), Loaded)
    assert without[0] == "unavailable"
    assert isinstance(node.load(key, form), Loaded)
    assert stored() == form.files
    assert not node.lacks_form(key)
    assert not node.lacks_form(dataclasses.replace(key, runtime="torch"))


def test_a_network_that_was_damaged_on_its_way_is_refused_and_not_kept(node: BenchActor, key: ModelKey, form: Form) -> None:
    name, content = next(iter(form.files.items()))
    flipped = bytes([content[0] ^ 1]) + content[1:]
    for bad in (
        dataclasses.replace(form, files={**form.files, name: flipped}),
        dataclasses.replace(form, files={**form.files, "../more": b""}),
        dataclasses.replace(form, entry=dataclasses.replace(form.entry, source="other weights")),
    ):
        status, reason = node.load(key, bad)  # type: ignore[misc]
        assert (status, "is damaged, or of other weights" in reason) == ("unavailable", True)
    assert stored() == {}
    assert node.lacks_form(key)


def test_without_the_weights_a_node_says_so_itself(node: BenchActor, key: ModelKey, form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", "")
    assert not node.lacks_form(key)
    _, reason = node.load(key)  # type: ignore[misc]
    assert f"{UPSCALER}.pth" in reason


@pytest.mark.long
def test_a_run_on_nodes_with_a_home_of_their_own_has_the_local_scores(
    key: ModelKey, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("0123456789abcdef" * 4)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # It reads them when it is imported.
    from ray.cluster_utils import Cluster

    plan = plan_of(make_set(tmp_path / "set", 4, width=160, height=120), scales=(4,), upscaler_ids=(UPSCALER,))
    with ExitStack() as stack:
        monkeypatch.setenv("UPSCALE_BENCH_HOME", str(tmp_path / "node"))
        arguments = {"num_cpus": 1, "node_ip_address": LOOPBACK, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=arguments, connect=False)
        stack.callback(cluster.shutdown)
        monkeypatch.setenv("UPSCALE_BENCH_HOME", str(own_home))
        store = stack.enter_context(Store.open())
        assert compute(store, plan, "local")["state"] == "done"
        store.create("ray", plan)
        engine = LocalEngine()
        stack.callback(engine.close)
        events = list(engine.run_dataset("ray", cluster={"address": cluster.address, "allow_open": False}))
    assert events[-1]["state"] == "done"
    assert {cell.row.runtime for cell in cells_of(store, "ray").values()} == {"openvino"}
    assert substance(store, store.run("ray")) == substance(store, store.run("local"))
    assert problems(store) == []
    assert len(list((tmp_path / "node").glob("converted/*/network.xml"))) == 1
