"""Frames that nobody wants, and on which no other depends, are not decoded; the others stay the same."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from edge.capture import RateLimit
from edge.capture.live.ffmpeg import LiveStream
from edge.capture.recordings import Clip
from edge.capture.video import Decoding, Video
from edge.types import Image
from tests.edge.capture.encoded_clips import INTERLACED, numbered, write_video
from tests.fakes import ManualClock
from tests.synthetic_video import number_of

FRAMES = 60

B_FRAMES = {
    "libx264": {"bf": "3", "x264-params": "b-pyramid=normal:keyint=30:scenecut=0:b-adapt=0"},
    "mpeg4": {"bf": "2"},
    "mpeg2video": {"bf": "2"},
}
"""Codecs, and options with which two frames of three or one of two serve no other."""


@pytest.fixture(scope="module", params=B_FRAMES)
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty frames, 25 a second."""
    path = tmp_path_factory.mktemp("clips") / "clip.mkv"
    return write_video(path, numbered(*range(FRAMES)), B_FRAMES[request.param], codec=request.param)


def every_frame(path: Path) -> list[Image]:
    return [image for _, image in frames(path, unwanted=0.0)[0]]


def frames(path: Path, *, unwanted: float, threads: int = 1) -> tuple[list[tuple[float, Image]], int]:
    """Each frame that is decoded, with its position in seconds, and how many were left out."""
    video = Video.open(path.name, str(path), decoding=Decoding(threads))
    found = []
    while video.grab(unwanted=unwanted):
        decoded = video.retrieve()
        assert decoded is not None
        found.append((video.position, decoded.image()))
    video.close()
    return found, video.left_out


def test_every_frame_of_hevc_is_decoded(tmp_path: Path) -> None:
    """A higher layer may need a frame that its own layer does not."""
    options = {"x265-params": "bframes=3:keyint=30:scenecut=0:b-adapt=0:log-level=none"}
    clip = write_video(tmp_path / "clip.mkv", numbered(*range(FRAMES)), options, codec="libx265")
    found, left_out = frames(clip, unwanted=1.0)
    assert (len(found), left_out) == (FRAMES, 0)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_decoded_has_the_same_bits_and_what_is_not_is_counted(clip: Path, threads: int) -> None:
    every = every_frame(clip)
    found, left_out = frames(clip, unwanted=1.0, threads=threads)
    assert len(every) == FRAMES
    assert left_out >= FRAMES / 4
    assert len(found) + left_out == FRAMES
    for position, image in found:
        np.testing.assert_array_equal(image, every[round(position * 25)])


@pytest.mark.parametrize("max_fps", [3.0, 5.0, 10.0, 12.5])
def test_a_recording_gives_the_pictures_that_it_gave_with_every_frame_decoded(
    clip: Path, max_fps: float
) -> None:
    limit, source, found = RateLimit(max_fps), Clip(clip, max_fps), []
    every = every_frame(clip)
    while (got := source.read()) is not None:
        assert got.offset is not None
        found.append(round(got.offset * 25))
        np.testing.assert_array_equal(got.image, every[found[-1]])
    source.close()
    assert found == [number for number in range(FRAMES) if limit.keep(number / 25)]
    assert source.corrupt == 0


def test_every_frame_of_an_interlaced_stream_is_decoded(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mkv", numbered(*range(20)), {**INTERLACED, "bf": "2"})
    found, left_out = frames(clip, unwanted=1.0)
    assert (len(found), left_out) == (20, 0)


@pytest.mark.parametrize("missing", range(8, 24, 3))
def test_after_a_fault_frames_left_out_are_not_taken_for_lost_ones(tmp_path: Path, missing: int) -> None:
    whole = write_video(tmp_path / "whole.mkv", numbered(*range(FRAMES)), B_FRAMES["mpeg4"], codec="mpeg4")
    damaged = without_packet(whole, tmp_path / "damaged.mkv", missing)
    assert corrupt(damaged, 5.0) <= corrupt(damaged, 25.0)


def corrupt(path: Path, max_fps: float) -> int:
    """How many of a recording's frames are counted as corrupt or lost."""
    source = Clip(path, max_fps)
    while source.read() is not None:
        pass
    source.close()
    return source.corrupt


def without_packet(path: Path, to: Path, missing: int) -> Path:
    """A copy in which the picture of one packet was overwritten."""
    with av.open(path) as source, av.open(to, "w") as out:
        track = out.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.dts is None:
                continue
            if number == missing:
                packet.update(bytes(packet)[:8] + bytes(packet.size - 8))
            packet.stream = track
            out.mux(packet)
    return to


def test_a_live_stream_is_thinned_as_evenly_as_with_every_frame_decoded(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mkv", numbered(*range(FRAMES)), B_FRAMES["libx264"], codec="libx264")
    video, clock = Video.open("door", str(clip), decoding=Decoding()), ManualClock()
    stream = LiveStream(video, 5.0, read_timeout=9.0, clock=clock, expect=lambda: pass_time(video, clock))
    found = [number_of(stream.read().image) for _ in range(10)]
    stream.close()
    assert set(np.diff(found)) <= {4, 5, 6}
    assert video.left_out >= 10


def pass_time(video: Video, clock: ManualClock) -> None:
    """The clock shows when the frame last grabbed came."""
    if video.has_times:
        clock.advance(max(0.0, video.position - clock.monotonic()))
