"""What is measured on is what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.material import gather, picture_size, pictures, shrink


def test_the_idle_scene_is_still_but_for_noise(clip: Path):
    first, *others = pictures(clip, 5.0)
    assert len(others) >= 4
    for other in others:
        difference = np.abs(first.astype(int) - other.astype(int))
        assert 0 < difference.mean() < 6


def test_no_more_pictures_than_asked_for(clip: Path):
    assert len(list(pictures(clip, 25.0, most=3))) == 3


def test_a_clip_is_shrunk_and_cut(clip: Path, tmp_path: Path):
    small = shrink(clip, tmp_path / "small.mp4", size=(160, 90), frames=7)
    assert picture_size(small) == "160x90"
    assert len(list(pictures(small, 120.0))) == 7


def test_without_recordings_the_demo_s_scene_stands_in(tmp_path: Path, monkeypatch):
    def write(scene: object, path: Path) -> None:
        path.write_bytes(b"")

    monkeypatch.setattr("edge.commands.demo.scene.write_clip", write)
    monkeypatch.setattr("bench.material.write_idle", lambda to: to)
    monkeypatch.setattr("bench.material.shrink", lambda clip, to: to)
    found = gather(tmp_path / "absent", tmp_path)
    assert found.composed
    assert found.large == tmp_path / "scene.mp4"
    assert found.others == ()
