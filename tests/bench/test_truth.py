"""How right the counts are: a few drawn scenes counted, the listing of recordings, and the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.material import timed_pictures, write_idle
from bench.scenes import CYCLE
from bench.truth import Count, begun, count_scene, listed, section


@pytest.mark.parametrize("kind", ["visits", "masks", "sunglasses", "backs"])
def test_scenes_are_counted_right(kind: str):
    counted = count_scene(CYCLE.index(kind))
    assert (counted.name, counted.counted) == (kind, counted.truth)


def test_recordings_are_listed_with_the_range_that_is_right(tmp_path: Path):
    (tmp_path / "one-woman.gif").touch()
    (tmp_path / "field").mkdir()
    rows = "file\ttruth\tlow\thigh\tkind\tnotes\nqueue.mp4\t10\t10\t11\tqueue\tten people\n"
    (tmp_path / "field" / "truth.tsv").write_text(rows)
    assert listed(tmp_path) == [
        (tmp_path / "one-woman.gif", 1, 1, 1),
        (tmp_path / "field" / "queue.mp4", 10, 10, 11),
    ]
    assert listed(tmp_path / "nowhere") == []


@pytest.mark.parametrize(("counted", "error"), [(8, 2), (10, 0), (11, 0), (14, 3)])
def test_an_error_is_the_distance_from_what_is_right(counted: int, error: int):
    assert Count("queue.mp4", 10, 10, 11, counted).error == error


def scenes(*counts: tuple[str, int, int]) -> list[dict]:
    return [{"name": n, "truth": t, "low": t, "high": t, "counted": c} for n, t, c in counts]


def test_errors_of_scenes_do_not_cancel():
    text = section({"clips": [], "scenes": scenes(("visits", 3, 2), ("visits", 2, 3), ("backs", 0, 0))})
    assert "| visits | 2 | 5 | 5 | 2 | 40.0% |" in text
    assert "| backs | 1 | 0 | 0 | 0 | - |" in text
    assert "| all | 3 | 5 | 5 | 2 | 40.0% |" in text


def test_recordings_are_told_with_their_sum():
    clip = {"name": "queue.mp4", "truth": 10, "low": 10, "high": 11, "counted": 13}
    text = section({"clips": [clip], "scenes": []})
    assert "| queue.mp4 | 10 | 10 to 11 | 13 | 2 |" in text
    assert "Errors: 2 of 10 visitors." in text


def test_the_error_of_a_recording_is_the_mean_of_its_starts():
    clip = {"name": "queue.mp4", "truth": 10, "low": 10, "high": 11, "counted": 13, "later": [11, 9, 10]}
    text = section({"clips": [clip], "scenes": []})
    assert "| queue.mp4 | 10 | 10 to 11 | 13, 11, 9, 10 | 0.75 |" in text
    assert "Errors: 0.75 of 10 visitors in the mean of 4 starts." in text


def test_a_recording_begins_at_any_frame(tmp_path: Path):
    clip = write_idle(tmp_path / "idle.mp4", size=(64, 48), seconds=1)
    whole, later = list(begun(clip, 0)), list(begun(clip, 1))
    assert [round(t, 2) for t, _ in whole] == [round(t, 2) for t, _ in timed_pictures(clip, 10.0)]
    assert later[0][0] == 0
    assert not np.array_equal(whole[0][1], later[0][1])


def test_people_out_of_sight_are_a_table_of_their_own():
    hidden = scenes(("replaced", 3, 2), ("returned", 2, 2))
    text = section({"clips": [], "scenes": scenes(("visits", 3, 3)), "hidden": hidden})
    assert "| all | 1 | 3 | 3 | 0 | 0.0% |" in text
    assert "| replaced | 1 | 3 | 2 | 1 | 33.3% |" in text
