"""Data sets of the Hugging Face hub, from a local server that stands for it and from tables on this disk."""

import io
import json
import tarfile
from pathlib import Path

import datasets
import pytest
from PIL import Image

from benchmark.datasets.dataset import open_folder
from benchmark.datasets.hub import dataset_id, fetch, write_rows
from benchmark.datasets.sources import open_dataset
from core.errors import AppError, UsageError
from tests.local_server import Answer, LocalServer
from tests.pictures import noise, png
from tests.run_helpers import make_set, run_command

SHA = "0282d9e2afcf7d1b4069a9e379e437c9f1ecc392"


def archive(folder: str, **pictures: bytes) -> bytes:
    """A `.tar.gz` with one folder of pictures."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, data in {**pictures, "notes.txt": b"no picture"}.items():
            entry = tarfile.TarInfo(f"{folder}/{name}" if "." in name else f"{folder}/{name}.png")
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def serve_set(server: LocalServer, hub_id: str, files: dict[str, bytes]) -> None:
    """What the hub says of a repository, and its files."""
    about = {"id": hub_id, "sha": SHA, "siblings": [{"rfilename": name} for name in files], "private": False, "tags": [], "downloads": 0}
    server.serve(f"/api/datasets/{hub_id}", Answer(body=json.dumps(about).encode(), content_type="application/json"))
    for name, data in files.items():
        server.serve(f"/datasets/{hub_id}/resolve/{SHA}/{name}", Answer(body=data, etag=f'"{len(data)}"', headers={"X-Repo-Commit": SHA}))


def test_a_set_of_archives_is_fetched_once_and_then_needs_no_network(server: LocalServer, tmp_path: Path, own_home: Path) -> None:
    originals = {name: png(noise(16, 12, seed)) for seed, name in enumerate(("baby", "bird"))}
    smalls = {name: png(noise(8, 6, seed)) for seed, name in enumerate(("baby", "bird"))}
    files = {
        "README.md": b"A set.",
        "Mini.py": b"raise SystemExit",
        "data/Mini_HR.tar.gz": archive("Mini_HR", **originals),
        "data/Mini_LR_x2.tar.gz": archive("Mini_LR_x2", **smalls),
    }
    serve_set(server, "somebody/Mini", files)
    # The hub's libraries read where it is when they are imported.
    online = {
        "HF_ENDPOINT": server.address,
        "UPSCALE_BENCH_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1,localhost",
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "0",
    }
    command = ("run", "--dataset", "somebody/Mini", "--scales", "2", "--upscalers", "nearest", "--json")
    done = run_command(*command, **online)
    assert done.returncode == 0, done.stderr
    assert [(mean["dataset"], mean["n"]) for mean in json.loads(done.stdout)["means"]] == [("Mini", 2)]
    assert not any("Mini.py" in path for path in server.requests)
    dataset = open_dataset("somebody/Mini")
    assert dataset.names == ["baby", "bird"]
    assert {each.name: each.small and each.small.path.read_bytes() for each in dataset.pictures(2)} == smalls
    assert {path.name for path in (own_home / "datasets").iterdir()} == {"somebody--Mini", "somebody--Mini.lock"}


def test_without_a_network_the_refusal_is_one_line_and_nothing_is_left(own_home: Path) -> None:
    with pytest.raises(UsageError, match="is not on this machine, and UPSCALE_BENCH_OFFLINE is set"):
        open_dataset("eugenesiow/Set5")
    nobody = {"HF_ENDPOINT": "http://127.0.0.1:9", "UPSCALE_BENCH_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
    refused = run_command("run", "--dataset", "Set5", "--scales", "2", "--upscalers", "nearest", **nobody)
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith("The data set eugenesiow/Set5 can't be fetched:")
    assert "Traceback" not in refused.stderr
    assert [path.name for path in (own_home / "datasets").iterdir()] == ["eugenesiow--Set5.lock"]


def test_a_table_with_columns_of_pictures_becomes_a_folder_of_the_very_bytes(tmp_path: Path) -> None:
    originals, smalls = ([png(noise(size, size, seed)) for seed in range(2)] for size in (8, 4))
    rows = {"hr": originals, "lr_x2": smalls, "label": [0, 1], "id": ["wolf.png", "hare.png"]}
    features = datasets.Features(
        {"hr": datasets.Image(), "lr_x2": datasets.Image(), "label": datasets.Value("int64"), "id": datasets.Value("string")}
    )
    table = tmp_path / "table.parquet"
    datasets.Dataset.from_dict({name: _as_bytes(values) for name, values in rows.items()}, features=features).to_parquet(str(table))
    loaded = datasets.load_dataset("parquet", data_files={"test": str(table)}, cache_dir=str(tmp_path / "cache"))
    folder = tmp_path / "written"
    folder.mkdir()
    write_rows(loaded, folder)
    pictures = {each.name: each for each in open_folder(folder).pictures(2)}
    assert {name: each.original.path.read_bytes() for name, each in pictures.items()} == {"wolf": originals[0], "hare": originals[1]}
    assert {name: each.small and each.small.path.read_bytes() for name, each in pictures.items()} == {"wolf": smalls[0], "hare": smalls[1]}


def _as_bytes(values: list) -> list:
    return [{"bytes": value, "path": None} if isinstance(value, bytes) else value for value in values]


def test_a_folder_of_pictures_that_the_library_reads_keeps_their_number(tmp_path: Path) -> None:
    source = make_set(tmp_path / "source", 3)
    loaded = datasets.load_dataset("imagefolder", data_dir=str(source), cache_dir=str(tmp_path / "cache"))
    folder = tmp_path / "written"
    folder.mkdir()
    write_rows(loaded, folder)
    assert sorted(Image.open(path).tobytes() for path in folder.rglob("*.png")) == sorted(
        Image.open(path).tobytes() for path in source.iterdir()
    )


def test_a_table_without_pictures_is_refused() -> None:
    with pytest.raises(ValueError, match="no column of pictures called hr, gt, image"):
        write_rows(datasets.Dataset.from_dict({"text": ["a"]}), Path())


def test_what_is_meant_by_a_name(tmp_path: Path, own_home: Path) -> None:
    assert [dataset_id(named) for named in ("set5", "Urban100", "owner/name", "./folder", "/data/Set5", "a/b/c", "folder")] == [
        "eugenesiow/Set5",
        "eugenesiow/Urban100",
        "owner/name",
        None,
        None,
        None,
        None,
    ]
    with pytest.raises(UsageError, match="There is no folder 'nothing'"):
        open_dataset("nothing")
    (own_home / "datasets" / "eugenesiow--Set5").mkdir(parents=True)
    assert fetch("eugenesiow/Set5").name == "eugenesiow--Set5"
    with pytest.raises(AppError, match="No picture lies in"):
        open_dataset("Set5")
