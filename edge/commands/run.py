"""`instore-edge run`: the daemon."""

from __future__ import annotations

import argparse
import logging
import os
import random
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from edge.clock import SystemClock
from edge.commands.options import add_common, config_folder, load_configuration, read_settings
from edge.commands.signals import reload_on_signal, stop_on_signals
from edge.config import Settings
from edge.config.environment import ignored
from edge.config.tables.toml import STANDARD_INPUT
from edge.ops.logs import set_level
from edge.ops.systemd import Systemd

if TYPE_CHECKING:
    from edge.daemon.runtime import Runtime

log = logging.getLogger(__name__)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    examples = ["instore-edge run", "instore-edge run --config config.toml --set mqtt.host=192.0.2.5"]
    add_common(parser, examples, log_level=None)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the daemon until a signal stops it or every recording has ended; returns the exit status."""
    if arguments.log_level:  # it goes before the key, also after a reload
        arguments.set.append(f"log.level={arguments.log_level}")
    load = partial(read_settings, arguments)
    settings = load()
    set_level(settings.log.level)
    for name in ignored(os.environ):
        log.warning("%s: ignored, because it names no key", name)
    stop = stop_on_signals()
    reload = reload_on_signal(stop)
    # After the signals: its libraries take a second to load.
    runtime = _make_runtime(arguments, settings, load)
    status = runtime.run(stop, reload)
    if runtime.hangs:
        # A thread that returns from OpenCV or TensorRT while the interpreter ends would crash the process.
        logging.shutdown()
        os._exit(status)
    return status


def _make_runtime(arguments: argparse.Namespace, settings: Settings, load: Callable[[], Settings]) -> Runtime:
    """The daemon, which may read its configuration again, write to it, and test it."""
    from edge.daemon.runtime import Runtime
    from edge.web.setup.tools import Configured

    folder = config_folder(arguments)

    def test(wanted: Settings) -> list[dict[str, Any]]:
        from edge.commands.check.command import check
        from edge.commands.check.verdict import Live

        faces_on = "{backend} ({device})".format(**runtime.faces_on)
        live = Live(runtime.backend, runtime.is_connected, faces_on)
        return [verdict.as_dict() for verdict in check(wanted, folder, faces=False, live=live)]

    runtime = Runtime(
        settings,
        beside=folder,
        clock=SystemClock(),
        rng=random.Random(),
        systemd=Systemd(),
        load=load,
        configured=Configured(
            arguments.config if arguments.config not in (None, STANDARD_INPUT) else None,
            lambda drafts: load_configuration(arguments, drafts).settings,
            test,
        ),
    )
    return runtime
