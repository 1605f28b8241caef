"""FFmpeg, through PyAV: the only module that opens, decodes and converts video.

No picture is given that was not decoded from this source: each one is converted into memory of its own, and a
frame that FFmpeg cannot decode or convert is an error, which is counted. (OpenCV's VideoCapture returns True,
with whatever its buffer held.)
"""

from __future__ import annotations

import errno
import math
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from io import RawIOBase
from typing import Any, Literal, cast

import av
import av.filter
import cv2
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from edge.capture.source import SAMPLE
from edge.errors import SourceError
from edge.types import Image

MAX_CORRUPT = 50
"""Undecodable frames in a row after which a source counts as lost: two seconds at 25 a second."""

MAX_DAMAGED = 50
"""Frames after an undecodable one that are not analysed, unless a key picture comes: they show its damage.
Some streams refresh the picture bit by bit and have no key pictures."""

MAX_PARTS = 32
"""Parts of one picture that are joined at most; encoders make a slice for each core."""

MAX_PIXELS = 100_000_000
"""Of one picture; a camera that announces more would fill the memory."""

_BOUNDED = {"max_pixels": str(MAX_PIXELS)}
"""Options of all decoders, which do not open a picture that is larger."""

_WHOLE = _BOUNDED | {"err_detect": "explode"}
"""Options of decoders that otherwise do not report what is missing of a picture: of JPEGs it is green."""

_LAYERED = "hevc"
"""The decoder of streams in which a frame that its own layer does not need may be needed by a higher one.
FFmpeg leaves it out all the same, and the frames that need it cannot be decoded."""

_SILENT = ("mjpeg", "hevc")
"""Those decoders."""

_TO_BGR: dict[str, Any] = {"format": "bgr24", "threads": 1}

_USUAL = ("yuv420p", "yuvj420p")
"""Formats of the frames that nearly every camera sends. Of a picture with even sides FFmpeg's filter
makes the same bits as its reformatter, and uses the memory again: to map 6 MB each time takes longer than the
conversion. Of others it places colours differently."""

_STILL_FORMATS = ("image2", "_pipe")
_QUARTER_TURNS = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    -90: cv2.ROTATE_90_CLOCKWISE,
    -180: cv2.ROTATE_180,
}


_PLANAR = {"nv12": "yuv420p", "p010le": "yuv420p10le"}
"""Formats of a GPU's frames, and those of the same numbers in which software decodes them."""

_EXACT = ("h264", "hevc", "vp9")
"""Codecs whose standards leave no choice to a decoder: a GPU's frames have the same bits as software's.
AV1 is missing: PyAV decodes it with libdav1d, which uses no GPU."""

MAX_REFUSED = 5
"""Frames in a row that a GPU fails to decode, after which software does."""

NO_DEVICE = "decoded by software: there is no NVIDIA GPU, or no driver for its decoder"
NOT_THIS = "decoded by software: the GPU does not decode this stream"
NOT_VIDEO = "decoded by software: the camera sends JPEG pictures, which the GPU does not decode"
DEVICE_FAILED = "decoded by software: the GPU failed"


@dataclass(frozen=True, slots=True)
class Decoding:
    """How video is decoded. threads: of a software decoder; each beyond the first delays the picture by a
    frame, and FFmpeg's own choice, one for each core, by 0.6 s on 16 cores. decoder: nvdec is NVIDIA's.
    """

    threads: int = 1
    decoder: Literal["software", "nvdec"] = "software"


class _Packet(Enum):
    """What a packet gave that is no frame to analyse.

    FAILED: it cannot be decoded. DAMAGED: what it depends on could not. WITHOUT: it gives nothing more.
    """

    FAILED = auto()
    DAMAGED = auto()
    WITHOUT = auto()


class UnopenedError(SourceError):
    """Why a source did not open, without its name. status: the RTSP or HTTP status; None if it gave none."""

    def __init__(self, why: str, status: int | None = None) -> None:
        super().__init__(why)
        self.status = status


class Video:
    """An open source of frames.

    corrupt: how many frames could not be decoded or converted and were skipped. faults: those, and packets
    that are damaged or follow others that are missing. left_out: how many frames were not decoded as they
    were not needed. note: why software decodes where a GPU should.
    """

    def __init__(
        self, name: str, container: InputContainer, stream: VideoStream, decoding: Decoding, note: str = ""
    ) -> None:
        self.name = name
        self.note = note
        self.corrupt = 0
        self.faults = 0
        self.left_out = 0
        self._container = container
        self._stream = stream
        self._decoder = _prepared(stream.codec_context, decoding)
        self._decoding = decoding
        self._refused = 0
        self._rotation = 0  # of the GPU's frames, in degrees: software that takes over does not know it
        if _leaves_a_choice(self._decoder):
            self._turn_to_software(NOT_THIS)
        self._deinterlacer = _Deinterlacer()
        self._sampler, self._converter = _Sampler(), _Converter(like_software=decoding.decoder != "software")
        self._failures = 0
        self._damaged = 0
        self._begun = False
        self._frames = self._decoded()
        self._frame: VideoFrame | None = None
        self._parts: list[Packet[Any]] = []
        self._unwanted = -math.inf, -math.inf
        self._optional: set[int] = set()

    @classmethod
    def open(
        cls,
        name: str,
        source: str | RawIOBase,
        *,
        decoding: Decoding,
        timeouts: tuple[float, float] | None = None,
        options: Mapping[str, str] | None = None,
        container_format: str | None = None,
    ) -> Video:
        """Open a URL, a path, a device, or bytes that are read. Raises UnopenedError.

        timeouts: open and read, in seconds.
        """
        device = _nvdec() if decoding.decoder == "nvdec" else None
        note = NO_DEVICE if decoding.decoder == "nvdec" and device is None else ""
        try:
            container = av.open(
                source,
                "r",
                format=container_format,
                options=_BOUNDED | dict(options or {}),
                timeout=timeouts,
                hwaccel=device,
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise _unopened(error) from None  # its message holds the address with its credentials
        try:
            stream = _largest(container)
        except UnopenedError:
            container.close()
            raise
        if timeouts is None and isinstance(source, str) and _leaves_a_choice(stream.codec_context):
            container.close()  # only the decoder that a file is opened with knows how the recording is turned
            software = Decoding(decoding.threads)
            video = cls.open(
                name, source, decoding=software, options=options, container_format=container_format
            )
            video.note = NOT_THIS
            return video
        return cls(name, container, stream, decoding, note)

    @property
    def fps(self) -> float:
        """Frames a second according to the file; may be 0 or wrong."""
        return float(self._stream.guessed_rate or 0)

    @property
    def has_times(self) -> bool:
        """Whether the frame last grabbed has a time stamp: raw H.264 has none."""
        return not math.isnan(self.position)

    @property
    def position(self) -> float:
        """Media time of the frame last grabbed according to the file, in seconds; NaN if it names none."""
        return math.nan if self._frame is None else _seconds(self._frame)

    def grab(self, give_up: Callable[[], bool] = lambda: False, *, unwanted: float = 0.0) -> bool:
        """Advance to the next frame without converting it; False at the end, or when `give_up` says so.

        `give_up` is called after each packet, once its frames were taken. unwanted: seconds after the frame
        last grabbed in which no frame is needed: those on which no other depends are not decoded then.
        Raises SourceError if the source fails, and after more than `MAX_CORRUPT` undecodable frames in a row.
        """
        self._unwanted = self.position, self.position + unwanted
        self._frame = None
        try:
            for frame in self._frames:
                if isinstance(frame, VideoFrame):
                    self._frame = frame
                    return True
                if frame is _Packet.FAILED:
                    self._count_failure()
                elif frame is _Packet.DAMAGED:
                    self.corrupt += 1
                if give_up():
                    return False
        except SourceError:  # of what gives the bytes
            raise
        except (av.FFmpegError, OSError):  # its message may hold the address with its credentials
            if not give_up():
                raise SourceError(f"{self.name}: it was interrupted, or its data is damaged") from None
        return False

    def retrieve(self) -> DecodedFrame | None:
        """The frame last grabbed; None if it cannot be converted, as its sample shows."""
        if self._frame is None:
            return None
        try:
            sample = self._sampler(self._frame, self._rotation)
        except (av.FFmpegError, ValueError):
            self._count_failure()
            return None
        self._failures = 0
        return DecodedFrame(self._frame, sample, self._converter, self._rotation)

    def close(self) -> None:
        self._frame = None
        self._frames.close()
        self._container.close()

    def _decoded(self) -> Generator[VideoFrame | _Packet]:
        """The frames in order of time, and what other packets came to."""
        for packet in self._container.demux():
            if packet.stream.index == self._stream.index:
                yield from self._frames_of(packet)
            else:
                yield _Packet.WITHOUT
        yield from self._deinterlacer.rest()

    def _frames_of(self, packet: Packet[Any]) -> Iterator[VideoFrame | _Packet]:
        self.faults += packet.is_corrupt
        parts, self._parts = self._parts, []
        if parts and not _belongs(packet, parts):
            yield self._failed(parts[0])
            parts = []
        parts.append(packet)
        self._leave_out(packet)
        try:
            frames = self._decoder.decode(_joined(parts))
        except (av.FFmpegError, ValueError) as error:
            if not isinstance(error, av.error.InvalidDataError):
                self._leave_a_failing_gpu()
            yield self._failed(packet)
            return
        if frames:
            self._refused = 0
            self._note_a_refusing_gpu()
            if self._on_gpu:
                self._rotation = frames[-1].rotation
        for frame in frames:
            self._count_left_out(frame)
            if not frame.is_corrupt:
                yield from self._unless_damaged(frame)
            elif packet.is_keyframe and frame.pts == packet.pts:
                self._parts = parts  # perhaps the rest of the picture comes in the next packet
            else:
                yield self._failed(packet)
        yield _Packet.WITHOUT

    def _leave_out(self, packet: Packet[Any]) -> None:
        """Let the decoder leave out the frame of this packet, if it is not needed and no other depends on it.

        Frames are left out neither where a GPU is configured, nor of HEVC, nor of a damaged or interlaced
        stream.
        """
        begin, end = self._unwanted
        sound = self._begun and not (self._damaged or self._deinterlacer.is_used)
        may = self._decoding.decoder == "software" and self._decoder.name != _LAYERED
        if may and sound and begin < _seconds(packet) < end:
            self._decoder.skip_frame = "NONREF"
            self._optional.add(cast("int", packet.pts))
        else:
            self._decoder.skip_frame = "DEFAULT"

    def _count_left_out(self, frame: VideoFrame) -> None:
        """Count those left out before this one, which comes in the order of time."""
        if self._optional and frame.pts is not None:
            self.left_out += sum(pts < frame.pts for pts in self._optional)
            self._optional = {pts for pts in self._optional if pts > frame.pts}

    @property
    def _on_gpu(self) -> bool:
        """Whether the decoder uses the GPU.

        True until the first frame even if the GPU refuses the stream: only then FFmpeg asks it.
        """
        return self._decoder.is_hwaccel and self._decoder.pix_fmt == "cuda"

    def _note_a_refusing_gpu(self) -> None:
        """FFmpeg goes on by software where a GPU does not know the codec, its profile or the size."""
        if self._decoding.decoder == "nvdec" and not self.note and not self._on_gpu:
            self.note = NOT_THIS

    def _leave_a_failing_gpu(self) -> None:
        """Decode by software from the next key picture on, if a GPU has failed again and again."""
        self._refused += self._on_gpu
        if self._refused > MAX_REFUSED:
            self._turn_to_software(DEVICE_FAILED)

    def _turn_to_software(self, why: str) -> None:
        # The GPU's decoder stays open until the source is closed: PyAV keeps it in `stream.codec_context`,
        # which cannot be replaced. The new decoder does not get the stream's rotation: see `_rotation`.
        software = cast("VideoCodecContext", av.CodecContext.create(self._decoder.name, "r"))
        software.extradata = self._decoder.extradata
        self._decoder, self.note = _prepared(software, self._decoding), why

    def _failed(self, packet: Packet[Any]) -> _Packet:
        """DAMAGED while the stream waits for a key picture: it is no reason to open it again."""
        waiting = (self._damaged or not self._begun) and not packet.is_keyframe
        self._damaged = MAX_DAMAGED
        return _Packet.DAMAGED if waiting else _Packet.FAILED

    def _unless_damaged(self, frame: VideoFrame) -> Iterator[VideoFrame | _Packet]:
        self._begun = True
        self._damaged = 0 if frame.key_frame else max(0, self._damaged - 1)
        if self._damaged:
            yield _Packet.DAMAGED
        else:
            yield from self._deinterlacer.through(frame)

    def _count_failure(self) -> None:
        self.corrupt += 1
        self._failures += 1
        self.faults += 1
        if self._failures > MAX_CORRUPT:
            raise SourceError(f"{self.name}: none of the last {MAX_CORRUPT} frames could be decoded")


def _prepared(decoder: VideoCodecContext, decoding: Decoding) -> VideoCodecContext:
    """A decoder that is not open yet, with the options of all."""
    decoder.thread_count = decoding.threads
    decoder.thread_type = "AUTO"
    decoder.options = _WHOLE if decoder.name in _SILENT else _BOUNDED
    return decoder


def _leaves_a_choice(decoder: VideoCodecContext) -> bool:
    """Whether the GPU is to decode a codec whose frames may differ from software's."""
    return decoder.is_hwaccel and decoder.name not in _EXACT


def _nvdec() -> HWAccel | None:
    """NVIDIA's decoder; None where it cannot be used. Cameras share the context that CUDA has on the GPU."""
    device = HWAccel("cuda", options={"primary_ctx": "1"})
    try:
        av.CodecContext.create("h264", "r", hwaccel=device)
    except (av.FFmpegError, NotImplementedError):
        return None
    return device


def _belongs(packet: Packet[Any], parts: list[Packet[Any]]) -> bool:
    """Whether a packet holds more of the picture of these parts.

    Servers that send the parameter sets before each slice of a key picture (GStreamer's with
    config-interval=-1) make FFmpeg take each slice for a picture; such packets share one time stamp.
    """
    same_time = packet.pts is not None and packet.pts == parts[0].pts
    return packet.is_keyframe and same_time and len(parts) < MAX_PARTS


def _joined(parts: list[Packet[Any]]) -> Packet[Any]:
    if len(parts) == 1:
        return parts[0]
    whole: Packet[Any] = Packet(b"".join(bytes(part) for part in parts))
    whole.pts, whole.dts, whole.time_base = parts[0].pts, parts[0].dts, parts[0].time_base
    return whole


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """See `Decoded`. frame: as FFmpeg decoded it, upright or not. rotation: in degrees, if it names none."""

    frame: VideoFrame
    sample: Image
    convert: _Converter
    rotation: int = 0

    def image(self) -> Image:
        """See `Decoded.image`."""
        try:
            return self.convert(self.frame, self.rotation)
        except (av.FFmpegError, ValueError) as error:
            raise SourceError(f"a frame cannot be converted: {error}") from None


class JpegDecoder:
    """Decodes JPEGs that come one by one."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("mjpeg", "r")
        self._codec.thread_count = 1
        self._codec.options = _WHOLE
        self._converter = _Converter()

    def decode(self, data: bytes) -> Image | None:
        """uint8 (H, W, 3) BGR, in memory of its own; None if it is no JPEG, or not a whole one."""
        if not data.startswith(b"\xff\xd8"):
            return None
        try:
            (frame,) = self._codec.decode(av.Packet(data))
            return None if frame.is_corrupt else self._converter(frame)
        except (av.FFmpegError, ValueError):
            return None


class _Sampler:
    """Some of a frame's pixels, so that its shorter side has `SAMPLE` at most; else as `_Converter`."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame, rotation: int = 0) -> Image:
        scale = min(1.0, SAMPLE / min(frame.width, frame.height))
        size = {name: max(round(getattr(frame, name) * scale), 1) for name in ("width", "height")}
        found = self._reformatter.reformat(frame, **size, **_TO_BGR, interpolation=Interpolation.POINT)
        return _upright(found.to_ndarray(), frame.rotation or rotation)


class _Converter:
    """A decoded frame as uint8 (H, W, 3) BGR, upright, in memory of its own; for one thread at a time.

    The memory of a picture that is no longer held is used again, where FFmpeg's filter converts as its
    reformatter does: the same bits for progressive frames. The pool keeps as much memory as was held at most,
    until the camera is opened again. Raises FFmpegError or ValueError.
    """

    def __init__(self, *, like_software: bool = False) -> None:
        """like_software: frames of a GPU become the bits that software's become."""
        self._reformatter = VideoReformatter()
        self._like_software = like_software
        self._graph: av.filter.Graph | None = None
        self._shape: tuple[object, ...] = ()

    def __call__(self, frame: VideoFrame, rotation: int = 0) -> Image:
        """rotation: in degrees, for a frame that names none."""
        if self._like_software and frame.format.name in _PLANAR:
            frame = self._reformatter.reformat(frame, format=_PLANAR[frame.format.name], threads=1)
        usual = frame.format.name in _USUAL and frame.width % 2 == frame.height % 2 == 0
        found = self._filtered(frame) if usual else self._reformatter.reformat(frame, **_TO_BGR)
        return _upright(found.to_ndarray(), frame.rotation or rotation)

    def _filtered(self, frame: VideoFrame) -> VideoFrame:
        if self._graph is None or _shape(frame) != self._shape:
            to_bgr = ("scale", "flags=bilinear"), ("format", "pix_fmts=bgr24")
            self._graph, self._shape = _graph(frame, *to_bgr), _shape(frame)
        # The filter refuses frames whose light is described by reserved numbers; it is not converted.
        frame.color_trc, frame.color_primaries = ColorTrc.UNSPECIFIED, ColorPrimaries.UNSPECIFIED
        self._graph.vpush(frame)
        return self._graph.vpull()


def _upright(image: NDArray[Any], rotation: int) -> Image:
    turn = _QUARTER_TURNS.get(rotation)
    return image if turn is None else cast("Image", cv2.rotate(image, turn))


class _Deinterlacer:
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


def _seconds(timed: VideoFrame | Packet[Any]) -> float:
    return math.nan if timed.pts is None or timed.time_base is None else float(timed.pts * timed.time_base)


def _largest(container: InputContainer) -> VideoStream:
    """The largest video track; a cover picture is none. Raises UnopenedError where there is no video."""
    if any(container.format.name.endswith(still) for still in _STILL_FORMATS):
        raise UnopenedError("is a single picture; allowed: a video, or a folder of pictures")
    tracks = [track for track in container.streams.video if track.codec_context is not None]
    moving = [track for track in tracks if not track.disposition & av.stream.Disposition.attached_pic]
    if not moving:
        held = "a cover picture and " if tracks else "sound and " if container.streams.audio else ""
        raise UnopenedError(f"holds {held}no video")
    return max(moving, key=lambda track: track.width * track.height)


UNSUPPORTED_TRANSPORT = 461
SERVER_FAULT = 500
"""Or above: FFmpeg does not say which."""

_STATUSES: Mapping[type[Exception], int] = {
    av.error.HTTPBadRequestError: 400,
    av.error.HTTPUnauthorizedError: 401,
    av.error.HTTPForbiddenError: 403,
    av.error.HTTPNotFoundError: 404,
    av.error.HTTPServerError: SERVER_FAULT,
}


def _unopened(error: Exception) -> UnopenedError:
    refused = getattr(error, "errno", None) == errno.EPROTONOSUPPORT
    status = UNSUPPORTED_TRANSPORT if refused else _STATUSES.get(type(error))
    return UnopenedError("cannot be decoded: it is not a video, or is damaged", status)
