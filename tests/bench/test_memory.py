"""Memory: the first camera, each further one, and flat over many frames."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import memory
from bench.material import Material, pictures
from edge.commands.bench.box import Work


def test_a_leak_is_seen_and_noise_is_not():
    leaking = [(n * 100, 300.0 + 0.001 * n * 100) for n in range(50)]
    assert memory.growth(leaking) == pytest.approx(10.0)
    level = [(n * 100, 300.0 + (n % 2)) for n in range(50)]
    assert abs(memory.growth(level)) < memory.FLAT
    warming = [(n * 100, 300.0 if n > 20 else 200.0 + n) for n in range(50)]
    assert memory.growth(warming) == pytest.approx(0.0, abs=1e-6)


def test_further_cameras_are_what_five_take_more_than_one(material: Material, monkeypatch):
    def work(clip: Path, cameras: int, **_: object) -> Work:
        return Work(cameras, 1.0, 1, 0, 1.0, 1.0, 1.0, 300.0 + 25 * (cameras - 1))

    monkeypatch.setattr(memory, "work", work)
    found = memory.measure(material, quick=True, step=lambda text: None)
    assert [(box["first_mb"], box["further_mb"]) for box in found["boxes"]] == [(300.0, 25.0)] * 3


def test_a_short_soak_is_flat(clip: Path):
    """The suite's share of `python -m bench.memory --frames 200000`."""
    found = memory.soak(list(pictures(clip, 5.0)), 4000)
    assert found["windows"] > 0
    assert len(found["samples"]) == memory.SAMPLES
    assert found["growth_mb"] < 5 * memory.FLAT, found["samples"]


def test_a_soak_is_kept_for_machines_and_for_people(clip: Path, tmp_path: Path):
    arguments = ["--frames", "10", "--clip", str(clip), "--out", str(tmp_path / "kept" / "memory")]
    assert memory.main(arguments) in (0, 1)  # so few frames are flat or not by chance
    kept = json.loads((tmp_path / "kept" / "memory.json").read_text(encoding="utf-8"))
    assert (kept["command"], kept["soak"]["frames"]) == ("python -m bench.memory --frames 10", 10)
    assert "A soak of 10 frames" in (tmp_path / "kept" / "memory.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("frames", ["0", "-1"])
def test_no_frames_are_refused(frames: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        memory.main(["--frames", frames])
    assert stopped.value.code == 2
    assert f"--frames {frames}: too small; allowed: 1 or more" in capsys.readouterr().err
