"""The manual page and the shell completion of `instore-edge`, made from its parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from edge import __version__
from edge.cli import parser

CONFIG = "/etc/instore-edge/config.toml"

FILES = {
    CONFIG: "The configuration; every key is explained in it.",
    "/etc/instore-edge/secrets/": "Passwords and keys, for root alone. "
    "The configuration names them as secrets/NAME.",
    "/var/lib/instore-edge/": "Windows that wait for the broker, and those that are still open.",
    "/etc/systemd/system/instore-edge.service.d/": "What is added to the service: camera.conf and gpu.conf "
    "from /usr/share/instore-edge/systemd/ open cameras and GPUs at the box itself to it.",
}

SERVICE = """.nf
systemctl start instore-edge      begin to count
systemctl reload instore-edge     take the configuration over without a pause
systemctl status instore-edge     how many cameras are up, and what waits
journalctl -u instore-edge        what happened
.fi
"""

STATUS = """.TP
.B 0
done
.TP
.B 1
something failed; with
.BR check ,
a verdict is bad
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
            "bracket there were in each window of time. Nothing else leaves the box: no picture, no crop, no "
            "embedding, no track."
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
        *(_escaped(line.strip()) for line in (root.epilog or "").splitlines()[1:]),
        ".fi",
        ".SH SEE ALSO",
        ".BR systemctl (1),",
        ".BR journalctl (1),",
        ".BR mosquitto (8)",
    ]
    return "\n".join(parts) + "\n"


def completion() -> str:
    """A completion for bash: commands, their options, the values of options that have a few, and files."""
    words: dict[str, list[str]] = {}
    for name, command in commands(parser()):
        first, *second = name.split()
        known = words.setdefault(first, [])
        known += [word for word in (*second, *_flags(command)) if word not in known]
    cases = "\n".join(f"        {name}) words={_quoted(known)} ;;" for name, known in words.items())
    choices = "\n".join(
        f'        {flag}) COMPREPLY=($(compgen -W {_quoted(values)} -- "$word")); return ;;'
        for flag, values in sorted(_choices().items())
    )
    return f"""# Completion of instore-edge for bash.
_instore_edge() {{
    local word=$2 before=$3 words
    COMPREPLY=()
    case $before in
{choices}
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W {_quoted([*words, "--help", "--version"])} -- "$word"))
        return
    fi
    case ${{COMP_WORDS[1]}} in
{cases}
        *) return ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    if [ "${{word#-}}" = "$word" ]; then
        compopt -o filenames 2>/dev/null
        COMPREPLY+=($(compgen -f -- "$word"))
    fi
}}
complete -F _instore_edge instore-edge
"""


def commands(
    root: argparse.ArgumentParser, prefix: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Each command by its whole name, those that only hold others left out."""
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
    return f"{name}..." if action.nargs in ("+", "*") else name


def _flags(command: argparse.ArgumentParser) -> list[str]:
    return [flag for action in command._actions for flag in action.option_strings if flag.startswith("--")]


def _choices() -> dict[str, list[str]]:
    return {
        flag: [str(choice) for choice in action.choices]
        for _, command in commands(parser())
        for action in command._actions
        if action.choices
        for flag in action.option_strings
    }


def _quoted(words: list[str]) -> str:
    return f'"{" ".join(words)}"'


def _escaped(text: str) -> str:
    """Plain text as roff takes it: hyphens as they are typed, and no line that begins as a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text
