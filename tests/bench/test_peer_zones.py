"""Lines and zones beside the peer's: what it gets, how it is judged, and the report that was measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.peers import zones
from bench.recordings import PLACES
from edge.types import KEYPOINTS, Faces, Track, TrackState
from tests.fakes import EPOCH

RESULTS = Path(__file__).parents[2] / "bench" / "results"
BOXES = np.array([[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]], np.float32)


def test_the_peer_gets_every_box_and_the_ids_of_confirmed_tracks() -> None:
    faces = Faces(BOXES, np.full(3, 0.5, np.float32), np.zeros((3, KEYPOINTS, 2), np.float32))
    states = (TrackState.CONFIRMED, TrackState.TENTATIVE, TrackState.LOST)
    places = (2, 0, None)
    tracks = [
        Track(number, BOXES[0], state, EPOCH, EPOCH, face)
        for number, (state, face) in enumerate(zip(states, places, strict=True))
    ]
    found = zones.seen(faces, tracks)
    assert (found["boxes"], found["scores"]) == (BOXES.tolist(), [0.5] * 3)
    assert found["ids"] == [None, None, 0]


def test_errors_are_distances_to_the_truth_of_every_scene() -> None:
    """One too many in one scene does not make up for one too few in another."""
    scenes = [
        {"truth": {"in": 2, "out": 2}, "InStore": {"in": 3, "out": 2}},
        {"truth": {"in": 2, "out": 2}, "InStore": {"in": 1, "out": 2}},
    ]
    assert zones._error(scenes, "InStore", ("in", "out")) == 0.25


def test_a_peer_that_fails_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such module >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(SystemExit, match="no such module"):
        zones.counted_by_peer([], broken)


def test_an_environment_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        zones.main(["--environments", "absent"])
    assert stopped.value.code == 2
    assert "does not exist; run bench/peers/make.sh" in capsys.readouterr().err


def test_the_report_that_is_kept_is_the_one_measured() -> None:
    kept = json.loads((RESULTS / "zones.json").read_text())
    assert (RESULTS / "zones.md").read_text() == zones.markdown(kept)
    recordings = [name for name in kept["cases"] if " " not in name]
    assert len(recordings) == len(PLACES)
