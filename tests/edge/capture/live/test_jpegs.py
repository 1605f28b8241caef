"""JPEGs are found in whatever a camera sends around them, whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.live.jpegs import JpegReader
from edge.capture.video import JpegDecoder
from tests.mjpeg_server import jpeg
from tests.synthetic_video import number_of, picture

JPEGS = [jpeg(picture(number)) for number in range(8)]
SIZES = [1, 7, 100, 10**6]

Part = Callable[[bytes], bytes]


def multipart(frame: bytes) -> bytes:
    return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(frame), frame)


def wrong_length(frame: bytes) -> bytes:
    return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 7\r\n\r\n%b\r\n" % frame


def without_type(frame: bytes) -> bytes:
    return b"\r\n--frame\r\n\r\n" + frame


def bare(frame: bytes) -> bytes:
    return frame


def read(data: bytes, size: int) -> tuple[list[bytes], int]:
    """What comes of a stream in pieces of `size` bytes, and how many pictures were not whole."""
    reader, found = JpegReader(), list[bytes]()
    for start in range(0, len(data), size):
        found += reader.feed(data[start : start + size])
    return found, reader.corrupt


def sent(frames: Iterable[bytes], part: Part = multipart) -> bytes:
    return b"".join(map(part, frames))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("part", [multipart, wrong_length, without_type, bare])
def test_every_picture_arrives_however_it_is_wrapped(part: Part, size: int) -> None:
    assert read(sent(JPEGS, part), size) == (JPEGS, 0)


@pytest.mark.parametrize("size", SIZES)
def test_the_first_boundary_may_be_missing(size: int) -> None:
    assert read(sent(JPEGS)[len(b"--frame\r\n") :], size) == (JPEGS, 0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cut", [3, 100, 400, 900, -2])
def test_a_picture_that_is_cut_off_costs_no_other(cut: int, size: int) -> None:
    frames = [*JPEGS[:3], JPEGS[3][:cut], *JPEGS[4:]]
    assert read(sent(frames), size) == ([*JPEGS[:3], *JPEGS[4:]], 1)


@pytest.mark.parametrize("size", SIZES)
def test_parts_without_a_picture_are_counted(size: int) -> None:
    frames = [JPEGS[0], b"", JPEGS[1], b"no picture at all" * 9, b"no picture", JPEGS[2]]
    assert read(sent(frames), size) == (JPEGS[:3], 3)


def test_a_preview_within_a_picture_is_part_of_it() -> None:
    preview = jpeg(picture(5, (32, 16)))
    segment = b"\xff\xe1" + (len(preview) + 2).to_bytes(2) + preview
    whole = JPEGS[0][:2] + segment + JPEGS[0][2:]
    assert read(sent([whole, JPEGS[1]], bare), 100) == ([whole, JPEGS[1]], 0)
    image = JpegDecoder().decode(whole)
    assert image is not None
    assert number_of(image) == 0


def test_a_stream_without_an_end_is_not_held() -> None:
    reader, begun = JpegReader(), time.process_time()
    for _ in range(600):
        assert reader.feed(b"\0" * 100_000) == []
    reader.feed(JPEGS[0][:-2])
    for _ in range(600):
        assert reader.feed(b"\1" * 100_000) == []
    assert len(reader._held) < 40_000_000
    assert reader.feed(JPEGS[1] * 2)[-1:] == [JPEGS[1]]
    assert time.process_time() - begun < 20


@given(
    st.lists(st.sampled_from(JPEGS) | st.binary(max_size=40) | st.just(b"\r\n--b\r\n"), max_size=12),
    st.integers(1, 5000),
)
def test_pieces_make_no_difference_and_no_whole_picture_is_made_up(parts: list[bytes], size: int) -> None:
    data = b"".join(parts)
    found, corrupt = read(data, size)
    assert (found, corrupt) == read(data, len(data) or 1)
    assert all(one.startswith(b"\xff\xd8\xff") and one.endswith(b"\xff\xd9") and one in data for one in found)


@pytest.mark.parametrize(
    "data", [b"", b"no picture", JPEGS[0][:500], JPEGS[0][:-300], JPEGS[0][:-200] + b"\xff\xd9", JPEGS[0][2:]]
)
def test_what_is_no_whole_picture_is_not_decoded(data: bytes) -> None:
    decoder = JpegDecoder()
    assert decoder.decode(data) is None
    image = decoder.decode(JPEGS[4])
    assert image is not None
    assert number_of(image) == 4
