from __future__ import annotations

import math
import socket
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge.capture import Source
from edge.capture.recorded.codec_change import decoders_of
from edge.capture.recorded.media_time import Losses, MediaTime
from edge.capture.recordings import Clip, Folder
from edge.errors import SourceError
from tests.edge.capture.encoded_clips import add_track, encode, joined, numbered, write_video
from tests.fakes import ManualClock
from tests.synthetic_video import number_of, picture, write_clip

CLIPS = Path(__file__).parents[4] / "shared/data/clips"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty frames, 25 a second."""
    return write_clip(tmp_path_factory.mktemp("clips") / "numbers.avi", 30)


def play(source: Source, pictures: int = 10_000) -> tuple[list[int], list[float]]:
    """Numbers and offsets of the pictures until the end, then the source is closed."""
    numbers: list[int] = []
    offsets: list[float] = []
    while len(numbers) < pictures and (got := source.read()) is not None:
        assert got.offset is not None
        numbers.append(number_of(got.image))
        offsets.append(got.offset)
    source.close()
    return numbers, offsets


def test_a_clip_gives_every_frame_once_in_media_time(clip: Path) -> None:
    numbers, offsets = play(Clip(clip, max_fps=120))
    assert numbers == list(range(30))
    np.testing.assert_allclose(offsets, np.arange(30) / 25, atol=1e-6)


def test_mp4_too(tmp_path: Path) -> None:
    numbers, offsets = play(Clip(write_clip(tmp_path / "n.mp4", 20, fps=12.5, codec="mp4v"), max_fps=120))
    assert numbers == list(range(20))
    np.testing.assert_allclose(offsets, np.arange(20) / 12.5, atol=1e-3)


def test_max_fps_thins_evenly(clip: Path) -> None:
    assert play(Clip(clip, max_fps=10))[0] == [0, 2, 4, 7, 9, 12, 14, 17, 19, 22, 24, 27, 29]


def test_after_the_end_there_is_nothing_more(clip: Path) -> None:
    source = Clip(clip, max_fps=120)
    while source.read() is not None:
        pass
    assert source.read() is None
    source.close()


def test_a_looped_clip_goes_on_in_time(clip: Path) -> None:
    numbers, offsets = play(Clip(clip, max_fps=120, loop=True), pictures=75)
    assert numbers == [*range(30), *range(30), *range(15)]
    np.testing.assert_allclose(offsets, np.arange(75) / 25, atol=1e-6)


@pytest.mark.parametrize(("seconds", "first"), [(0.0, 0), (0.04, 1), (0.4, 10), (1.16, 29), (1.2, 0)])
def test_a_clip_begins_later(clip: Path, seconds: float, first: int) -> None:
    source = Clip(clip, max_fps=120, loop=True)
    assert source.seconds == pytest.approx(1.2)
    source.skip(seconds)
    numbers, offsets = play(source, pictures=40)
    assert numbers == [number % 30 for number in range(first, first + 40)]
    np.testing.assert_allclose(np.diff(offsets), 1 / 25, atol=1e-6)


def test_a_clip_that_begins_later_falls_due_at_its_own_time_all_the_same(clip: Path) -> None:
    source = Clip(clip, max_fps=5, loop=True, clock=ManualClock(), own=0.13)
    source.skip(0.6)
    _, offsets = play(source, pictures=20)
    late = [(ManualClock().monotonic() + at - offsets[0] - 0.13 + 0.1) % 0.2 for at in offsets]
    assert late[0] > 0.1
    assert max(late[-5:]) <= 0.04


def test_a_clip_that_is_cut_off_gives_what_is_there(clip: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.avi"
    cut.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    numbers, _ = play(Clip(cut, max_fps=120))
    assert 5 < len(numbers) < 25
    assert numbers == list(range(len(numbers)))


def test_a_corrupt_frame_is_stepped_over_and_counted(clip: Path, tmp_path: Path) -> None:
    data = bytearray(clip.read_bytes())
    starts = [i for i in range(len(data)) if data[i : i + 3] == b"\xff\xd8\xff"]
    data[starts[10] : starts[11] - 16] = bytes(starts[11] - 16 - starts[10])
    (damaged := tmp_path / "damaged.avi").write_bytes(data)
    source = Clip(damaged, max_fps=120)
    numbers, _ = play(source)
    assert numbers == [n for n in range(30) if n != 10]
    assert source.corrupt == 1


def test_a_jpeg_that_is_cut_off_is_not_filled_up(clip: Path, tmp_path: Path) -> None:
    """FFmpeg would give it with green in place of what is missing."""
    data = bytearray(clip.read_bytes())
    starts = [i for i in range(len(data)) if data[i : i + 3] == b"\xff\xd8\xff"]
    cut = data.index(b"\xff\xda", starts[10]) + 24
    data[cut : cut + 2] = b"\xff\xd9"
    (damaged := tmp_path / "damaged.avi").write_bytes(data)
    source = Clip(damaged, max_fps=120)
    numbers, _ = play(source)
    assert numbers == [n for n in range(30) if n != 10]
    assert source.corrupt == 1


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("missing.mp4", None, "cannot be read: No such file or directory"),
        ("empty.mp4", b"", "is empty (0 bytes)"),
        ("text.mp4", b"This is not a film.\n" * 20, "it is not a video"),
        ("noise.avi", bytes(range(256)) * 64, "it is not a video"),
    ],
)
def test_what_is_no_clip_is_named(name: str, content: bytes | None, why: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        Clip(path, max_fps=10)
    assert str(caught.value).startswith(f"{path}: ")
    assert why in str(caught.value)


def test_a_clip_none_of_whose_frames_can_be_decoded(clip: Path, tmp_path: Path) -> None:
    data = bytearray(clip.read_bytes())
    start, end = data.index(b"\xff\xd8\xff"), data.index(b"idx1")
    data[start:end] = bytes(end - start)
    (damaged := tmp_path / "damaged.avi").write_bytes(data)
    with pytest.raises(SourceError, match=r"damaged\.avi: .*decoded"):
        play(Clip(damaged, max_fps=120, loop=True))


@pytest.mark.data
@pytest.mark.skipif(not CLIPS.is_dir(), reason="the recordings are not here")
@pytest.mark.parametrize(
    ("name", "frames", "seconds"),
    [("corridor-three.gif", 41, 3.33), ("one-woman.gif", 23, 1.83), ("crowd.mp4", 105, 4.16)],
)
def test_real_clips_last_as_long_as_they_say(name: str, frames: int, seconds: float) -> None:
    _, offsets = play(Clip(CLIPS / name, max_fps=120))
    assert len(offsets) == frames
    assert offsets[0] == 0
    assert offsets[-1] == pytest.approx(seconds, abs=0.01)
    assert (np.diff(offsets) > 0).all()


def test_several_tracks_give_the_largest(tmp_path: Path) -> None:
    path = tmp_path / "tracks.mkv"
    with av.open(path, "w") as out:
        held = [numbered(*range(w, w + 4), size=(w, h)) for w, h in ((96, 48), (384, 192), (192, 96))]
        for track, pictures in [(add_track(out, pictures[0]), pictures) for pictures in held]:
            encode(out, track, pictures)
    assert play(Clip(path, max_fps=120))[0] == [384, 385, 386, 387]


@pytest.mark.parametrize(("cover", "held"), [(True, "a cover picture"), (False, "sound")])
def test_sound_is_no_video_and_its_cover_picture_neither(tmp_path: Path, cover: bool, held: str) -> None:
    path = tmp_path / "song.mp3"
    with av.open(path, "w") as out:
        sound = out.add_stream("libmp3lame", rate=44_100, layout="mono")
        if cover:
            encode(out, add_track(out, picture(1), {}, codec="mjpeg"), [picture(1)])
        out.mux([packet for number in range(40) for packet in sound.encode(silence(number))])
    with pytest.raises(SourceError, match=rf"song\.mp3: holds {held} and no video$"):
        Clip(path, max_fps=10)


def silence(number: int) -> av.AudioFrame:
    """A fortieth of a second of sound."""
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), format="s16p", layout="mono")
    frame.sample_rate, frame.pts = 44_100, 1152 * number
    return frame


@pytest.mark.parametrize("name", ["still.jpg", "still.png", "still.dat"])
def test_a_single_picture_is_named(tmp_path: Path, name: str) -> None:
    _, data = cv2.imencode(".png" if name.endswith("png") else ".jpg", picture(1))
    (tmp_path / name).write_bytes(data.tobytes())
    with pytest.raises(SourceError, match="is a single picture; allowed: a video, or a folder of pictures"):
        Clip(tmp_path / name, max_fps=10)


def test_video_without_time_stamps_is_played_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_video(tmp_path / "raw.h264", numbered(*range(5)), codec="libx264")
    numbers, offsets = play(Clip(path, max_fps=120))
    assert numbers == list(range(5))
    np.testing.assert_allclose(offsets, np.arange(5) / 25, atol=1e-6)
    assert "has no time stamps, as raw H.264; 25 frames a second are assumed" in caplog.text


def test_a_playlist_reaches_no_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        path = tmp_path / "playlist.m3u8"
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{url}\n#EXT-X-ENDLIST\n")
        with pytest.raises(SourceError, match=r"playlist\.m3u8: "):
            play(Clip(path, max_fps=10))
        with pytest.raises(TimeoutError):
            server.accept()


def segments(source: Source) -> list[int]:
    found = []
    while (got := source.read()) is not None:
        found.append(got.segment)
    source.close()
    return found


def test_two_exports_joined_are_two_segments(tmp_path: Path) -> None:
    part = write_video(tmp_path / "part.ts", numbered(*range(60)))
    clip = Clip(joined(tmp_path / "joined.ts", part, part), max_fps=120)
    assert segments(clip) == [0] * 60 + [1] * 60


@pytest.mark.parametrize(
    "codecs",
    [("mpeg2video", "libx264"), ("libx264", "mpeg2video"), ("libx264", "libx265")],
    ids="-".join,
)
def test_a_recording_goes_on_where_its_codec_changes(
    codecs: tuple[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = [
        write_video(tmp_path / f"{codec}.ts", numbered(*numbers), codec=codec)
        for codec, numbers in zip(codecs, (range(30), range(30, 60)), strict=True)
    ]
    source = Clip(joined(tmp_path / "joined.ts", *parts), max_fps=120)
    numbers, offsets = play(source)
    # FFmpeg's demuxer gives nothing of the last pictures before the change.
    assert set(range(28)) | set(range(30, 60)) <= set(numbers)
    assert offsets == sorted(set(offsets))
    assert "the codec changes inside it, at byte" in caplog.text


@pytest.mark.parametrize("size", [12, 30])
def test_the_codec_may_change_soon_and_often(tmp_path: Path, size: int) -> None:
    """FFmpeg reads beyond the end of a short part when it opens the file, and takes the codec after it."""
    codecs = ("libx264", "mpeg2video", "libx265", "libx264", "mpeg2video", "libx264", "libx265", "mpeg2video")
    parts = [
        write_video(
            tmp_path / f"{place}.ts", numbered(*range(size * place, size * place + size)), codec=codec
        )
        for place, codec in enumerate(codecs)
    ]
    numbers, _ = play(Clip(joined(tmp_path / "joined.ts", *parts), max_fps=120))
    assert {number for number in range(8 * size) if number % size < size - 2} <= set(numbers)


def test_a_recording_whose_rest_cannot_be_opened_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write_video(tmp_path / "first.ts", numbered(*range(30)), codec="libx264")
    second = write_video(tmp_path / "second.ts", numbered(*range(30)))
    source = Clip(joined(tmp_path / "joined.ts", first, second), max_fps=120)
    monkeypatch.setattr("edge.capture.recordings.first_byte", lambda path, at: -1)
    with pytest.raises(SourceError, match=r"the codec changes inside it.*split it there"):
        play(source)


@pytest.mark.parametrize(
    ("head", "decoders"),
    [
        ("0000000109f0", ("h264",)),
        ("000001091000", ("h264",)),
        ("000000014601", ("hevc",)),
        ("000001b31400", ("mpeg1video", "mpeg2video")),
        ("000001000057", ()),  # a picture of MPEG-2 that is no key picture, or HEVC without a delimiter
        ("00000109fa8a", ()),  # a slice of MPEG-2
        ("000000000109", ()),
        ("0001", ()),
        ("", ()),
    ],
)
def test_the_codec_of_a_picture_is_known_by_its_beginning(head: str, decoders: tuple[str, ...]) -> None:
    assert decoders_of(bytes.fromhex(head)) == decoders


def test_a_loop_begins_a_segment(clip: Path) -> None:
    source = Clip(clip, max_fps=120, loop=True)
    found = [source.read().segment for _ in range(65)]
    source.close()
    assert found == [0] * 30 + [1] * 30 + [2] * 5


def test_frames_that_noise_has_replaced_are_counted(tmp_path: Path) -> None:
    part = write_video(tmp_path / "part.ts", numbered(*range(60)), {"bf": "0", "g": "1"})
    data = bytearray(part.read_bytes())
    middle, noise = len(data) // 2 // 188 * 188, len(data) // 6 // 188 * 188
    data[middle : middle + noise] = np.random.default_rng(1).bytes(noise)
    part.write_bytes(data)
    source = Clip(part, max_fps=120)
    numbers, _ = play(source)
    assert 40 <= len(numbers) < 60
    assert source.corrupt == 60 - len(numbers)


@pytest.mark.parametrize(
    ("steps", "faults", "lost"),
    [
        ([1, 1, 1], [0, 0, 0], 0),
        ([1, 4, 1], [0, 0, 0], 0),  # the rate varies
        ([1, 4, 1], [0, 1, 1], 3),
        ([1, 4, 1, 3], [1, 1, 1, 1], 5),  # soon after the fault
        ([1, 80, 1, 4], [1, 1, 1, 1], 0),  # much later
        ([1, 60_000, 1], [0, 1, 1], 0),  # another recording
    ],
)
def test_gaps_after_a_fault_are_lost_frames(steps: list[int], faults: list[int], lost: int) -> None:
    losses, frame, found = Losses(25.0), 0, 0
    for step, fault in zip(steps, faults, strict=True):
        frame += step
        found += losses.before(frame / 25, fault, 0)
    assert found == lost


def test_frames_that_were_counted_as_undecodable_are_not_counted_again() -> None:
    losses = Losses(25.0)
    assert losses.before(3 / 25, 2, skipped=2) == 0


def media_time(fps: float, positions: list[float]) -> list[float]:
    time = MediaTime(fps)
    return [round(time.advance(position), 6) for position in positions]


@pytest.mark.parametrize(
    ("fps", "positions", "offsets"),
    [
        (25, [7.0, 7.04, 7.5], [0, 0.04, 0.5]),  # begins late, varies
        (10, [0, 0, 0], [0, 0.1, 0.2]),  # no positions
        (0, [0, 0], [0, 0.04]),  # no rate either
        (1000, [0, 0], [0, 0.04]),
        (math.nan, [0, 0], [0, 0.04]),
        (25, [0, 0.04, 0.02, 0.08], [0, 0.04, 0.08, 0.12]),  # runs back
        (25, [0, math.nan, 0.08], [0, 0.04, 0.12]),
        (25, [0, 1e9, 1e9 + 0.04], [0, 0.04, 0.08]),  # no year fits this
        (25, [500, 500.04, 7, 7.5], [0, 0.04, 0.08, 0.58]),  # jumps back
        (25, [95443.7, 0.02], [0, 0.037689]),  # the clock of a transport stream wraps
    ],
)
def test_media_time_strictly_increases(fps: float, positions: list[float], offsets: list[float]) -> None:
    assert media_time(fps, positions) == offsets


@pytest.mark.parametrize(
    ("positions", "segment"),
    [
        ([0, 0.04, 0.02, 0.08], 0),  # reordered
        ([0, math.nan, 0.08], 0),
        ([0, 5000, 5000.04], 0),  # time passes: whoever was in view has left
        ([95443.7, 0.02, 0.06], 0),
        ([500, 500.04, 7, 7.04], 1),
        ([0, 1e9, 1e9 + 0.04], 1),
    ],
)
def test_a_jump_begins_a_segment(positions: list[float], segment: int) -> None:
    time = MediaTime(25)
    for position in positions:
        time.advance(position)
    assert time.segment == segment


def write_folder(folder: Path, numbers: range) -> Path:
    folder.mkdir()
    for number in numbers:
        cv2.imwrite(str(folder / f"{number:03d}.png"), picture(number))
    return folder


def test_a_folder_plays_its_pictures_by_name_at_max_fps(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pictures", range(5))
    cv2.imwrite(str(folder / "0025.JPG"), picture(40))
    (folder / "notes.txt").write_text("no picture")
    numbers, offsets = play(Folder(folder, max_fps=4))
    assert numbers == [0, 1, 2, 40, 3, 4]
    assert offsets == [0, 0.25, 0.5, 0.75, 1.0, 1.25]


def test_a_looped_folder_goes_on_in_time(tmp_path: Path) -> None:
    numbers, offsets = play(Folder(write_folder(tmp_path / "p", range(3)), max_fps=10, loop=True), pictures=7)
    assert numbers == [0, 1, 2, 0, 1, 2, 0]
    np.testing.assert_allclose(offsets, np.arange(7) / 10)


def test_a_corrupt_picture_is_stepped_over_and_counted(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "p", range(4))
    (folder / "001.png").write_bytes(b"no picture")
    (folder / "002.png").write_bytes(b"")
    source = Folder(folder, max_fps=10)
    numbers, offsets = play(source)
    assert (numbers, offsets) == ([0, 3], [0, pytest.approx(0.3)])
    assert source.corrupt == 2


def test_a_folder_without_a_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no pictures; allowed: \.jpg, "):
        Folder(tmp_path, max_fps=10)


@pytest.mark.parametrize("loop", [False, True])
def test_a_folder_of_corrupt_pictures_only_is_named(tmp_path: Path, loop: bool) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"no picture")
    source = Folder(tmp_path, max_fps=10, loop=loop)
    with pytest.raises(SourceError, match="none of its 2 pictures can be decoded"):
        source.read()
