"""Frames that nobody wants, and on which no other depends, are not decoded; the others stay the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from av.container import InputContainer

from edge.capture import RateLimit
from edge.capture.live.ffmpeg import LiveStream
from edge.capture.recordings import Clip
from edge.capture.video import Decoding, LeftOut, Video
from edge.errors import SourceError
from edge.types import Image
from tests.edge.capture.encoded_clips import INTERLACED, numbered, write_video
from tests.fakes import ManualClock

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


@pytest.mark.parametrize("missing", range(14, 26))
def test_a_frame_that_cannot_be_left_out_as_it_is_unreadable_counts_once(
    tmp_path: Path, missing: int
) -> None:
    whole = write_video(tmp_path / "whole.mkv", numbered(*range(FRAMES)), B_FRAMES["mpeg4"], codec="mpeg4")
    damaged = without_packet(whole, tmp_path / "damaged.mkv", missing, kept=0)
    assert corrupt(damaged, 5.0) == corrupt(damaged, 25.0) > 0


def test_what_was_left_out_before_the_time_falls_back_is_counted_then() -> None:
    left_out = LeftOut()
    left_out.open(0.0, 9.0, lambda: True)
    left_out.show(frame_of(3))
    assert all(left_out.takes(packet_of(pts)) for pts in (1, 2, 4, 5))
    left_out.show(frame_of(2))
    assert left_out.count == 3  # of the time before 4 and 5, then 1
    left_out.show(frame_of(9))
    assert left_out.count == 3


def frame_of(pts: int) -> av.VideoFrame:
    frame = av.VideoFrame(16, 16)
    frame.pts = pts
    return frame


def packet_of(pts: int) -> av.Packet[Any]:
    packet: av.Packet[Any] = av.Packet(1)
    packet.pts, packet.time_base = pts, Fraction(1)
    return packet


def corrupt(path: Path, max_fps: float) -> int:
    """How many of a recording's frames are counted as corrupt or lost."""
    source = Clip(path, max_fps)
    while source.read() is not None:
        pass
    source.close()
    return source.corrupt


def without_packet(path: Path, to: Path, missing: int, *, kept: int = 8) -> Path:
    """A copy in which one packet was overwritten but for its first bytes."""
    with av.open(path) as source, av.open(to, "w") as out:
        track = out.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if not packet.size:
                continue
            if number == missing:
                packet.update(bytes(packet)[:kept] + bytes(packet.size - kept))
            packet.stream = track
            out.mux(packet)
    return to


@pytest.mark.parametrize(("speed", "most_left_out"), [(1.0, 20), (0.5, 18), (0.25, 4)])
def test_a_live_stream_is_thinned_as_evenly_as_with_every_frame_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speed: float, most_left_out: int
) -> None:
    """speed: of the stream's clock, which may be wrong: what is needed is a matter of the true one."""
    clip = write_video(tmp_path / "clip.mkv", numbered(*range(FRAMES)), B_FRAMES["libx264"], codec="libx264")
    found, left_out = arrivals(clip, speed)
    monkeypatch.setattr(LeftOut, "takes", lambda *_: False)
    assert (found, 0) == arrivals(clip, speed)
    assert 0 < left_out <= most_left_out


@pytest.mark.parametrize("own", [0.0, 0.05, 0.1, 0.15])
def test_frames_left_out_show_that_a_live_stream_is_faster_than_it_needs_be(clip: Path, own: float) -> None:
    times, _ = arrivals(clip, 1.0, own)
    late = [(at - (own - 0.1) + 1e-6) % 0.2 for at in times if at > 1.8]
    assert late
    assert max(late) <= 0.04 + 2e-6


def arrivals(clip: Path, speed: float, own: float | None = None) -> tuple[list[float], int]:
    """When the pictures of a live stream come, 5 a second at most, and how many were left out."""
    video, clock, times = Video.open("door", str(clip), decoding=Decoding()), ManualClock(), []
    video._container = cast("InputContainer", Arriving(video._container, clock, 0.04 / speed))
    stream = LiveStream(video, 5.0, read_timeout=9.0, clock=clock, own=own)
    with suppress(SourceError):  # the stream ends
        while stream.read():
            times.append(clock.monotonic())
    stream.close()
    return times, video.left_out


class Arriving:
    """A stream of which a packet comes every `period` seconds of the clock."""

    def __init__(self, container: InputContainer, clock: ManualClock, period: float) -> None:
        self._container, self._clock, self._period = container, clock, period

    def demux(self) -> Iterator[av.Packet[Any]]:
        for packet in self._container.demux():
            self._clock.advance(self._period)
            yield packet

    def close(self) -> None:
        self._container.close()
