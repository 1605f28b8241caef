"""The manual page and the shell completion of `instore-edge`, made from its parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import shtab

from edge import __version__
from edge.cli import EXAMPLES, parser
from edge.commands.options import CONFIG

FILES = {
    str(CONFIG): "The configuration; it explains every key.",
    "/etc/instore-edge/conf.d/": "Files that override the configuration, in the order of their names.",
    "/etc/instore-edge/secrets/": "Passwords and keys, readable by root only. "
    "The configuration names them as secrets/NAME.",
    "/var/lib/instore-edge/": "Messages that wait to be sent, open windows, and the history "
    "of what was published.",
    "/etc/systemd/system/instore-edge.service.d/": "Additions to the service. Copy camera.conf or gpu.conf "
    "from /usr/share/instore-edge/systemd/ here to let it use local cameras or GPUs.",
}

SERVICE = """.nf
systemctl start instore-edge      start the daemon
systemctl reload instore-edge     apply a changed configuration without a restart
systemctl status instore-edge     show how many cameras are up and how many messages wait to be sent
journalctl -u instore-edge        show the log
.fi
"""

STATUS = """.TP
.B 0
done
.TP
.B 1
something failed, such as a test of
.B check
.TP
.B 2
bad usage or configuration
"""


def manual() -> str:
    """`instore-edge(1)` in the macros of man(7)."""
    root = parser()
    parts = [
        f'.TH INSTORE-EDGE 1 "" "InStore {__version__}" "User Commands"',
        ".SH NAME",
        "instore-edge \\- anonymous age counts from store cameras",
        ".SH SYNOPSIS",
        ".B instore-edge",
        "COMMAND [OPTION]...",
        ".SH DESCRIPTION",
        _escaped(
            "InStore pulls frames from a store's cameras, finds faces, follows each visitor while in view, "
            "estimates an age distribution for each, and publishes over MQTT how many visitors of each age "
            "bracket there were in each window of time. Counts and states leave the box: no crop, no "
            "embedding, no track. Pictures stay in memory; whoever sets the box up or audits it on its page "
            "sees one with the faces covered, or with nobody on it."
        ),
        ".SH COMMANDS",
        *(line for name, command in commands(root) for line in _command(name, command)),
        ".SH EXIT STATUS",
        STATUS.rstrip(),
        ".SH FILES",
        *(line for path, text in FILES.items() for line in (".TP", f".I {_escaped(path)}", _escaped(text))),
        ".SH SERVICE",
        SERVICE.rstrip(),
        ".SH EXAMPLES",
        ".nf",
        *(_escaped(line.strip()) for line in EXAMPLES.splitlines()[1:]),
        ".fi",
        ".SH SEE ALSO",
        ".BR systemctl (1),",
        ".BR journalctl (1),",
        ".BR mosquitto (8)",
    ]
    return "\n".join(parts) + "\n"


def completion() -> str:
    """A completion for bash: commands, options, the values of options that have a few, and files."""
    root = parser()
    for _, command in commands(root):
        for action in command._actions:
            if action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined] # shtab reads this attribute
    return shtab.complete(root, "bash")


def commands(
    root: argparse.ArgumentParser, prefix: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Each command with its full name, such as `engine build`; a group of commands is not one."""
    for action in root._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                below = list(commands(command, f"{prefix}{name} "))
                yield from below or [(prefix + name, command)]


def _command(name: str, command: argparse.ArgumentParser) -> Iterator[str]:
    positional = [action for action in command._actions if not action.option_strings]
    yield f".SS {_escaped(' '.join([name, *(_metavar(action) for action in positional)]))}"
    yield _escaped(command.description or "")
    for action in command._actions:
        if action.option_strings and action.help and action.help is not argparse.SUPPRESS:
            yield ".TP"
            value = "" if action.nargs == 0 else f" {_metavar(action)}"
            yield f".B {_escaped(', '.join(action.option_strings) + value)}"
            yield _escaped(action.help)


def _metavar(action: argparse.Action) -> str:
    if action.choices:
        return "|".join(map(str, action.choices))
    shown = action.metavar or action.dest.upper()
    name = shown if isinstance(shown, str) else " ".join(shown)
    return {"+": f"{name}...", "*": f"[{name}...]"}.get(str(action.nargs), name)


def _escaped(text: str) -> str:
    """Text for roff: hyphens stay hyphens, and no line becomes a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text
