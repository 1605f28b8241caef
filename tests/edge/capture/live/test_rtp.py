"""What RTSP cameras do to their streams, packet by packet."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from edge.capture.live.address import Timeouts
from edge.capture.live.ffmpeg import LiveStream
from edge.capture.video import MAX_CORRUPT, MAX_DAMAGED
from edge.clock import SystemClock
from edge.errors import SourceError
from tests.patience import PATIENCE
from tests.rtp_camera import CLOCK, RtpCamera, coded, packets
from tests.synthetic_video import number_of, picture

KEY_EVERY = 10
CODECS = {"libx264": "H264", "libx265": "H265"}
UNITS = {
    codec: coded([picture(number) for number in range(30)], codec, key_every=KEY_EVERY) for codec in CODECS
}
ALL = list(range(30))


def stamp(number: int) -> bytes:
    """The time stamp of a picture."""
    return (number * CLOCK // 25).to_bytes(4)


def seen(camera: RtpCamera) -> tuple[list[int], int]:
    """The numbers of the pictures that come, and how many were dropped as corrupt."""
    numbers = []
    with camera:
        source = LiveStream.from_rtsp(camera.url, None, Timeouts(PATIENCE, PATIENCE), 1e6, SystemClock())
        try:
            while (got := source.read()) is not None:
                numbers.append(number_of(got.image))
        except SourceError as fault:
            assert str(fault).endswith("the stream ended")
        source.close()
    return numbers, source.corrupt


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "time",
    [
        lambda number: number * CLOCK // 25 + (0 if number % 7 else 9_800 * CLOCK),
        lambda number: number * CLOCK // 25 - (0 if number % 7 else 9_800 * CLOCK),
        lambda number: number % 15 * CLOCK // 25 + (10**9 if number < 15 else 0),
        lambda number: 0,
    ],
    ids=["some hours ahead", "some hours behind", "reset", "all the same"],
)
def test_time_stamps_that_jump_lose_no_picture(codec: str, time: Callable[[int], int]) -> None:
    assert seen(RtpCamera(packets(UNITS[codec], codec, time), codec=CODECS[codec])) == (ALL, 0)


@pytest.mark.parametrize("codec", CODECS)
def test_a_stream_that_begins_between_key_pictures_gives_none_before_the_first(codec: str) -> None:
    """Decoders make them of grey."""
    numbers, _ = seen(RtpCamera(packets(UNITS[codec][3:], codec), codec=CODECS[codec]))
    assert numbers == ALL[KEY_EVERY:]


@pytest.mark.parametrize("codec", CODECS)
def test_what_depends_on_a_picture_with_a_lost_part_is_not_analysed(codec: str) -> None:
    """It shows the damage as well, until the next key picture."""
    whole = packets(UNITS[codec], codec, payload=12)
    parts = [index for index, packet in enumerate(whole) if packet[4:8] == stamp(13)]
    del whole[parts[len(parts) // 2]]
    numbers, corrupt = seen(RtpCamera(whole, codec=CODECS[codec]))
    assert numbers == ALL[:13] + ALL[20:]
    assert corrupt >= 7


@pytest.mark.parametrize("codec", CODECS)
def test_the_wait_for_a_key_picture_is_no_fault_of_the_stream(codec: str) -> None:
    pictures = [picture(number) for number in range(MAX_CORRUPT + 40)]
    units = coded(pictures, codec, key_every=MAX_CORRUPT + 20)
    numbers, _ = seen(RtpCamera(packets(units[5:], codec), codec=CODECS[codec]))
    assert numbers == [*range(MAX_CORRUPT + 20, MAX_CORRUPT + 40)]


def test_a_stream_without_key_pictures_is_analysed_again_after_some_time() -> None:
    """Some encoders refresh the picture bit by bit."""
    count = MAX_DAMAGED + 20
    whole = packets(coded([picture(number) for number in range(count)], key_every=1000), payload=12)
    lost = (
        next(index for index, packet in enumerate(whole) if packet[4:8] == (5 * CLOCK // 25).to_bytes(4)) + 3
    )
    _, corrupt = seen(RtpCamera([*whole[:lost], *whole[lost + 1 :]]))
    assert corrupt == MAX_DAMAGED


def test_the_size_may_change() -> None:
    larger = coded([picture(number, (384, 192)) for number in ALL], key_every=KEY_EVERY)
    assert seen(RtpCamera(packets([*UNITS["libx264"][:10], *larger[10:]]))) == (ALL, 0)


def test_other_media_and_a_wrong_address_of_its_own_do_not_matter() -> None:
    """Metadata of ONVIF and sound before the video; the camera's address inside, seen from outside."""
    media = (
        "m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=control:track3\r\n"
        "m=audio 0 RTP/AVP 0\r\na=control:track2\r\n"
    )
    camera = RtpCamera(packets(UNITS["libx264"]), media=media, base="rtsp://192.0.2.10:554/inside/")
    assert seen(camera) == (ALL, 0)
    assert [request.split()[1] for request in camera.requests if request.startswith("SETUP")] == [
        "rtsp://192.0.2.10:554/inside/track1"
    ]


def test_the_first_pictures_are_not_held_back() -> None:
    """FFmpeg waits for 20 or more, to measure their rate."""
    begun = time.monotonic()
    with RtpCamera(packets(UNITS["libx264"][:12]), hang=True) as camera:
        source = LiveStream.from_rtsp(
            camera.url, None, Timeouts(PATIENCE / 2, PATIENCE / 2), 1e6, SystemClock()
        )
        taken = [source.read() for _ in range(8)]
        source.close()
    assert len(taken) == 8
    assert time.monotonic() - begun < PATIENCE / 4
