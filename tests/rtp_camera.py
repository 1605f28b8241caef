"""An RTSP camera for tests that sends the RTP packets it is given, over TCP, and answers as it is told."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from types import TracebackType
from typing import cast

import av
import numpy as np

from edge.types import Image
from tests.loopback import LoopbackServer

CLOCK = 90_000


def coded(
    pictures: Sequence[Image], codec: str = "libx264", *, key_every: int = 25, fps: int = 25
) -> list[bytes]:
    """The access units of these pictures, with parameter sets before each key picture."""
    height, width = pictures[0].shape[:2]
    context = cast("av.VideoCodecContext", av.CodecContext.create(codec, "w"))
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.framerate, context.time_base = Fraction(fps), Fraction(1, fps)
    own = f"keyint={key_every}:min-keyint={key_every}:scenecut=0:bframes=0:repeat-headers=1:open-gop=0"
    name = "x265-params" if codec == "libx265" else "x264-params"
    context.options = {"preset": "ultrafast", "crf": "18", name: own + ":log-level=none"}
    units = []
    for number, image in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        frame.pts = number
        units += [bytes(packet) for packet in context.encode(frame)]
    return units + [bytes(packet) for packet in context.encode(None)]


def packets(
    units: Iterable[bytes],
    codec: str = "libx264",
    times: Callable[[int], int] = lambda number: number * CLOCK // 25,
    payload: int = 1200,
) -> list[bytes]:
    """Access units as RTP packets (RFC 6184, RFC 7798).

    times: the time stamp of a unit by its number. payload: bytes in a packet at most.
    """
    found: list[bytes] = []
    for number, unit in enumerate(units):
        nals = [nal for nal in re.split(rb"\x00\x00\x00?\x01", unit) if nal]
        pieces = [piece for nal in nals for piece in _pieces(nal, payload, hevc=codec == "libx265")]
        for piece in pieces:
            last = piece is pieces[-1]
            stamp = times(number) % 2**32
            header = bytes([0x80, 96 | last << 7]) + (len(found) % 65536).to_bytes(2)
            found.append(header + stamp.to_bytes(4) + bytes(4) + piece)
    return found


def _pieces(nal: bytes, payload: int, *, hevc: bool) -> list[bytes]:
    if len(nal) <= payload:
        return [nal]
    skip = 2 if hevc else 1
    parts = [nal[at : at + payload] for at in range(skip, len(nal), payload)]
    found = []
    for number, part in enumerate(parts):
        flags = (number == 0) << 7 | (number == len(parts) - 1) << 6
        if hevc:
            head = bytes([nal[0] & 0x81 | 49 << 1, nal[1], flags | nal[0] >> 1 & 0x3F])
        else:
            head = bytes([nal[0] & 0xE0 | 28, flags | nal[0] & 0x1F])
        found.append(head + part)
    return found


class RtpCamera(LoopbackServer):
    """Sends its packets to each client over TCP, then ends the connection, or keeps it silent.

    challenge: the WWW-Authenticate of each answer 401, which no client can satisfy. media: lines of the SDP
    before those of the video. base: the address that it takes for its own.
    """

    def __init__(
        self,
        packets: Sequence[bytes],
        *,
        codec: str = "H264",
        challenge: str = "",
        media: str = "",
        base: str = "",
        hang: bool = False,
    ) -> None:
        super().__init__()
        self.requests: list[str] = []
        self._packets = packets
        self._challenge = challenge
        self._base = base
        self._hang = hang
        self._sdp = (
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n"
            f"{media}m=video 0 RTP/AVP 96\r\na=rtpmap:96 {codec}/90000\r\na=control:track1\r\n"
        )
        self._clients: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/door"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        for client in self._clients:
            client.close()

    def talk(self, client: socket.socket) -> None:
        self._clients.append(client)
        for request in _requests(client):
            self.requests.append(request)
            client.sendall(self._answer(request).encode())
            if request.startswith("PLAY"):
                for packet in self._packets:
                    client.sendall(b"$\0" + len(packet).to_bytes(2) + packet)
                if not self._hang:
                    client.shutdown(socket.SHUT_RDWR)

    def _answer(self, request: str) -> str:
        sequence = re.search(r"(?i)cseq: *(\d+)", request)
        head = f"CSeq: {sequence[1] if sequence else 0}\r\n"
        if self._challenge and not request.startswith("OPTIONS"):
            return f"RTSP/1.0 401 Unauthorized\r\n{head}WWW-Authenticate: {self._challenge}\r\n\r\n"
        return f"RTSP/1.0 200 OK\r\n{head}{self._more(request.split(maxsplit=1)[0])}"

    def _more(self, method: str) -> str:
        if method == "DESCRIBE":
            base = f"Content-Base: {self._base}\r\n" if self._base else ""
            return (
                f"{base}Content-Type: application/sdp\r\nContent-Length: {len(self._sdp)}\r\n\r\n{self._sdp}"
            )
        if method == "OPTIONS":
            return "Public: DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN\r\n\r\n"
        transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n" if method == "SETUP" else ""
        return f"Session: 7\r\n{transport}\r\n"


def _requests(client: socket.socket) -> Iterable[str]:
    """What the client asks, without what it says about the packets (RTCP)."""
    data = b""
    while piece := client.recv(4096):
        data += piece
        while True:
            if data[:1] == b"$":
                end = 4 + int.from_bytes(data[2:4])
                if len(data) < max(4, end):
                    break
                data = data[end:]
                continue
            request, found, rest = data.partition(b"\r\n\r\n")
            if not found:
                break
            data = rest
            yield request.decode()
