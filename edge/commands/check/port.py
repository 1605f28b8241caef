"""Is the port for metrics free, or does the daemon use it already?"""

from __future__ import annotations

from contextlib import closing
from http.client import HTTPConnection, HTTPException

from edge.config import Settings
from edge.errors import ConfigurationError
from edge.ops.http import SERVER, HttpServer

TIMEOUT = 2.0
"""Seconds for a program that uses the port to answer."""


def check_port(settings: Settings) -> str:
    """Listen on the port for a moment. Raises ConfigurationError where another program uses it."""
    metrics = settings.metrics
    if not metrics.enabled:
        return "metrics.enabled = false: not served"
    where = f"http://{metrics.address}/metrics"
    try:
        HttpServer(metrics.host, metrics.port, {}).stop()
    except ConfigurationError as error:
        if _is_the_daemon(metrics.host, metrics.port):
            return f"{where}: served by the running daemon"
        raise ConfigurationError(f"{error}. The daemon counts without metrics and tries again") from None
    return f"{where}: the port is free" if metrics.port else "metrics.port = 0: the daemon takes a free port"


def _is_the_daemon(host: str, port: int) -> bool:
    """Whether a daemon of this program answers on the port."""
    try:
        with closing(HTTPConnection(host, port, timeout=TIMEOUT)) as connection:
            connection.request("HEAD", "/healthz")
            return connection.getresponse().headers.get("Server", "").strip() == SERVER
    except (OSError, OverflowError, HTTPException, ValueError):
        return False
