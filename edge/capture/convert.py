"""From a frame as FFmpeg decoded it to a picture: not interlaced, upright, in memory of its own."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import av
import av.filter
import cv2
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc, Interpolation, VideoReformatter
from numpy.typing import NDArray

from edge.capture.source import SAMPLE
from edge.errors import SourceError
from edge.types import Image

_TO_BGR: dict[str, Any] = {"format": "bgr24", "threads": 1}

_USUAL = ("yuv420p", "yuvj420p")
"""Formats of the frames that nearly every camera sends. Of a picture with even sides FFmpeg's filter
makes the same bits as its reformatter, and uses the memory again: to map 6 MB each time takes longer than the
conversion. Of others it places colours differently."""

_QUARTER_TURNS = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    -90: cv2.ROTATE_90_CLOCKWISE,
    -180: cv2.ROTATE_180,
}


_PLANAR = {"nv12": "yuv420p", "p010le": "yuv420p10le"}
"""Formats of a GPU's frames, and those of the same numbers in which software decodes them."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """See `Decoded`. frame: as FFmpeg decoded it, upright or not. rotation: in degrees, if it names none."""

    frame: VideoFrame
    sample: Image
    convert: Converter
    rotation: int = 0

    def image(self) -> Image:
        """See `Decoded.image`."""
        try:
            return self.convert(self.frame, self.rotation)
        except (av.FFmpegError, ValueError) as error:
            raise SourceError(f"a frame cannot be converted: {error}") from None


class Sampler:
    """Some of a frame's pixels, so that its shorter side has `SAMPLE` at most; else as `Converter`."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame, rotation: int = 0) -> Image:
        scale = min(1.0, SAMPLE / min(frame.width, frame.height))
        size = {name: max(round(getattr(frame, name) * scale), 1) for name in ("width", "height")}
        found = self._reformatter.reformat(frame, **size, **_TO_BGR, interpolation=Interpolation.POINT)
        return _upright(found.to_ndarray(), frame.rotation or rotation)


class Converter:
    """A decoded frame as uint8 (H, W, 3) BGR, upright, in memory of its own; for one thread at a time.

    The memory of a picture that is no longer held is used again, where FFmpeg's filter converts as its
    reformatter does: the same bits for progressive frames. See `_Filters`. Raises FFmpegError or ValueError.
    """

    def __init__(self, *, like_software: bool = False) -> None:
        """like_software: frames of a GPU become the bits that software's become."""
        self._reformatter = VideoReformatter()
        self._like_software = like_software
        self._filters: _Filters | None = None

    def __call__(self, frame: VideoFrame, rotation: int = 0) -> Image:
        """rotation: in degrees, for a frame that names none."""
        if self._like_software and frame.format.name in _PLANAR:
            frame = self._reformatter.reformat(frame, format=_PLANAR[frame.format.name], threads=1)
        usual = frame.format.name in _USUAL and frame.width % 2 == frame.height % 2 == 0
        found = self._filtered(frame) if usual else self._reformatted(frame)
        return _upright(found, frame.rotation or rotation)

    def _reformatted(self, frame: VideoFrame) -> NDArray[Any]:
        return self._reformatter.reformat(frame, **_TO_BGR).to_ndarray()

    def _filtered(self, frame: VideoFrame) -> NDArray[Any]:
        if self._filters is None or _shape(frame) != self._filters.shape:
            self._filters = _Filters.of(_shape(frame))
        # The filter refuses frames whose light is described by reserved numbers; it is not converted.
        frame.color_trc, frame.color_primaries = ColorTrc.UNSPECIFIED, ColorPrimaries.UNSPECIFIED
        return self._filters.convert(frame)


class _Filters:
    """FFmpeg's filters for frames of one shape, shared by all cameras that have such: for any thread.

    Each has a pool of memory, and is idle once nobody holds its picture: all cameras together have as many
    pictures as are analysed at once, and not each its own. They go with the last camera.
    """

    _known: ClassVar[weakref.WeakValueDictionary[tuple[object, ...], _Filters]] = (
        weakref.WeakValueDictionary()
    )
    _guard: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, shape: tuple[object, ...]) -> None:
        self.shape = shape
        self._idle: deque[av.filter.Graph] = deque()

    @classmethod
    def of(cls, shape: tuple[object, ...]) -> _Filters:
        """Those for frames of this shape."""
        with cls._guard:
            found = cls._known.get(shape)
            if found is None:
                found = cls._known[shape] = cls(shape)
            return found

    def convert(self, frame: VideoFrame) -> NDArray[Any]:
        """The frame in BGR. A filter that fails is not used again."""
        try:
            graph = self._idle.pop()
        except IndexError:
            graph = _graph(frame, ("scale", "flags=bilinear"), ("format", "pix_fmts=bgr24"))
        graph.vpush(frame)
        picture = graph.vpull().to_ndarray()
        weakref.finalize(picture, self._idle.append, graph).atexit = False
        return picture


def _upright(image: NDArray[Any], rotation: int) -> Image:
    turn = _QUARTER_TURNS.get(rotation)
    return image if turn is None else cast("Image", cv2.rotate(image, turn))


class Deinterlacer:
    """Makes whole pictures of interlaced ones; needs no time until the first one comes.

    Where visitors move, the two fields of a frame are two moments, and faces look like combs.
    """

    def __init__(self) -> None:
        self._graph: av.filter.Graph | None = None
        self._shape: tuple[object, ...] = ()

    @property
    def is_used(self) -> bool:
        """Whether an interlaced frame has come: each picture is made of its neighbours as well."""
        return self._graph is not None

    def through(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """The frames that are ready, progressive; after the first interlaced one each comes a frame later."""
        if self._graph is None and not frame.interlaced_frame:
            yield frame
            return
        if self._graph is None or _shape(frame) != self._shape:
            yield from self.rest()
            # It changes frames that are flagged as interlaced only.
            self._graph = _graph(frame, ("bwdif", "mode=send_frame:deint=interlaced"))
            self._shape = _shape(frame)
        self._graph.vpush(frame)
        yield from _pulled(self._graph)

    def rest(self) -> Iterator[VideoFrame]:
        """The last frames."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from _pulled(self._graph)
            self._graph, self._shape = None, ()


def _shape(frame: VideoFrame) -> tuple[object, ...]:
    """What all frames have in common that go through one graph."""
    return frame.format.name, frame.width, frame.height, frame.colorspace, frame.color_range


def _graph(frame: VideoFrame, *filters: tuple[str, str]) -> av.filter.Graph:
    """These filters, each with its options, one after the other, for frames like this one."""
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add(
        "buffer",
        video_size=f"{frame.width}x{frame.height}",
        pix_fmt=frame.format.name,
        time_base=str(frame.time_base or "1/25"),
        colorspace=str(int(frame.colorspace)),
        range=str(int(frame.color_range)),
    )
    for name, options in (*filters, ("buffersink", "")):
        last, source = source, graph.add(name, options or None)
        last.link_to(source)
    graph.configure()
    return graph


def _pulled(graph: av.filter.Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
