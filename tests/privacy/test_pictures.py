"""No byte of a picture leaves: not as pixels, not encoded, to no file, socket or pipe.

A pattern of random pixels is painted into every frame, in so many places that every crop of a face holds it.
All that the real daemon writes and sends, at its most talkative, is searched for it.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.commands.demo.scene import Scene, compose
from edge.config.tables.writing import to_toml
from edge.types import Image
from tests import strace
from tests.mosquitto import Mosquitto, Subscriber

PATTERN = np.random.default_rng(7).integers(0, 256, (2, 16, 3), np.uint8)
EVERY = 32
"""Pixels between two patterns: a face of 40 px holds one at least."""

ENCODED = (b"\x89PNG\r\n", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xdb", b"WEBPVP8", b"\x93NUMPY")
"""How pictures and arrays in files begin."""


def write_frames(folder: Path, frames: int) -> Path:
    """The demo's scene without loss, the pattern all over it."""
    folder.mkdir()
    scene = Scene()
    for number in range(frames):
        picture = cv2.resize(compose(scene, number / 10), (960, 540), interpolation=cv2.INTER_AREA)
        for y in range(0, 540 - 2, EVERY):
            for x in range(0, 960 - 16, EVERY):
                picture[y : y + 2, x : x + 16] = PATTERN
        cv2.imwrite(str(folder / f"{number:05}.png"), picture)
    return folder


def forms(row: Image) -> dict[str, bytes]:
    """Ways in which a row of pixels, uint8 (16, 3), may lie in bytes."""
    rgb, grey = row[:, ::-1], cv2.cvtColor(row[None], cv2.COLOR_BGR2GRAY)[0]
    floats = (row.astype(np.float32), (rgb / np.float32(255)).astype(np.float32))
    raw = {
        "bgr": row,
        "rgb": rgb,
        "grey": grey,
        "planes": row[:, 0],
        "floats": floats[0],
        "scaled": floats[1],
    }
    found = {name: np.ascontiguousarray(pixels).tobytes() for name, pixels in raw.items()}
    for name in ("bgr", "rgb"):
        # Twelve bytes inside the row at each alignment: base64 of what stands before them does not matter.
        for shift in range(3):
            found[f"{name}, base64 {shift}"] = base64.b64encode(found[name][shift : shift + 36])
        found[f"{name}, hexadecimal"] = found[name].hex().encode()
        found[f"{name}, a list"] = ", ".join(map(str, found[name])).encode()
    return found


def leaked(written: bytes) -> list[str]:
    """What of the pictures is in these bytes."""
    rows = {f"row {n}, {name}": form for n, row in enumerate(PATTERN) for name, form in forms(row).items()}
    return [name for name, form in rows.items() if form in written] + [
        str(e) for e in ENCODED if e in written
    ]


def test_no_byte_of_a_picture_is_in_what_the_daemon_writes_and_sends(tmp_path: Path) -> None:
    frames = write_frames(tmp_path / "frames", 40)
    with Mosquitto(tmp_path / "broker") as broker, Subscriber(broker, "#") as subscriber:
        tables = {
            "cameras": [{"name": "door", "source": str(frames), "pace": "full"}],
            "privacy": {"minimum": 1},
            "metrics": {"port": 0},
            "outbox": {"directory": str(tmp_path / "state")},
            "mqtt": {"host": broker.host, "port": broker.port},
        }
        (tmp_path / "config.toml").write_text(to_toml(tables))
        command = [sys.executable, "-m", "edge", "run", "--config", str(tmp_path / "config.toml")]

        written = strace.watch_bytes([*command, "--log-level", "debug"], tmp_path)

        windows = subscriber.on("instore/store/door/all/counts")
        messages = b"\n".join(message.payload for message in subscriber.messages)
    files = [path for name in ("state", "home", "here", "tmp") for path in (tmp_path / name).rglob("*")]
    on_disk = b"\n".join(path.read_bytes() for path in files if path.is_file())
    assert b"instore.counts/" in written
    assert sum(json.loads(counts)["released"] for counts in windows) >= 1, "no face was judged"
    assert leaked(written) == leaked(messages) == leaked(on_disk) == []


LEAKS = {
    "a crop as it is": "write(crop.tobytes())",
    "a crop in colours reversed": "write(np.ascontiguousarray(crop[..., ::-1]).tobytes())",
    "a PNG": "write(cv2.imencode('.png', crop)[1].tobytes())",
    "a JPEG": "write(cv2.imencode('.jpg', crop)[1].tobytes())",
    "base64": "write(base64.b64encode(crop.tobytes()))",
    "numbers": "write(str(crop[8].ravel().tolist()).encode())",
    "a socket": "socket.create_connection(('127.0.0.1', int(sys.argv[2]))).sendall(crop.tobytes())",
}
LEAK = """
import base64, socket, sys
from pathlib import Path
import cv2, numpy as np
crop = cv2.imread(sys.argv[1])[24:80, 24:80]
write = Path("leak").write_bytes
"""


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_a_leak_would_be_seen(tmp_path: Path, leak: str) -> None:
    frame = write_frames(tmp_path / "frames", 1) / "00000.png"
    with Mosquitto(tmp_path / "broker") as anybody:
        command = [sys.executable, "-c", LEAK + leak, str(frame), str(anybody.port)]
        assert leaked(strace.watch_bytes(command, tmp_path)) != []
