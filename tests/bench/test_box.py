"""A box that watches itself tells what it did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.box import Held, configuration, work
from edge.commands.bench.box import Work
from edge.config import load_settings


@pytest.mark.parametrize("memory", [True, False])
def test_a_box_keeps_up_with_two_idle_cameras(clip: Path, memory: bool):
    done = work(clip, 2, fps=5.0, seconds=2.0, memory=memory)
    assert done.cameras == 2
    assert done.analysed + done.dropped == pytest.approx(2 * 5.0 * done.seconds, rel=0.4)
    assert 0 < done.decision_p50_ms <= done.decision_p95_ms
    assert done.cores > 0
    assert 100 < done.rss_mb < 1000


def test_a_box_that_fails_says_why(tmp_path: Path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(SystemExit, match=r"a box of 1 cameras on bad\.mp4 failed"):
        work(tmp_path / "bad.mp4", 1, fps=5.0, seconds=1.0, memory=True)


def test_its_configuration_is_valid(tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_text(
        configuration(
            Path("a clip.mp4"), 3, fps=5.0, pace="full", tile=0, engine="onnxruntime", state="state"
        )
    )
    settings = load_settings(path)
    assert [camera.loop for camera in settings.cameras] == [True] * 3
    assert {camera.source for camera in settings.cameras} == {str(Path("a clip.mp4").absolute())}
    assert settings.windows.length == 10


def test_held_pictures_come_again_while_time_goes_on():
    images = [np.full((2, 2, 3), n, np.uint8) for n in range(3)]
    source = Held(images, fps=5.0)
    read = [source.read() for _ in range(5)]
    assert [int(picture.image[0, 0, 0]) for picture in read] == [0, 1, 2, 0, 1]
    assert [picture.offset for picture in read] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert int(Held(images, fps=5.0, begin=2 / 3).read().image[0, 0, 0]) == 2


def test_processor_time_is_told_for_each_frame():
    done = Work(cameras=1, seconds=2.0, analysed=10, dropped=0, cores=0.5, decision_p50_ms=1,
                decision_p95_ms=2, rss_mb=1)  # fmt: skip
    assert done.cpu_ms_per_frame == pytest.approx(100)
    assert done.fps == pytest.approx(5)
