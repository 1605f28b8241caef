"""`instore-edge dashboard`: the box's page in a process of its own."""

from __future__ import annotations

import argparse
import logging
import sys

from edge.clock import SystemClock
from edge.commands.options import add_common, config_folder, read_settings
from edge.commands.signals import stop_on_signals

log = logging.getLogger(__name__)

POLL = 0.5
"""Seconds of one wait for a signal. The kernel may give it to any thread, and Python's main thread handles it
once its wait is over: one without an end may last for ever."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        f"{parser.description}\nRun it as root or as the service's user, who may read the history. The keys\n"
        "of [web] say where it listens; `web.enabled = true` serves the same page from the daemon."
    )
    examples = ["instore-edge dashboard", "instore-edge dashboard --config config.toml --set web.port=8080"]
    add_common(parser, examples, log_level="info")
    parser.set_defaults(command=_command)


def _command(arguments: argparse.Namespace) -> int:
    settings, folder = read_settings(arguments), config_folder(arguments)
    stop = stop_on_signals()
    from edge.commands.check.state import state_folder  # these libraries take a while to load
    from edge.delivery.history import FILE
    from edge.web.server import WebServer

    path = state_folder(settings, folder) / FILE
    server = WebServer(path, settings, beside=folder, clock=SystemClock())
    if not path.exists():
        log.warning("%s: does not exist yet; the daemon writes it", path)
    server.start()
    try:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        while not stop.wait(POLL):
            pass
    finally:
        server.stop()
    return 0
