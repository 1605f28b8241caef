"""FFmpeg, through PyAV: the only module that opens and decodes video; `convert` makes pictures of its frames.

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
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edge.capture.convert import Converter, DecodedFrame, Deinterlacer, Sampler
from edge.capture.recorded.codec_change import HEAD, decoders_of
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

_STILL_FORMATS = ("image2", "_pipe")
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


BY_SOFTWARE = Decoding()


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


class LeftOut:
    """The frames that are not decoded, as they are not needed and no other depends on them.

    count: how many so far. The rest that it knows of come later than the frame shown last.
    """

    def __init__(self) -> None:
        self.count = 0
        self._window = -math.inf, -math.inf
        self._still_open: Callable[[], bool] = lambda: True
        self._pending: set[int] = set()
        self._shown = -math.inf

    def open(self, begin: float, end: float, still_open: Callable[[], bool]) -> None:
        """No frame is needed between these times of the stream, in seconds, while `still_open`."""
        self._window, self._still_open = (begin, end), still_open

    def takes(self, packet: Packet[Any]) -> bool:
        """Whether the frame of this packet is not needed; it is left out then if no other depends on it."""
        begin, end = self._window
        if not (begin < _seconds(packet) < end and self._still_open()):
            return False
        self._pending.add(cast("int", packet.pts))
        return True

    def fails(self, pts: int | None) -> None:
        """The frame of this time cannot be decoded: it is counted as that."""
        self._pending -= {pts}

    def show(self, frame: VideoFrame) -> None:
        """Count those before this frame, which comes in the order of time.

        Where the stream's time falls back, what is later than the frame before it came before as well.
        """
        if frame.pts is None:
            return
        before = self._shown if frame.pts < self._shown else math.inf
        later = {pts for pts in self._pending if frame.pts < pts <= before}
        self.count += len(self._pending - later - {frame.pts})
        self._pending, self._shown = later, frame.pts


class Video:
    """An open source of frames.

    corrupt: how many frames could not be decoded or converted and were skipped. faults: those, and packets
    that are damaged or follow others that are missing. note: why software decodes where a GPU should.
    changes_at: the byte of the source at which a transport stream goes on in another codec, from the end on
    that comes by it; else None.
    """

    def __init__(
        self, name: str, container: InputContainer, stream: VideoStream, decoding: Decoding, note: str = ""
    ) -> None:
        self.name = name
        self.note = note
        self.corrupt = 0
        self.faults = 0
        self.changes_at: int | None = None
        self._others = 0
        self._is_transport_stream = container.format.name == "mpegts"
        self._container = container
        self._stream = stream
        self._decoder = _prepared(stream.codec_context, decoding)
        self._decoding = decoding
        self._refused = 0
        self._rotation = 0  # of the GPU's frames, in degrees: software that takes over does not know it
        if _leaves_a_choice(self._decoder):
            self._turn_to_software(NOT_THIS)
        self._deinterlacer = Deinterlacer()
        self._sampler, self._converter = Sampler(), Converter(like_software=decoding.decoder != "software")
        self._failures = 0
        self._damaged = 0
        self._begun = False
        self._frames = self._decoded()
        self._frame: VideoFrame | None = None
        self._parts: list[Packet[Any]] = []
        self._left_out = LeftOut()

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
        container = _container(source, container_format, options or {}, timeouts, device)
        stream = _video_of(container)
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
    def left_out(self) -> int:
        """How many frames before the one last decoded were not decoded, as they were not needed."""
        return self._left_out.count

    @property
    def fps(self) -> float:
        """Frames a second according to the file; may be 0 or wrong."""
        return float(self._stream.guessed_rate or 0)

    @property
    def seconds(self) -> float:
        """How long it lasts according to the file; 0 where it does not say."""
        return (self._container.duration or 0) / av.time_base

    @property
    def has_times(self) -> bool:
        """Whether the frame last grabbed has a time stamp: raw H.264 has none."""
        return not math.isnan(self.position)

    @property
    def position(self) -> float:
        """Media time of the frame last grabbed according to the file, in seconds; NaN if it names none."""
        return math.nan if self._frame is None else _seconds(self._frame)

    def grab(
        self,
        give_up: Callable[[], bool] = lambda: False,
        *,
        unwanted: float = 0.0,
        still_unwanted: Callable[[], bool] = lambda: True,
    ) -> bool:
        """Advance to the next frame without converting it; False at the end, or when `give_up` says so.

        `give_up` is called after each packet, once its frames were taken. unwanted: seconds after the frame
        last grabbed in which no frame is needed, as long as `still_unwanted` says so as well: those on which
        no other depends are not decoded then. Raises SourceError if the source fails, and after more than
        `MAX_CORRUPT` undecodable frames in a row.
        """
        self._left_out.open(self.position, self.position + unwanted, still_unwanted)
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
                if self._is_of_another_codec(packet):
                    self.changes_at = packet.pos
                    yield from self._frames_of(Packet())  # the frames that the decoder holds back
                    break
                yield from self._frames_of(packet)
            else:
                yield _Packet.WITHOUT
        yield from self._deinterlacer.rest()

    def _is_of_another_codec(self, packet: Packet[Any]) -> bool:
        """Whether a transport stream goes on in another codec: this decoder gets nothing from the rest.

        Only two pictures in a row show it where the first may be what damage has left of one.
        """
        if not self._is_transport_stream or packet.pos is None or packet.is_corrupt:
            return False
        decoders = decoders_of(bytes(memoryview(packet)[:HEAD]))
        if not decoders:
            return False
        self._others = 0 if self._decoder.name in decoders else self._others + 1
        return self._others > (not packet.is_keyframe)

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
            self._left_out.show(frame)
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
        sound = self._begun and not (self._damaged or self._deinterlacer.is_used)
        may = self._decoding.decoder == "software" and self._decoder.name != _LAYERED
        leave_out = may and sound and self._left_out.takes(packet)
        self._decoder.skip_frame = "NONREF" if leave_out else "DEFAULT"

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
        self._left_out.fails(packet.pts)
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
    except (av.FFmpegError, NotImplementedError):  # PyAV's, where its FFmpeg has no CUDA
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


class JpegDecoder:
    """Decodes JPEGs that come one by one."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("mjpeg", "r")
        self._codec.thread_count = 1
        self._codec.options = _WHOLE
        self._converter = Converter()

    def decode(self, data: bytes) -> Image | None:
        """uint8 (H, W, 3) BGR, in memory of its own; None if it is no JPEG, or not a whole one."""
        if not data.startswith(b"\xff\xd8"):
            return None
        try:
            (frame,) = self._codec.decode(av.Packet(data))
            return None if frame.is_corrupt else self._converter(frame)
        except (av.FFmpegError, ValueError):
            return None


def _seconds(timed: VideoFrame | Packet[Any]) -> float:
    unit = timed.time_base  # asked for once, since PyAV makes a new one each time
    if timed.pts is None or unit is None:
        return math.nan
    return timed.pts * unit.numerator / unit.denominator


def _container(
    source: str | RawIOBase,
    container_format: str | None,
    options: Mapping[str, str],
    timeouts: tuple[float, float] | None,
    device: HWAccel | None,
) -> InputContainer:
    """Open a source, with `device` for its decoders. Raises UnopenedError."""
    try:
        return av.open(
            source,
            "r",
            format=container_format,
            options=_BOUNDED | dict(options),
            timeout=timeouts,
            hwaccel=device,
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unopened(error) from None  # its message holds the address with its credentials


def _video_of(container: InputContainer) -> VideoStream:
    """As `_largest`; the container is closed where that raises UnopenedError."""
    try:
        return _largest(container)
    except UnopenedError:
        container.close()
        raise


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
