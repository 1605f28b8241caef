"""Where the codec changes inside an MPEG transport stream, as in exports of a recorder that are joined."""

from __future__ import annotations

from pathlib import Path

PACKET = 188
"""Bytes of a packet of a transport stream (ISO/IEC 13818-1, 2.4.3.2)."""

SYNC = 0x47
"""The first of them."""

HEAD = 6
"""Bytes of a coded picture that tell its codec."""

_FARTHEST = PACKET << 16
"""Bytes before it was noticed in which a change is searched: FFmpeg may give nothing of the first picture."""

_MPEG = ("mpeg1video", "mpeg2video")
_BEGINNINGS = {
    0xB3: _MPEG,  # sequence_header_code of a key picture (ISO/IEC 13818-2, 6.2.2.1)
    0x09: ("h264",),  # the access unit delimiter that each picture must have there (ITU-T H.264, 7.3.2.4)
    0x46: ("hevc",),  # the same (ITU-T H.265, 7.3.2.5)
}
"""FFmpeg's decoders of a picture by the byte after its start code."""

_DELIMITERS = {0x09: 1, 0x46: 2}
"""Where the only byte of a delimiter is, from the one in `_BEGINNINGS`; its last five bits are 10000."""


def decoders_of(head: bytes) -> tuple[str, ...]:
    """FFmpeg's decoders of a coded picture that begins with these bytes; empty where they do not tell."""
    zeros = len(head) - len(head.lstrip(b"\0"))
    code = head[zeros + 1 :] if zeros in (2, 3) and head[zeros : zeros + 1] == b"\1" else b""
    if not code:
        return ()
    place = _DELIMITERS.get(code[0], 0)
    if place and len(code) > place and code[place] & 0x1F != 0x10:
        return ()
    return _BEGINNINGS.get(code[0], ())


def first_byte(path: Path, at: int) -> int:
    """Where a file is to be opened, of which the picture at the byte `at` is of another codec than before.

    That is where the tables begin before the first picture of that codec. Raises OSError.
    """
    with path.open("rb") as file:
        file.seek(begin := max(at % PACKET, at - _FARTHEST))
        data = file.read(at - begin + PACKET)
    packets = [data[place : place + PACKET] for place in range(0, len(data), PACKET)]
    video, codec = _pid(packets[-1]), decoders_of(_head(packets[-1]))
    first = len(packets) - 1
    for number in range(first, -1, -1):
        if packets[number][0] != SYNC:
            break
        if _pid(packets[number]) == video and (head := _head(packets[number])):
            if decoders_of(head) != codec and not (codec == _MPEG and head.startswith(b"\0\0\1\0")):
                break
            first = number
    while first > 0 and packets[first - 1][0] == SYNC and _pid(packets[first - 1]) != video:
        first -= 1
    return begin + first * PACKET


def _pid(packet: bytes) -> int:
    return int.from_bytes(packet[1:3], "big") & 0x1FFF


def _head(packet: bytes) -> bytes:
    """The first bytes of the picture that begins in this packet; empty where none does."""
    begins, adapted = packet[1] & 0x40, packet[3] & 0x20
    pes = 4 + (1 + packet[4] if adapted else 0)
    if not begins or pes + 9 > PACKET:
        return b""
    return packet[pes + 9 + packet[pes + 8] :][:HEAD] if pes + 9 + packet[pes + 8] < PACKET else b""
