from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.capture import Source
from edge.capture.recordings import Clip, Folder, MediaTime
from edge.errors import SourceError
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
    ],
)
def test_media_time_strictly_increases(fps: float, positions: list[float], offsets: list[float]) -> None:
    assert media_time(fps, positions) == offsets


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
