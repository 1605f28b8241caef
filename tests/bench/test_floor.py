"""The floor and the daemon are measured on the same clip, and their ratio is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import floor


def test_the_daemon_is_measured_beside_the_bare_loop(clip: Path):
    found = floor.efficiency(clip, tile=0, repeats=1, seconds=1.5)
    assert found["faces_judged_per_frame"] == 0
    assert min(found["floor_fps"], found["daemon_fps"], found["floor_cpu_ms"], found["daemon_cpu_ms"]) > 0
    assert found["efficiency"] == pytest.approx(found["daemon_fps"] / found["floor_fps"])
    assert found["cpu_ratio"] == pytest.approx(found["floor_cpu_ms"] / found["daemon_cpu_ms"])


def test_a_bare_loop_judges_the_faces_that_it_owes(clip: Path, monkeypatch):
    judged: list[int] = []

    class Backend:
        def infer(self, batch):
            judged.append(len(batch))

    monkeypatch.setattr("edge.inference.open_backend", lambda *_, **__: Backend())
    assert floor.bare_loop(clip, seconds=0.5, faces=8.0, threads=1)["fps"] > 0
    assert set(judged[1:]) == {8}
    assert len(judged) > 2


def test_a_child_that_fails_says_why():
    with pytest.raises(SystemExit, match=r"bench\.floor parts absent\.mp4"):
        floor._child("parts", "absent.mp4", "0.1")


def test_the_report_tells_both():
    cost = {"cpu_ms": 1.5, "wall_ms": 2.5}
    case = {"case": "busy", "size": "1x1", "floor_fps": 100.0, "daemon_fps": 92.0, "efficiency": 0.92,
            "floor_cpu_ms": 9.0, "daemon_cpu_ms": 10.0, "cpu_ratio": 0.9}  # fmt: skip
    text = floor.section({"parts": {"decode": cost}, "efficiency": [case]})
    assert "| decode | 1.50 | 2.50 |" in text
    assert "| busy | 1x1 | 100.0 | 92.0 | **0.92** | 9.0 | 10.0 | 0.90 |" in text
