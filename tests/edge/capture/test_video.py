"""What is given was decoded from this source: interlaced, mixed, turned, beside another, damaged."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge.capture.convert import Converter, _Filters, _shape
from edge.capture.source import SAMPLE
from edge.capture.video import Decoding, JpegDecoder, Video
from edge.errors import SourceError
from edge.types import Image
from tests.edge.capture.encoded_clips import INTERLACED, PROGRESSIVE, joined, numbered, write_video
from tests.synthetic_video import number_of, picture


def opened(path: Path, threads: int = 1) -> Video:
    return Video.open(path.name, str(path), decoding=Decoding(threads))


def pictures(video: Video) -> Iterator[Image]:
    """Each of its pictures; then it is closed."""
    while video.grab():
        decoded = video.retrieve()
        assert decoded is not None
        yield decoded.image()
    video.close()


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Thirty frames of one size: progressive, flagged as interlaced, progressive."""
    parts = [
        write_video(tmp_path / f"{flags[:2]}{first}.m2v", numbered(*range(first, first + 10)), options)
        for first, options, flags in ((0, PROGRESSIVE, "p"), (10, INTERLACED, "i"), (20, PROGRESSIVE, "p"))
    ]
    return joined(tmp_path / "mixed.m2v", *parts)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("codec", ["mpeg2video", "mpeg4"])
def test_every_frame_of_an_interlaced_clip_arrives(tmp_path: Path, codec: str, threads: int) -> None:
    clip = write_video(tmp_path / "clip.mkv", numbered(*range(20)), INTERLACED, codec=codec)
    video = opened(clip, threads)
    assert [number_of(image) for image in pictures(video)] == list(range(20))
    assert video.corrupt == 0


def test_a_stream_that_turns_interlaced_and_back_loses_and_repeats_nothing(mixed: Path) -> None:
    video = opened(mixed)
    assert [number_of(image) for image in pictures(video)] == list(range(30))
    assert video.corrupt == 0


def test_of_two_captures_in_a_process_neither_gives_a_picture_of_the_other(
    tmp_path: Path, mixed: Path
) -> None:
    """Their frames are decoded in turn, and all pictures are held: memory used again would show."""
    other = write_video(tmp_path / "other.mkv", numbered(*range(500, 530)), INTERLACED)
    videos = opened(mixed), opened(other)
    held = list(zip(*map(pictures, videos), strict=True))
    assert [[number_of(image) for image in pair] for pair in held] == [[n, 500 + n] for n in range(30)]


def combed(left: int, step: int) -> Image:
    """A white bar that moves on by `step` pixels between the two fields of a frame."""
    image = np.full((128, 256, 3), 30, np.uint8)
    for field in (0, 1):
        image[field::2, left + step * field : left + step * field + 60] = 220
    return image


def test_a_moving_picture_is_not_combed(tmp_path: Path) -> None:
    step = 10
    moving = [combed(20 + 2 * step * n, step) for n in range(6)]
    clip = write_video(tmp_path / "clip.mkv", moving, INTERLACED)
    seen = list(pictures(opened(clip)))
    assert len(seen) == len(moving)
    for n, image in enumerate(seen):
        edge = image[20:-20, 22 + 2 * step * n : 28 + 2 * step * n].astype(float).mean(axis=(1, 2))
        assert np.abs(np.diff(edge)).mean() < 30  # combed: 190


def test_colours_are_the_same_flagged_or_not(tmp_path: Path) -> None:
    still = np.zeros((96, 192, 3), np.uint8)
    still[:, :64], still[:, 64:128], still[:, 128:] = (200, 40, 60), (50, 190, 80), (40, 60, 210)
    flagged, plain = (
        list(pictures(opened(write_video(tmp_path / f"{len(options)}.mkv", [still] * 4, options))))
        for options in (INTERLACED, PROGRESSIVE)
    )
    assert len(flagged) == 4
    for one, other in zip(flagged, plain, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 1.5


def test_a_frame_that_cannot_be_converted_is_counted_and_never_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(frame: object, rotation: int) -> Image:
        raise av.error.ArgumentError(22, "Cannot convert interlaced to progressive frames")

    video = opened(write_video(tmp_path / "clip.mkv", numbered(*range(3))))
    monkeypatch.setattr(video, "_sampler", refuse)
    taken = []
    while video.grab():
        taken.append(video.retrieve())
    video.close()
    assert taken == [None, None, None]
    assert video.corrupt == 3


def test_a_frame_whose_sample_alone_can_be_converted_raises_a_fault_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(frame: object, rotation: int) -> Image:
        raise av.error.ArgumentError(22, "Cannot convert interlaced to progressive frames")

    video = opened(write_video(tmp_path / "clip.mkv", numbered(0)))
    monkeypatch.setattr(video, "_converter", refuse)
    assert video.grab()
    decoded = video.retrieve()
    video.close()
    assert decoded is not None
    with pytest.raises(SourceError, match="cannot be converted"):
        decoded.image()


def test_a_picture_that_is_taken_twice_is_the_same_and_before_the_first_there_is_none(tmp_path: Path) -> None:
    video = opened(write_video(tmp_path / "clip.mkv", numbered(7)))
    assert video.retrieve() is None
    assert video.grab()
    for decoded in (video.retrieve(), video.retrieve()):
        assert decoded is not None
        assert number_of(decoded.image()) == 7
    assert not video.grab()
    assert video.retrieve() is None
    video.close()


@pytest.mark.parametrize("size", [(96, 64), (1280, 720), (400, 900)])
def test_a_sample_shows_what_the_picture_shows_in_the_same_places(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    video = opened(write_video(tmp_path / "clip.mkv", [picture(0x3A7, size)], codec="mpeg4"))
    assert video.grab()
    decoded = video.retrieve()
    assert decoded is not None
    image, sample = decoded.image(), decoded.sample
    video.close()
    assert min(sample.shape[:2]) == min(*size, SAMPLE)
    assert number_of(image) == number_of(sample) == 0x3A7
    small = cv2.resize(image, sample.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - sample).mean() < 2


@pytest.mark.parametrize("name", ["yuv420p", "yuvj420p", "yuv422p", "nv12", "gray", "bgr24"])
@pytest.mark.parametrize("size", [(1280, 720), (190, 95)])
@pytest.mark.parametrize("light", [1, 2, 3])
def test_every_format_is_converted_as_the_reformatter_does(
    name: str, size: tuple[int, int], light: int
) -> None:
    """light: the transfer characteristics, of which 3 is reserved."""
    noise = np.random.default_rng(7).integers(0, 256, (size[1], size[0], 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, format="bgr24").reformat(format=name)
    expected = frame.reformat(format="bgr24", threads=1).to_ndarray()
    frame.color_trc = light
    assert np.array_equal(Converter()(frame), expected)


def test_the_memory_of_a_picture_is_used_again_once_it_is_not_held_any_more(tmp_path: Path) -> None:
    video = opened(write_video(tmp_path / "clip.mkv", numbered(*range(9), size=(1280, 720)), codec="mpeg4"))
    held = [next(taken := pictures(video)), next(taken)]
    assert [number_of(image) for image in held] == [0, 1]
    places = {image.ctypes.data for image in held}
    held.clear()
    assert {image.ctypes.data for image in taken} <= places


def frame_of(level: int, size: tuple[int, int] = (1280, 720)) -> av.VideoFrame:
    image = np.full((size[1], size[0], 3), level, np.uint8)
    return av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p")


def test_cameras_with_frames_of_one_shape_share_the_memory_of_their_pictures() -> None:
    one, other = Converter(), Converter()
    image = one(frame_of(50))
    place = image.ctypes.data
    beside = other(frame_of(200))
    assert (image.mean(), beside.mean()) == pytest.approx((50, 200), abs=9)
    del image
    assert other(frame_of(100)).ctypes.data == place


def test_there_are_as_many_pictures_as_are_held_at_once() -> None:
    """Cameras that convert one after the other, while the picture before is still analysed."""
    converters, size = [Converter() for _ in range(3)], (322, 180)
    places, held = set(), [converters[0](frame_of(0, size)), converters[1](frame_of(0, size))]
    for number in range(12):
        held[number % 2] = np.empty(0, np.uint8)
        held[number % 2] = converters[number % 3](frame_of(number, size))
        places.add(held[number % 2].ctypes.data)
    assert len(places) == 2


def test_what_cameras_share_goes_with_the_last_of_them() -> None:
    one, other, shape = Converter(), Converter(), _shape(frame_of(0, (320, 180)))
    for converter in (one, other):
        converter(frame_of(0, (320, 180)))
    del one, converter
    assert shape in _Filters._known
    other(frame_of(0, (160, 90)))
    assert shape not in _Filters._known


def test_cameras_convert_at_once() -> None:
    def convert(level: int) -> bool:
        converter = Converter()
        return all(abs(converter(frame_of(level, (320, 180))).mean() - level) < 9 for _ in range(50))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(convert, (50, 100, 150, 200)))


IDENTITY = np.array([0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000], ">i4").tobytes()
TURNS = {
    90: (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000),
    180: (-0x10000, 0, 0, 0, -0x10000, 0, 0, 0, 0x40000000),
    270: (0, -0x10000, 0, 0x10000, 0, 0, 0, 0, 0x40000000),
}


def turned(clip: Path, degrees: int) -> Path:
    """The same MP4, whose track now says that it is turned."""
    data = clip.read_bytes()
    track = data.index(IDENTITY, data.index(b"tkhd"))
    matrix = np.array(TURNS[degrees], ">i4").tobytes()
    clip.write_bytes(data[:track] + matrix + data[track + len(matrix) :])
    return clip


@pytest.mark.parametrize("degrees", TURNS)
def test_a_recording_that_says_how_it_was_held_is_turned_upright(tmp_path: Path, degrees: int) -> None:
    """The file names the turn in the matrix of its track, as telephones do; OpenCV turns it as well."""
    clip = write_video(tmp_path / "clip.mp4", numbered(0x123), codec="mpeg4")
    turned(clip, degrees)
    capture = cv2.VideoCapture(str(clip))
    _, expected = capture.read()
    capture.release()
    (image,) = pictures(opened(clip))
    assert np.array_equal(image, expected)
    assert number_of(np.rot90(image, degrees // 90)) == 0x123


def test_a_picture_of_more_than_100_megapixels_is_not_decoded() -> None:
    decoder = JpegDecoder()
    for width in (9_900, 10_100):
        _, data = cv2.imencode(".jpg", np.zeros((10_000, width), np.uint8))
        assert (decoder.decode(data.tobytes()) is not None) == (width == 9_900)


def test_whether_to_give_up_is_asked_after_each_packet(tmp_path: Path) -> None:
    """The decoder and the filter for interlaced pictures each hold one back."""
    video = opened(write_video(tmp_path / "clip.mkv", numbered(*range(4)), INTERLACED))
    asked: list[int] = []

    def give_up() -> bool:
        asked.append(1)
        return False

    assert video.grab(give_up)
    video.close()
    assert len(asked) == 2
