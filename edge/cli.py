"""`instore-edge`: parses the command line, runs one command, and returns its exit status.

A command's module is imported only when that command is named, so that help and bad usage load no library
that they do not need. Each such module has `configure(parser)`, which adds the command's options and
examples and sets `command`: a function that takes the parsed arguments and returns the exit status.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from edge import __version__
from edge.commands.signals import hold_hang_up
from edge.errors import ConfigurationError, InstoreError, why_no_name

log = logging.getLogger(__name__)

COMMANDS = {
    "run": ("edge.commands.run", "Count visitors until stopped. This is the daemon."),
    "check": (
        "edge.commands.check.command",
        "Test the configuration, the cameras, the model, the broker and this machine.",
    ),
    "replay": (
        "edge.commands.replay",
        "Count the visitors in recordings and print what may leave the box as JSON lines.",
    ),
    "demo": ("edge.commands.demo.command", "Run a broker, the daemon and a live view on this machine."),
    "bench": ("edge.commands.bench.command", "Measure how long each stage takes on recordings."),
    "audit": (
        "edge.commands.audit.command",
        "Compare the visitors of the box with what a person counts: its error, with an interval.",
    ),
    "engine": (
        "edge.commands.engine.command",
        "Build TensorRT engines of the age model and the face networks.",
    ),
    "dashboard": (
        "edge.commands.dashboard",
        "Serve the page of this box: what it has published, for a browser.",
    ),
    "export": (
        "edge.commands.export.command",
        "Print the messages that this box has published as a table: CSV, or JSON lines.",
    ),
    "config": ("edge.commands.config", "Show the effective configuration, or its schema for editors."),
    "network-policy": (
        "edge.commands.network_policy",
        "Print a systemd drop-in that limits the service's network to its cameras, brokers and webhook.",
    ),
}
"""Every command: its module and its summary."""

FOR_LIBRARIES = {
    "OPENBLAS_NUM_THREADS": "1",  # numpy's: cameras are the parallelism, and a thread spins before it sleeps
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # none is used, and it reads what every package declares
}
"""Variables that libraries read when they are imported, where the environment does not set them."""

EXAMPLES = """examples:
  instore-edge demo
  instore-edge check
  instore-edge run --config config.toml
  instore-edge replay entrance.mp4 --set privacy.minimum=1
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 2 bad usage or configuration, 1 anything else."""
    words = sys.argv[1:] if argv is None else list(argv)
    os.environ.update(FOR_LIBRARIES | os.environ)
    try:
        if words[:1] == ["run"]:
            hold_hang_up()
            gc.disable()  # until the daemon has settled: collections find little while libraries load
        # Its libraries take half a second to load: neither SIGHUP nor Ctrl-C must find the process without.
        return _run(words, own_process=argv is None)
    except KeyboardInterrupt:
        return 1
    finally:
        gc.enable()


def _run(words: Sequence[str], *, own_process: bool) -> int:
    from edge.ops.logs import complain
    from edge.ops.memory import forbid_core_dumps
    from edge.ops.terminal import null_output, prepare_streams

    forbid_core_dumps()
    if own_process:
        prepare_streams()
    logged = _LoggedFailures()
    try:
        try:
            status = _command(words, logged)
        finally:  # also of the help, which ends by SystemExit
            sys.stdout.flush()
    except ConfigurationError as error:
        complain(str(error))
        return 2
    except InstoreError as error:
        complain(str(error))
        return 1
    except UnicodeEncodeError as error:  # of a path, by the encoding that the locale gives to file names
        complain(why_no_name(repr(error.object), error))
        return 1
    except BrokenPipeError:  # the reader of our output ended
        null_output()
        return 1
    except Exception as error:  # a bug; the interpreter would print it with any credentials in its message
        if error not in logged.failures:
            log.critical("this is a bug: %s", error, exc_info=error)
        return 1
    return status


def _command(words: Sequence[str], logged: _LoggedFailures) -> int:
    from edge.ops.logs import set_up

    arguments = parser(only=words[0] if words else "").parse_args(words)
    set_up(arguments.log_level or "info")
    for handler in logging.getLogger().handlers:
        handler.addFilter(logged)
    command: Callable[[argparse.Namespace], int] = arguments.command
    return command(arguments)


class _LoggedFailures(logging.Filter):
    """Lets every record pass, and remembers the exceptions of critical ones.

    An exception that ended a thread is logged there and raised again in the main thread; it is logged once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[BaseException | None] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.CRITICAL and record.exc_info:
            self.failures.append(record.exc_info[1])
        return True


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The commands and their options; the manual page and the shell completion are made from it.

    only: the command that gets its options, so that the others need not be imported; None for all of them.
    """
    root = argparse.ArgumentParser(
        prog="instore-edge",
        description="Anonymous age counts from store cameras over MQTT.",
        epilog=f"{EXAMPLES}\n`instore-edge COMMAND --help` lists the options of a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"instore-edge {__version__}")
    commands = root.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if only in (name, None):
            import_module(module).configure(command)
    return root
