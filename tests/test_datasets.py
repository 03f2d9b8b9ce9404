"""Folders of pictures: which layouts are understood, what is left out, and when the hash of a set changes."""

import os
import re
from pathlib import Path

import pytest

from benchmark.datasets.dataset import UNREADABLE, Dataset, open_folder
from core.errors import UsageError
from tests.pictures import noise, png


def write(root: Path, *paths: str, width: int = 16, height: int = 8) -> Path:
    """Pictures at these paths, each with pixels of its own."""
    for index, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(png(noise(width, height, seed=index)))
    return root


def pairs(dataset: Dataset, scale: int) -> dict[str, tuple[str, str | None]]:
    """Name -> paths of original and small version below the set's folder."""

    def relative(path: Path) -> str:
        return path.relative_to(dataset.root).as_posix()

    return {
        picture.name: (relative(picture.original.path), relative(picture.small.path) if picture.small else None)
        for picture in dataset.pictures(scale)
    }


def test_every_picture_of_a_plain_folder_is_an_original_and_folders_may_be_nested(tmp_path: Path) -> None:
    dataset = open_folder(write(tmp_path, "a.png", "deep/er/a.png", "deep/photo_x2.jpg"))
    assert pairs(dataset, 2) == {
        "a.png": ("a.png", None),
        "deep/er/a.png": ("deep/er/a.png", None),
        "deep/photo_x2.jpg": ("deep/photo_x2.jpg", None),
    }
    assert len(dataset) == 3
    assert not dataset.has_small(2)


@pytest.mark.parametrize(
    ("original", "small"),
    [
        ("x2/HR/bird.png", "x2/LR/bird.png"),
        ("HR/bird.png", "LR/X2/bird.png"),
        ("DIV2K_valid_HR/bird.png", "DIV2K_valid_LR_bicubic/X2/birdx2.png"),
        ("Set5_HR/bird.png", "Set5_LR_x2/bird.jpg"),
        ("GTmod12/bird.png", "LRbicx2/bird.png"),
        ("image_SRF_2/bird_SRF_2_HR.png", "image_SRF_2/bird_SRF_2_LR.png"),
        ("bird_HR.png", "bird_LR_x2.png"),
        ("bird_HR.png", "birdx2_LR.png"),
    ],
)
def test_originals_and_small_versions_find_each_other_in_the_usual_layouts(tmp_path: Path, original: str, small: str) -> None:
    dataset = open_folder(write(tmp_path, original, small))
    assert pairs(dataset, 2) == {"bird": (original, small)}
    assert pairs(dataset, 4) == {"bird": (original, None)}
    assert (dataset.has_small(2), dataset.has_small(4)) == (True, False)


def test_a_small_version_without_a_scale_in_its_name_gets_that_of_the_sizes(tmp_path: Path) -> None:
    write(tmp_path, "HR/a.png", width=31, height=22)
    write(tmp_path, "LR/a.png", width=10, height=7)
    dataset = open_folder(tmp_path)
    assert pairs(dataset, 3) == {"a": ("HR/a.png", "LR/a.png")}
    assert pairs(dataset, 2) == {"a": ("HR/a.png", None)}


def test_a_small_version_belongs_to_the_original_of_its_very_name_first(tmp_path: Path) -> None:
    dataset = open_folder(write(tmp_path, "HR/road_x2.png", "LR_x2/road_x2.png", "HR/lane.png", "LR_x2/lane_x2.png"))
    assert pairs(dataset, 2) == {"lane": ("HR/lane.png", "LR_x2/lane_x2.png"), "road_x2": ("HR/road_x2.png", "LR_x2/road_x2.png")}


def test_a_scale_without_originals_of_its_own_takes_the_largest_ones(tmp_path: Path) -> None:
    write(tmp_path, "x3/HR/a.png", width=15, height=15)
    write(tmp_path, "x2/HR/a.png", width=16, height=16)
    assert pairs(open_folder(tmp_path), 8) == {"a": ("x2/HR/a.png", None)}


def test_what_is_hidden_or_no_picture_is_left_out_and_counted(tmp_path: Path) -> None:
    write(tmp_path, "a.png", ".hidden.png", ".cache/b.png", "__MACOSX/c.png")
    (tmp_path / "readme.txt").write_text("a.png is a picture")
    dataset = open_folder(tmp_path)
    assert dataset.names == ["a.png"]
    assert dataset.left_out == 1
    paired = open_folder(write(tmp_path / "paired", "HR/a.png", "LR_x2/a.png", "LR_x2/without_original.png", "preview.png"))
    assert paired.names == ["a"]
    assert paired.left_out == 2


def test_links_are_followed_and_a_circle_of_them_ends(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/a.png", "set/b.png")
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "set")
    assert open_folder(tmp_path / "set").names == ["b.png", "linked/a.png"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path, "a.png")
    os.mkfifo(tmp_path / "b.png")
    assert open_folder(tmp_path).names == ["a.png"]


def test_a_file_that_is_no_picture_inside_stays_in_the_set(tmp_path: Path) -> None:
    write(tmp_path, "a.png")
    (tmp_path / "b.png").write_text("no picture")
    assert [picture.original.size for picture in open_folder(tmp_path).pictures(2)] == [(16, 8), None]


def test_the_hash_of_a_set_changes_with_a_pixel_a_name_or_a_picture_and_with_nothing_else(tmp_path: Path) -> None:
    first = open_folder(write(tmp_path / "one", "HR/a.png", "HR/b.png", "LR_x2/a.png", "LR_x2/b.png"))
    (tmp_path / "one" / "note.txt").write_text("no picture")
    os.utime(tmp_path / "one" / "HR" / "a.png", (0, 0))
    assert open_folder(tmp_path / "one", name="called otherwise").sha256 == first.sha256
    assert re.fullmatch("[0-9a-f]{64}", first.sha256)
    seen = {first.sha256}
    copy = tmp_path / "one"
    for change in (
        lambda: (copy / "LR_x2" / "a.png").write_bytes(png(noise(16, 8, seed=99))),
        lambda: (copy / "HR" / "b.png").rename(copy / "HR" / "c.png"),
        lambda: write(copy, "HR/d.png"),
        lambda: (copy / "LR_x2").rename(copy / "LR_x4"),
    ):
        change()
        seen.add(open_folder(copy).sha256)
    assert len(seen) == 5


def test_a_file_that_may_not_be_read_stays_in_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.png")
    opened = Path.open

    def refusing(path: Path, *arguments, **options):
        if path.name == "a.png":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)
    assert open_folder(tmp_path).pictures(2)[0].original.sha256 == UNREADABLE


@pytest.mark.parametrize(
    ("paths", "text"),
    [
        ((), "No picture lies in"),
        (("HR/a.png", "HR/a.jpg"), "are both HR of 'a': keep one of them."),
    ],
)
def test_a_folder_that_is_no_set_is_refused_in_one_line(tmp_path: Path, paths: tuple[str, ...], text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(text)) as refused:
        open_folder(write(tmp_path, *paths))
    assert "\n" not in str(refused.value)


def test_a_folder_that_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no folder"):
        open_folder(tmp_path / "none")


def test_set5_and_set14_have_their_small_versions(published_sets: Path) -> None:
    for name, count in (("Set5", 5), ("Set14", 14)):
        dataset = open_folder(published_sets / name)
        assert (dataset.name, len(dataset), dataset.left_out) == (name, count, 0)
        assert [scale for scale in (2, 3, 4, 8) if dataset.has_small(scale)] == [2, 3, 4]
        for scale in (2, 3, 4):
            assert all(picture.small for picture in dataset.pictures(scale))
