"""A GPU that decodes, and what happens where it does not. No test but the last needs one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import av
import numpy as np
import pytest
from av.codec.hwaccel import HWAccel

from edge.capture.convert import Converter
from edge.capture.video import (
    DEVICE_FAILED,
    MAX_REFUSED,
    NO_DEVICE,
    NOT_THIS,
    Decoding,
    Video,
)
from tests.edge.capture.encoded_clips import numbered, write_video
from tests.edge.capture.test_video import turned
from tests.synthetic_video import number_of

GPU = Decoding(decoder="nvdec")
ZERO_DELAY = {"tune": "zerolatency"}
OFTEN = {"g": "10", "bf": "0"}
"""Options of an encoder: a key picture every ten frames, none that depends on a later one."""


class FailingGpu:
    """A decoder on a GPU that was lost."""

    is_hwaccel = True
    pix_fmt = "cuda"

    def __init__(self, codec: str = "h264", decoder: Any = None, *, lasts: int = 0) -> None:
        """lasts: packets that it decodes, by this decoder, before it is lost."""
        self.name = codec
        self._decoder, self._lasts = decoder, lasts
        self.extradata = decoder.extradata if decoder else None

    def decode(self, packet: object) -> list[av.VideoFrame]:
        self._lasts -= 1
        if self._lasts < 0:
            raise av.error.ExternalError(1, "CUDA_ERROR_UNKNOWN")
        return cast("list[av.VideoFrame]", self._decoder.decode(packet))


def losing_its_gpu(path: Path, *, lasts: int = 0) -> Video:
    """A recording that such a decoder decodes until it is lost."""
    video = Video.open("clip", str(path), decoding=Decoding())
    video._decoder = cast("Any", FailingGpu("h264", video._decoder, lasts=lasts))
    return video


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mkv", numbered(*range(40)), OFTEN, codec="mpeg4")


def numbers(video: Video) -> list[int]:
    """Of all its pictures; then it is closed."""
    found = []
    while video.grab():
        decoded = video.retrieve()
        assert decoded is not None
        found.append(number_of(decoded.image()))
    video.close()
    return found


def test_without_a_gpu_software_decodes_and_says_so(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.capture.video._nvdec", lambda: None)
    video = Video.open("clip", str(clip), decoding=GPU)
    assert numbers(video) == list(range(40))
    assert video.note == NO_DEVICE


def test_a_stream_that_the_device_does_not_know_is_decoded_by_software(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg opens DRM without a device, and it decodes nothing here."""
    monkeypatch.setattr("edge.capture.video._nvdec", lambda: HWAccel("drm"))
    video = Video.open("clip", str(clip), decoding=GPU)
    assert numbers(video) == list(range(40))
    assert video.note == NOT_THIS


def test_a_codec_that_leaves_decoders_a_choice_is_decoded_by_software() -> None:
    stream = SimpleNamespace(codec_context=FailingGpu("mpeg4"), index=0)
    container = SimpleNamespace(format=SimpleNamespace(name="avi"))
    assert Video("clip", cast("Any", container), cast("Any", stream), GPU).note == NOT_THIS


@pytest.fixture
def h264(tmp_path: Path) -> Path:
    """With a key picture every ten frames, and each frame shown when it is decoded."""
    return write_video(tmp_path / "clip.mp4", numbered(*range(40)), OFTEN | ZERO_DELAY, codec="libx264")


def test_when_the_gpu_fails_software_goes_on_from_the_next_key_picture(h264: Path) -> None:
    video = losing_its_gpu(h264)
    assert numbers(video) == list(range(10, 40))
    assert video.note == DEVICE_FAILED
    assert video.corrupt == MAX_REFUSED + 1  # FFmpeg passes over the frames up to the key picture


def test_damaged_data_is_no_failure_of_the_gpu(h264: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = losing_its_gpu(h264)
    damaged = av.error.InvalidDataError(1, "damaged")
    monkeypatch.setattr(video._decoder, "decode", Mock(side_effect=damaged))
    assert numbers(video) == []
    assert video.note == ""


def uprights(video: Video) -> list[tuple[int, tuple[int, ...]]]:
    """The number of each picture of a recording that is turned by 90 degrees, and the shape of its sample."""
    found = []
    while video.grab():
        decoded = video.retrieve()
        assert decoded is not None
        found.append((number_of(np.rot90(decoded.image())), decoded.sample.shape))
    video.close()
    return found


def test_a_turned_recording_stays_upright_after_the_gpu_failed(h264: Path) -> None:
    video = losing_its_gpu(turned(h264, 90), lasts=5)
    expected = [(number, (192, 96, 3)) for number in (*range(5), *range(20, 40))]
    assert uprights(video) == expected
    assert video.note == DEVICE_FAILED


def test_a_turned_recording_of_another_codec_stays_upright(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is opened again, for a decoder without the GPU."""
    clip = write_video(tmp_path / "clip.mp4", numbered(*range(3)), codec="mpeg4")
    gpus = iter([True, False])
    monkeypatch.setattr("edge.capture.video._leaves_a_choice", lambda decoder: next(gpus, False))
    video = Video.open("clip", str(turned(clip, 90)), decoding=Decoding())
    assert uprights(video) == [(number, (192, 96, 3)) for number in range(3)]
    assert video.note == NOT_THIS


def test_as_configured_there_is_nothing_to_say(clip: Path) -> None:
    video = Video.open("clip", str(clip), decoding=Decoding())
    numbers(video)
    assert video.note == ""


@pytest.mark.parametrize(("gpu", "software"), [("nv12", "yuv420p"), ("p010le", "yuv420p10le")])
@pytest.mark.parametrize("size", [(1280, 720), (190, 95)])
def test_a_gpus_frame_becomes_the_same_bits_as_that_of_software(
    gpu: str, software: str, size: tuple[int, int]
) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (size[1], size[0], 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, format="bgr24").reformat(format=software)
    same = frame.reformat(format=gpu)
    assert np.array_equal(Converter(like_software=True)(same), Converter()(frame))


@pytest.mark.gpu
def test_a_real_gpu_gives_the_same_pictures_as_software(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(*range(40), size=(640, 360)), codec="libx264")
    on_gpu, by_software = (Video.open("clip", str(path), decoding=each) for each in (GPU, Decoding()))
    while by_software.grab():
        assert on_gpu.grab()
        ours, expected = on_gpu.retrieve(), by_software.retrieve()
        assert ours is not None
        assert expected is not None
        assert np.array_equal(ours.image(), expected.image())
    assert not on_gpu.grab()
    assert on_gpu.note == ""
