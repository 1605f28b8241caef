"""A picture's memory is written over when nobody holds the picture, and never before."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.capture.buffers import MOST, Buffers
from edge.capture.video import Video


def picture(value: int, size: int = 4) -> np.ndarray:
    return np.full((size, size, 3), value, np.uint8)


class TestBuffers:
    def test_at_first_there_is_none(self):
        assert Buffers().spare() is None

    def test_gives_back_what_nobody_holds(self):
        buffers = Buffers()
        buffers.keep(picture(1))
        spare = buffers.spare()
        assert spare is not None
        assert spare[0, 0, 0] == 1

    @pytest.mark.parametrize("part", [lambda p: p, lambda p: p[1:3], lambda p: p[1:, 1:][:1].T, memoryview])
    def test_not_while_it_or_a_part_of_it_is_held(self, part):
        buffers = Buffers()
        held = part(one := picture(1))
        buffers.keep(one)
        del one
        assert buffers.spare() is None
        del held
        assert buffers.spare() is not None

    def test_not_while_another_thread_works_on_it(self):
        buffers, go_on, begun = Buffers(), threading.Event(), threading.Event()

        def work(image: np.ndarray) -> None:
            begun.set()
            go_on.wait(10)
            assert image is not None

        thread = threading.Thread(target=work, args=(picture(1),))
        buffers.keep(thread._args[0])  # type: ignore[attr-defined]  # no other name may hold the picture
        thread.start()
        begun.wait(10)
        assert buffers.spare() is None
        go_on.set()
        thread.join()
        assert buffers.spare() is not None

    def test_remembers_the_last_few_only(self):
        buffers = Buffers()
        held = [picture(n) for n in range(MOST + 1)]
        for one in held:
            buffers.keep(one)
        del one
        held[0] = held[0][:0].copy()
        assert buffers.spare() is None
        held.clear()
        assert buffers.spare() is not None

    def test_forgets_pictures_of_another_size(self):
        buffers = Buffers()
        buffers.keep(picture(1, size=4))
        buffers.keep(picture(2, size=8))
        assert buffers.spare().shape == (8, 8, 3)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten frames, each one grey level brighter by twenty."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for n in range(10):
        writer.write(np.full((240, 320, 3), 20 * n, np.uint8))
    writer.release()
    return path


def frames(clip: Path):
    video = Video.with_ffmpeg("clip", str(clip), threads=1)
    while video.grab():
        yield video.retrieve()
    video.close()


def test_a_picture_that_is_held_stays_what_it_is(clip: Path):
    held = list(frames(clip))
    assert [round(float(image.mean()) / 20) for image in held] == list(range(10))


def test_one_after_the_other_takes_no_new_memory(clip: Path):
    addresses = {image.__array_interface__["data"][0] for image in frames(clip)}
    assert len(addresses) <= MOST
