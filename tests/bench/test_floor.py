"""The floor and the daemon are measured on the same clip, and their ratio is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import floor
from tests.scene_clips import write_scene


def test_the_daemon_is_measured_beside_the_bare_loop(clip: Path):
    found = floor.efficiency(clip, tile=0, repeats=1, seconds=1.5)
    assert found["per_frame"] == {"far": 1.0, "near": 0.0, "checks": 0.0, "faces": 0.0}
    assert min(found["floor_fps"], found["daemon_fps"], found["floor_cpu_ms"], found["daemon_cpu_ms"]) > 0
    assert found["efficiency"] == pytest.approx(found["daemon_fps"] / found["floor_fps"])
    assert found["cpu_ratio"] == pytest.approx(found["floor_cpu_ms"] / found["daemon_cpu_ms"])


def test_a_bare_loop_judges_the_faces_that_it_owes(clip: Path, monkeypatch):
    judged: list[int] = []

    class Backend:
        def infer(self, batch):
            judged.append(len(batch))

        def close(self):
            pass

    monkeypatch.setattr("edge.inference.open_backend", lambda *_, **__: Backend())
    needed = floor.Needs(far=1.5, near=0.5, faces=8.0)
    assert floor.bare_loop(clip, seconds=0.5, needed=needed, tile=0, threads=1)["fps"] > 0
    assert set(judged[1:]) == {8}
    assert len(judged) > 2


def test_searches_and_second_opinions_are_counted(tmp_path: Path):
    needed = floor.needs(write_scene(tmp_path / "scene.avi", seconds=2), tile=0)
    assert needed.far >= 1
    assert needed.near > 0
    assert needed.checks > 0


def test_what_is_owed_is_done_once_it_is_whole():
    done: list[int] = []
    owed = floor.Owed()
    counts = []
    for _ in range(4):
        owed.pay(1.5, lambda: done.append(1))
        counts.append(len(done))
    assert counts == [1, 3, 4, 6]


def test_a_child_that_fails_says_why():
    with pytest.raises(SystemExit, match=r"bench\.floor parts absent\.mp4"):
        floor._child("parts", "absent.mp4", "0.1")


@pytest.mark.parametrize("what", ["parts", "loop"])
def test_a_clip_without_pictures_ends_with_a_message(what: str, tmp_path: Path, monkeypatch):
    unreadable = tmp_path / "empty.mp4"
    unreadable.touch()
    with pytest.raises(SystemExit, match=r"empty\.mp4: "):
        floor.main([what, str(unreadable), "0.1"])
    monkeypatch.setattr(floor, "pictures", lambda *_: iter(()))
    with pytest.raises(SystemExit, match="holds no pictures"):
        floor.main([what, "blank.mp4", "0.1"])


def test_the_report_tells_both():
    cost = {"cpu_ms": 1.5, "wall_ms": 2.5}
    each = {"far": 2.25, "near": 1.0, "checks": 0.8, "faces": 0.5}
    case = {"case": "busy", "size": "1x1", "per_frame": each, "floor_fps": 100.0, "daemon_fps": 92.0,
            "efficiency": 0.92, "floor_cpu_ms": 9.0, "daemon_cpu_ms": 10.0, "cpu_ratio": 0.9}  # fmt: skip
    text = floor.section({"parts": {"decode": cost}, "efficiency": [case]})
    assert "| decode | 1.50 | 2.50 |" in text
    assert "| busy | 1x1 | 2.2 | 1.0 | 0.8 | 0.5 | 100.0 | 92.0 | **0.92** | 9.0 | 10.0 | 0.90 |" in text
