"""TLS to cameras: which certificate is trusted, and a connection for FFmpeg, which checks no fingerprint."""

from __future__ import annotations

import hashlib
import select
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass

from edge.errors import SourceError

_CHUNK = 65_536
_ACCEPT_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Trust:
    """Which certificate of a camera is taken: one that the machine's authorities or those in `ca_file` have
    signed for its name, the one of `fingerprint` (SHA-256, lower case, no colons), or, if `insecure`, any."""

    ca_file: str = ""
    fingerprint: str = ""
    insecure: bool = False

    @property
    def by_authority(self) -> bool:
        """Whether an authority has to have signed the certificate."""
        return not (self.fingerprint or self.insecure)

    def context(self) -> ssl.SSLContext:
        """For a connection whose fingerprint, where one is set, is still to be checked."""
        if self.by_authority:
            return ssl.create_default_context(cafile=self.ca_file or None)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context


def connect(host: str, port: int, trust: Trust, timeout: float) -> ssl.SSLSocket:
    """A TLS connection to a camera that is trusted. Raises SourceError with the reason, without a name."""
    try:
        plain = socket.create_connection((host, port), timeout)
    except OSError as error:
        raise SourceError(f"cannot be reached: {error.strerror or error}") from None
    try:
        secure = trust.context().wrap_socket(plain, server_hostname=host)
    except OSError as error:  # ssl.SSLError is one
        plain.close()
        raise SourceError(why_untrusted(host, port, error, timeout)) from None
    found = _fingerprint(secure.getpeercert(binary_form=True))
    if trust.fingerprint and found != trust.fingerprint:
        secure.close()
        raise SourceError(f"its certificate is not that of 'fingerprint': {found}")
    return secure


def why_untrusted(host: str, port: int, error: Exception, timeout: float) -> str:
    """Why TLS was not agreed on, for a person."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        return f"does not agree on TLS ({reason}); does it need the scheme without s?"
    try:
        found = _fingerprint(
            ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, port), timeout=timeout))
        )
    except OSError:
        found = "unknown"
    return (
        f"its certificate is not trusted ({error.verify_message}); allowed: 'fingerprint', if {found} is the "
        "camera's own, 'ca_file' or 'insecure = true'"
    )


def _fingerprint(certificate: bytes | None) -> str:
    return hashlib.sha256(certificate or b"").hexdigest()


class Relay:
    """Passes one connection to a port of 127.0.0.1 on through a TLS connection, until either side ends it."""

    def __init__(self, secure: ssl.SSLSocket) -> None:
        self._secure = secure
        self._plain: socket.socket | None = None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self._listener.settimeout(_ACCEPT_WITHIN)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._run, name="tls-relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End both connections, and the thread."""
        for end in (self._listener, self._plain):
            with suppress(OSError):  # it has ended by itself
                if end is not None:
                    end.shutdown(socket.SHUT_RDWR)
        self._thread.join(_ACCEPT_WITHIN)

    def _run(self) -> None:
        with self._secure, suppress(OSError):  # an end is gone: FFmpeg sees it as the end of the stream
            with self._listener:
                self._plain, _ = self._listener.accept()
            with self._plain:
                while pass_on(self._plain, self._secure):
                    pass


def pass_on(plain: socket.socket, secure: ssl.SSLSocket) -> bool:
    """Wait for bytes from either side and hand them to the other; False at the end of either."""
    ready = [secure] if secure.pending() else select.select([plain, secure], [], [])[0]
    for one, other in ((plain, secure), (secure, plain)):
        data = _received(one) if one in ready else None
        if data is not None:
            if not data:
                return False
            other.sendall(data)
    return True


def _received(one: socket.socket) -> bytes | None:
    """What is there, empty at its end; None if that is nothing yet: a ticket of TLS, or part of a record.

    Waiting for more of it would keep the other side waiting as well.
    """
    timeout = one.gettimeout()
    one.settimeout(0)
    try:
        return one.recv(_CHUNK)
    except (BlockingIOError, ssl.SSLWantReadError):
        return None
    finally:
        one.settimeout(timeout)
