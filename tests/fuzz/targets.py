"""A function for each thing that parses input from outside: it takes any bytes, and fails on a fault of ours.

The suite feeds them by Hypothesis (`tests/edge/test_fuzz.py`); `make fuzz` does for as long as you like, by
atheris, which looks for inputs that reach new code.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from edge.bundle import BUILTIN, load_bundle, load_confusion
from edge.capture import validate_source
from edge.capture.live.address import public_name, with_credentials
from edge.config import CameraSettings, load_settings
from edge.config.redaction import is_mistyped_url, redact, redact_value
from edge.errors import ConfigurationError
from edge.release.checkpoint import decode_open, encode_open
from edge.release.messages import decode_counts

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config.toml"
PASSWORD = "hunter2/?#@ x"


def config(data: bytes) -> None:
    """A configuration file."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with suppress(ConfigurationError):
            load_settings(Path(file.name))


def override(data: bytes) -> None:
    """`--set KEY=VALUE`."""
    with suppress(ConfigurationError):
        load_settings(SHIPPED, [data.decode(errors="surrogateescape")])


def manifest(data: bytes) -> None:
    """A bundle's manifest: one that is accepted names files of the folder whose hashes fit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in BUILTIN.iterdir():
            (folder / path.name).symlink_to(path)
        (folder / "manifest.json").unlink()
        (folder / "manifest.json").write_bytes(data)
        with suppress(ConfigurationError):
            bundle = load_bundle(folder)
            assert bundle.model_path.parent == folder
            load_confusion(bundle)


def confusion(data: bytes) -> None:
    """A bundle's confusion table, with a hash that fits."""
    from edge.bundle import sha256_of

    described = json.loads((BUILTIN / "manifest.json").read_text())
    described["confusion"] = {"file": "confusion.json", "sha256": sha256_of(data)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in BUILTIN.iterdir():
            if path.name not in ("manifest.json", "confusion.json"):
                (folder / path.name).symlink_to(path)
        (folder / "confusion.json").write_bytes(data)
        (folder / "manifest.json").write_text(json.dumps(described))
        with suppress(ConfigurationError):
            assert load_confusion(load_bundle(folder)).min() >= 0


def counts(data: bytes) -> None:
    """A counts message, as a subscriber gets it."""
    with suppress(ValueError):
        decode_counts(data)


def open_window(data: bytes) -> None:
    """An open window, as a disk gives it back: what is accepted is written as it was read."""
    with suppress(ValueError):
        window = decode_open(data)
        assert decode_open(encode_open(window)) == window


def url(data: bytes) -> None:
    """A camera's URL: credentials go into it and come out of it whole, and no message shows them."""
    text = data.decode(errors="replace")
    try:
        camera = CameraSettings(name="door", source=text, username="u:@/", password_file="/dev/null")
    except ValidationError:
        return
    if "://" not in text or "hunter2" in text:  # the search finds the password, and shows it itself
        return
    with suppress(ConfigurationError):
        validate_source(camera.model_copy(update={"password_file": ""}), Path())
        whole = with_credentials(text, ("u:@/", PASSWORD))
        if (parts := urlsplit(whole)).scheme == "file":
            return
        assert parts.hostname == urlsplit(text).hostname
        assert (unquote(parts.username or ""), unquote(parts.password or "")) == ("u:@/", PASSWORD)
        assert public_name(whole) == public_name(text)
        assert "hunter2" not in redact(f"cannot open {whole}: gone")


def masking(data: bytes) -> None:
    """Whatever is logged."""
    text = data.decode(errors="replace")
    redact(text)
    redact_value(text)
    is_mistyped_url(text)
    assert "hunter2" in text or "hunter2" not in redact(f"{text} rtsp://u:hunter2@h/{text}")


def jpegs(data: bytes) -> None:
    """What an HTTP camera streams: whole pictures come out, each a piece of what came in."""
    from edge.capture.live.jpegs import JpegReader

    for picture in JpegReader().feed(data):
        assert picture.startswith(b"\xff\xd8\xff")
        assert picture.endswith(b"\xff\xd9")
        assert picture in data


def rtsp_answer(data: bytes) -> None:
    """What an RTSP camera says of why it gives no video."""
    from edge.capture.live.refusal import read_answer

    assert read_answer(data, None).isprintable()


TARGETS: dict[str, Callable[[bytes], None]] = {
    function.__name__: function
    for function in (
        config,
        override,
        manifest,
        confusion,
        counts,
        open_window,
        url,
        masking,
        jpegs,
        rtsp_answer,
    )
}

SEEDS: dict[str, list[bytes]] = {
    "config": [SHIPPED.read_bytes(), b'[[cameras]]\nname = "door"\nsource = "0"\n'],
    "override": [b"privacy.minimum=1", b"cameras.entrance.max_fps=5", b'windows.brackets=["0-12", "13+"]'],
    "manifest": [(BUILTIN / "manifest.json").read_bytes()],
    "confusion": [(BUILTIN / "confusion.json").read_bytes()[:2000], b'{"counts": [[1, 2, 3]]}'],
    "counts": [b'{"schema":"instore.counts/2","window_id":"x"}'],
    "open_window": [
        b'[{"site":"s","camera_id":"c","zone":"all","start":"2026-01-31T08:00:00+00:00",'
        b'"end":"2026-01-31T08:05:00+00:00","counts":{"0-12":1},"unclassified":0,"coverage":[1.5,2,{"a":1}]}]',
        b'[{"site":"s","camera_id":"c","start":"2026-01-31T08:00:00+00:00","end":"2026-01-31T08:05:00+00:00",'
        b'"zones":{"till":[{"0-12":1},0],"rest":[{"0-12":0},2]},"coverage":[1.5,2,{}],"lines":{"door":[1,0]},'
        b'"tallies":{"zones":{"till":1}}}]',
    ],
    "url": [b"rtsp://192.0.2.10:554/stream1", b"http://[2001:db8::1]/a?b=c#d", b"rtsps://camera/%41"],
    "jpegs": [
        b"--b\r\nContent-Type: a/b\r\n\r\n\xff\xd8\xff\xe0\x00\x04ab\xff\xda\x00\x02x\xff\x00\xff\xd9\r\n",
        b"\xff\xd8\xff\xdb\x00\x03a\xff\xda\x00\x02\xff\xd8\xff\xc0\x00\x02\xff\xd9\xff\xd9",
    ],
    "rtsp_answer": [
        b"RTSP/1.0 200 OK\r\nCSeq: 2\r\n\r\nm=audio 0 RTP/AVP 0\r\n",
        b"RTSP/1.0 404 Not Found\r\n\r\n",
    ],
    "masking": [b"open rtsp://u:p@h/x failed", b"rtsp:/u:p@h", b"://://@@"],
}
"""Where each search begins."""
