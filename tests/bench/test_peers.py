"""The comparison: ours and the loop run on the same frames, and the report is the one that was measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench.peers import run as peers

RESULTS = Path(__file__).parents[2] / "bench" / "results"


def peer(name: str, cpu: float, faces: int) -> dict:
    return {"peer": name, "cpu_seconds": cpu, "seconds": 2 * cpu, "frames": 10, "searched": 10,
            "faces": faces, "visitors": None, "rss_mb": 1.0}  # fmt: skip


def test_ours_and_the_loop_run_on_the_same_frames(clip: Path, tmp_path: Path):
    found = peers.measure(clip, tmp_path / "none", repeats=1, frames=5)
    assert [one["peer"].partition(",")[0] for one in found] == [
        *["InStore"] * 4,
        *["InStore on ONNX Runtime"] * 2,
        "tutorial loop",
    ]
    for one in found:
        assert one["frames"] == 5
        assert 0 < one["searched"] <= 5
        assert min(one["seconds"], one["cpu_seconds"], one["rss_mb"]) > 0
        assert one["faces"] == 0


def test_environments_that_are_there_are_run(tmp_path: Path):
    (tmp_path / "roboflow" / "bin").mkdir(parents=True)
    (tmp_path / "roboflow" / "bin" / "python").touch()
    (tmp_path / "node" / "node_modules").mkdir(parents=True)
    *_, roboflow, human = peers.commands(Path("a.mp4"), Path("a.rgb"), tmp_path)
    assert roboflow[1:] == ["-m", "bench.peers.roboflow", "a.mp4"]
    assert human == ["node", "bench/peers/human.mjs", "a.rgb", str(tmp_path / "node")]


def test_a_peer_that_fails_says_why():
    with pytest.raises(SystemExit, match=r"(?s)-m bench\.peers\.tutorial failed.*IndexError"):
        peers.run([sys.executable, "-m", "bench.peers.tutorial"])


@pytest.mark.parametrize(
    ("ours", "faces", "told"),
    [(0.10, 50, "10.0, met"), (0.20, 50, "20.0, **missed**"), (0.10, 40, "inf, **missed**")],
)
def test_the_goal_counts_only_with_more_faces(ours: float, faces: int, told: str):
    found = [peer("InStore, 10", ours, faces), peer("tutorial loop", 0.4, 40)]
    assert told in peers.verdict(found)


def test_the_report_that_is_kept_is_the_one_measured():
    kept = json.loads((RESULTS / "peers.json").read_text())
    assert (RESULTS / "peers.md").read_text() == peers.markdown(kept)
    assert len(kept["peers"]) == 9


def test_a_clip_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        peers.main(["--environments", ".", "--clip", "absent.mp4"])
    assert stopped.value.code == 2
    assert "absent.mp4: the file does not exist; give a recording" in capsys.readouterr().err
