"""Dataset runs on a Ray cluster: the local engine's scores to the digit, whatever nodes are lost, and no cluster that is open to all."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.ray import cluster as ray_cluster
from benchmark.ray.actor import BenchActor, Node, check_node
from benchmark.ray.cluster import LOOPBACK, connect, is_open, protect_token
from benchmark.storage.store import Store
from benchmark.workers.local_engine import LocalEngine
from core.errors import UnavailableError, UsageError
from tests.run_helpers import PLUGINS, cells_of, compute, make_set, plan_of, problems, substance

if sys.platform != "linux":
    pytest.skip("the test's cluster lives on Linux", allow_module_level=True)


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A token of the test's own, so that no cluster of this machine is touched."""
    path = tmp_path / "token"
    path.write_text("0123456789abcdef" * 4)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    return path


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Store]:
    monkeypatch.setenv("UPSCALE_BENCH_PLUGINS", PLUGINS)
    monkeypatch.setenv("FAKE_MARKER", str(tmp_path / "marker"))
    monkeypatch.setenv("FAKE_NOTES", str(tmp_path / "notes"))
    with Store.open() as opened:
        yield opened


@pytest.mark.long
def test_a_run_survives_the_loss_of_a_node_with_the_local_scores_to_the_digit(token: Path, store: Store, tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    plan = plan_of(make_set(tmp_path / "set", 12), upscaler_ids=("bicubic", "opencv-fsrcnn", "fake-noted"))
    assert compute(store, plan, "local", keep_images=True)["state"] == "done"
    notes = tmp_path / "notes"
    notes.unlink()
    node = {"num_cpus": 1, "node_ip_address": LOOPBACK}
    with ExitStack() as stack:
        cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False}, connect=False)
        stack.callback(cluster.shutdown)
        second = cluster.add_node(**node)
        store.create("ray", plan)
        engine = LocalEngine()
        stack.callback(engine.close)
        lost = False
        state = "running"
        for event in engine.run_dataset("ray", workers=2, keep_images=True, cluster={"address": cluster.address, "allow_open": False}):
            state = event["state"]
            if not lost and notes.exists() and len(notes.read_text().split()) >= 4:
                cluster.remove_node(second, allow_graceful=False)
                lost = True
        assert (state, lost) == ("done", True)
        # Until the cluster itself reports that one node is left.
        cluster.wait_for_nodes(timeout=60)
    done = notes.read_text().split()
    assert len(done) > 12, "what the lost node computed was computed once more"
    here, there = (store.run(name) for name in ("local", "ray"))
    assert substance(store, there) == substance(store, here)
    assert {cell.row.workers for cell in cells_of(store, "ray").values() if cell.row.status == "ok"} == {2}
    assert problems(store) == []


def node() -> Node:
    """This machine, as an actor on it would tell."""
    from benchmark.ray.actor import code_sha256, versions

    return Node("ab12", "elsewhere", 1, code_sha256(), versions(), {})


def test_a_node_like_this_one_is_taken_and_one_with_other_libraries_or_code_refused_by_name() -> None:
    check_node(node())
    other = {**node().versions, "numpy": "1.0"}
    with pytest.raises(UnavailableError, match=r"Node elsewhere has other libraries \(numpy 1.0 there, "):
        check_node(replace(node(), versions=other))
    missing = {name: release for name, release in node().versions.items() if name != "torch"}
    with pytest.raises(UnavailableError, match="torch missing there"):
        check_node(replace(node(), versions=missing))
    with pytest.raises(UnavailableError, match="another version of Upscale Bench"):
        check_node(replace(node(), code="0" * 64))


def test_an_actor_reads_nothing_but_what_it_is_sent() -> None:
    # Its class travels by name: what it needs must be importable on a node without the driver's script.
    code = "import benchmark.ray.actor, sys; print([name for name in ('ray', 'torch', 'sqlalchemy') if name in sys.modules])"
    assert BenchActor.__module__ == "benchmark.ray.actor"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_others_on_the_machine_may_not_read_the_token(token: Path) -> None:
    token.chmod(0o644)
    protect_token()
    assert token.stat().st_mode & 0o777 == 0o600


def test_an_old_ray_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "version", lambda _: "2.53.1")
    with pytest.raises(UnavailableError, match=r"Ray 2\.53\.1 is not safe: 2\.54 or newer"):
        connect(None, 1)


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UnavailableError, match=r"pip install -r requirements-ray\.txt"):
        connect(None, 1)


@pytest.mark.long
def test_a_cluster_that_lets_anybody_in_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "node_ip_address": LOOPBACK, "include_dashboard": False}, connect=False
    )
    try:
        with pytest.raises(UsageError, match=f"The Ray cluster at {cluster.address} lets anybody who reaches it run code"):
            connect(cluster.address, 1)
    finally:
        cluster.shutdown()


@pytest.mark.long
def test_a_cluster_with_a_token_is_not_open(token: Path) -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "node_ip_address": LOOPBACK, "include_dashboard": False}, connect=False
    )
    try:
        assert cluster.address
        assert not is_open(cluster.address)
        assert os.environ["RAY_AUTH_MODE"] == "token"
    finally:
        cluster.shutdown()
