"""From a camera's settings to an open source."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edge.capture.live.address import DEFAULT_PORTS, Timeouts, public_name
from edge.capture.live.ffmpeg import LiveStream
from edge.capture.live.tls import Trust
from edge.capture.recordings import Clip, Folder
from edge.capture.source import Source
from edge.capture.video import Decoding
from edge.clock import Clock
from edge.config import CameraSettings, read_secret
from edge.errors import ConfigurationError, SourceError, why_no_name


def validate_source(settings: CameraSettings, secrets_beside: Path) -> None:
    """Check a camera's source and secret without opening the source.

    Raises ConfigurationError for a URL of an unknown scheme or without a host, for an unreadable secret, and
    for a decoder that the source cannot use.
    """
    if "://" in settings.source:
        try:
            _check_url(settings.source)
        except ValueError as error:
            raise ConfigurationError(
                f"camera {settings.name!r}: source = {public_name(settings.source)!r}: {error}"
            ) from None
    _check_decoder(settings, secrets_beside)
    _credentials(settings, secrets_beside)
    _trust(settings, secrets_beside)


def _check_decoder(settings: CameraSettings, beside: Path) -> None:
    if settings.decoder == "software":
        return
    device = _is_device(settings.source)
    if device or _is_folder(settings, beside):
        kind = "a device" if device else "a folder of pictures"
        raise ConfigurationError(
            f"camera {settings.name!r}: decoder = {settings.decoder!r}: the source is {kind}; "
            "allowed: 'software', or a video file or stream as source"
        )


def _is_folder(settings: CameraSettings, beside: Path) -> bool:
    try:
        return not is_live(settings) and (beside / _path(settings.source)).is_dir()
    except SourceError:  # it is reported when the source is opened
        return False


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return
    if parts.scheme not in DEFAULT_PORTS:
        allowed = ", ".join(f"{scheme}://" for scheme in (*DEFAULT_PORTS, "file"))
        raise ValueError(f"the scheme is unknown; allowed: {allowed}, a device, a file or a folder")
    if not parts.hostname:
        raise ValueError(f"names no host; allowed: a URL such as {parts.scheme}://192.0.2.10/stream")
    try:
        _ = parts.port
    except ValueError:  # its message repeats the value, which may hold a password
        raise ValueError("the port is wrong; allowed: 0 to 65535") from None


def is_live(settings: CameraSettings) -> bool:
    """Whether the source is a stream or a device; otherwise it is a recording."""
    scheme = urlsplit(settings.source).scheme if "://" in settings.source else ""
    return scheme in DEFAULT_PORTS or _is_device(settings.source)


def open_source(
    settings: CameraSettings, secrets_beside: Path, clock: Clock, turn: float | None = None
) -> Source:
    """Open the source that the settings name; a relative file is relative to `secrets_beside`.

    turn: 0..1, the part of the period at which pictures in real time are due by the clock; None: at any.
    The secret is read at every opening, so that a camera's password can be changed while the daemon runs.
    Raises SourceError; its message holds no credentials.
    """
    source, max_fps = settings.source, settings.max_fps
    own = None if turn is None else turn / max_fps
    if is_live(settings):
        return _open_live(settings, secrets_beside, clock, own)
    path = secrets_beside / _path(source)
    if path.is_dir():
        return Folder(path, max_fps, loop=settings.loop)
    if path.exists() and not path.is_file():
        raise SourceError(f"{path}: is neither a file nor a folder")
    decoding = _decoding(settings)
    if own is None or settings.pace == "full":
        return Clip(path, max_fps, loop=settings.loop, decoding=decoding)
    return Clip(path, max_fps, loop=settings.loop, decoding=decoding, clock=clock, own=own)


def _open_live(settings: CameraSettings, secrets_beside: Path, clock: Clock, own: float | None) -> Source:
    source, decoding = settings.source, _decoding(settings)
    timeouts = Timeouts(settings.open_timeout, settings.read_timeout)
    if _is_device(source):
        threads = decoding.threads
        return LiveStream.from_device(source, timeouts, settings.max_fps, clock, threads=threads, own=own)
    try:
        credentials, trust = _credentials(settings, secrets_beside), _trust(settings, secrets_beside)
    except ConfigurationError as error:
        raise SourceError(f"{public_name(source)}: {error}") from None
    common = (source, credentials, timeouts, settings.max_fps, clock)
    if urlsplit(source).scheme.startswith("http"):
        from edge.capture.live.http_camera import open_http  # requests takes 50 ms of a start

        return open_http(*common, trust=trust, decoding=decoding, own=own)
    transport = settings.transport
    return LiveStream.from_rtsp(*common, trust=trust, transport=transport, decoding=decoding, own=own)


def _decoding(settings: CameraSettings) -> Decoding:
    return Decoding(settings.decoder_threads, settings.decoder)


def _trust(settings: CameraSettings, beside: Path) -> Trust:
    ca_file = str(beside / settings.ca_file) if settings.ca_file else ""
    if ca_file and not Path(ca_file).is_file():
        raise ConfigurationError(
            f"camera {settings.name!r}: ca_file = {settings.ca_file!r}: there is no such file"
        )
    return Trust(ca_file, settings.fingerprint.replace(":", "").lower(), settings.insecure)


def _is_device(source: str) -> bool:
    return source.isdecimal() or source.startswith("/dev/")


def _path(source: str) -> Path:
    try:
        is_url = source.startswith("file://")
        path = Path(unquote(urlsplit(source).path)) if is_url else Path(source).expanduser()
        os.fsencode(path)
    except RuntimeError:
        raise SourceError(f"{source}: the user does not exist or has no home folder") from None
    except UnicodeEncodeError as error:
        raise SourceError(why_no_name(source, error)) from None
    return path


def _credentials(settings: CameraSettings, secrets_beside: Path) -> tuple[str, str] | None:
    if not settings.username:
        return None
    if not settings.password_file:
        return settings.username, ""
    key = f"camera {settings.name!r}: password_file"
    return settings.username, read_secret(key, settings.password_file, secrets_beside)
