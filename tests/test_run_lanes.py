"""In which order a run computes, what it tries again, and when it gives a model up: without any process."""

from pathlib import Path

import pytest

from benchmark.runs.lanes import entry_of, plan_lanes
from benchmark.schema import Row
from benchmark.storage.records import WaitingCell


def cell(
    number: int, upscaler: str, picture: int, *, runtime: str = "opencv", scale: int = 2, expected_s: float | None = 1.0
) -> WaitingCell:
    row = Row(upscaler=upscaler, scale=scale, runtime=runtime, precision="f32", threads=1, lr_source="bicubic")
    return WaitingCell(number, picture, "set", f"{picture}.png", Path("a.png"), "0" * 64, None, None, expected_s, row)


def ids(groups: list[list[WaitingCell]]) -> list[list[int]]:
    return [[each.id for each in group] for group in groups]


def test_interpolators_share_a_lane_picture_by_picture_and_networks_have_their_own_the_quickest_first() -> None:
    cells = [
        cell(1, "slow", 1, expected_s=9.0),
        cell(2, "unknown", 1, expected_s=None),
        cell(3, "bicubic", 1, runtime="pillow"),
        cell(4, "bicubic", 2, runtime="pillow"),
        cell(5, "lanczos", 1, runtime="pillow"),
        cell(6, "lanczos", 2, runtime="pillow"),
        cell(7, "quick", 1, expected_s=1.0),
        cell(8, "quick", 2, expected_s=1.0),
        cell(9, "quick", 1, scale=4, expected_s=0.5),
    ]
    assert [ids(lane.take(10)) for lane in plan_lanes(cells)] == [[[3, 5], [4, 6]], [[9]], [[7], [8]], [[1]], [[2]]]


def test_what_is_given_back_comes_first_again() -> None:
    (lane,) = plan_lanes([cell(number, "a", number) for number in range(5)])
    taken = lane.take(3)
    assert lane.pictures_waiting == 2
    assert lane.give_back(taken[1:]) == []
    assert ids(lane.take(10)) == [[1], [2], [3], [4]]


def test_a_cell_over_which_a_process_died_is_tried_once_more() -> None:
    first, second = cell(1, "a", 1), cell(2, "a", 2)
    (lane,) = plan_lanes([first, second])
    assert [lane.may_try_again(first), lane.may_try_again(second), lane.may_try_again(first)] == [True, True, False]


@pytest.mark.parametrize(
    ("statuses", "given_up"),
    [
        (["crashed", "crashed"], True),
        (["crashed", "timeout"], True),
        (["crashed", "ok", "crashed"], False),
        (["oom", "oom", "failed", "failed"], False),
    ],
)
def test_a_model_is_given_up_after_two_pictures_in_a_row_that_killed_it(statuses: list[str], given_up: bool) -> None:
    cells = [cell(number, "a", number, runtime="pillow") for number in range(8)]
    others = [cell(10 + number, "b", number, runtime="pillow") for number in range(8)]
    (lane,) = plan_lanes([*cells, *others])
    taken = lane.take(len(statuses) + 1)
    skipped = [each for index, status in enumerate(statuses) for each in lane.note(cells[index], status)]
    # What was taken and not computed, and what still waits, but nothing of the other model.
    skipped += lane.give_back(taken[-1:])
    assert [each.id for each in skipped] == ([*range(len(statuses) + 1, 8), len(statuses)] if given_up else [])
    left = [each for group in lane.take(10) for each in group]
    assert {entry_of(each) for each in left} == ({entry_of(others[0])} if given_up else {entry_of(cells[0]), entry_of(others[0])})
