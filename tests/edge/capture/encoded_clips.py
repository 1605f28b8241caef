"""Clips that OpenCV cannot write: interlaced, turned, with several tracks, or in an older container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from edge.types import Image
from tests.synthetic_video import picture

PROGRESSIVE: Mapping[str, str] = {"bf": "0"}
INTERLACED: Mapping[str, str] = {"bf": "0", "flags": "+ilme+ildct"}


def write_video(
    path: Path,
    pictures: Sequence[Image],
    options: Mapping[str, str] = PROGRESSIVE,
    *,
    codec: str = "mpeg2video",
) -> Path:
    """Write pictures of one size as video of 25 frames a second; INTERLACED flags each one as such."""
    with av.open(path, "w") as out:
        encode(out, add_track(out, pictures[0], options, codec=codec), pictures)
    return path


def add_track(
    out: OutputContainer, like: Image, options: Mapping[str, str] = PROGRESSIVE, *, codec: str = "mpeg2video"
) -> VideoStream:
    """A track for pictures of the size of this one; all are added before the first is encoded."""
    track = cast("VideoStream", out.add_stream(codec, rate=25, options={"b": "4000000", **options}))
    track.height, track.width = like.shape[:2]
    track.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    return track


def encode(out: OutputContainer, track: VideoStream, pictures: Sequence[Image]) -> None:
    """Write these pictures, which are all that the track gets."""
    for number, image in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        frame.pts = number
        out.mux(track.encode(frame.reformat(format=track.pix_fmt)))
    out.mux(track.encode(None))


def numbered(*numbers: int, size: tuple[int, int] = (192, 96)) -> list[Image]:
    """Pictures that bear these numbers."""
    return [picture(number, size) for number in numbers]


def joined(path: Path, *parts: Path) -> Path:
    """One file after the other, as an export of transport or elementary streams is joined."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path
