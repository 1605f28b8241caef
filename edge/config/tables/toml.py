"""TOML files to tables, and overrides by `--set`; for the box and for training."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

from edge.config.encoding import text_of
from edge.config.redaction import redact
from edge.errors import ConfigurationError
from edge.files import read_bounded

LARGEST = 1 << 20
"""The most bytes of a configuration file."""

STANDARD_INPUT = Path("-")
"""Stands for standard input, which is read once: a reload finds the same again."""

MOST_DOTS = 64
"""The most dots in a line that is not a comment."""


def laid_over(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """`lower` overlaid with `upper`: tables key by key, other values as a whole. Neither is changed."""
    merged = copy.deepcopy(dict(lower))
    for key, value in upper.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = laid_over(below, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def named(path: Path) -> str:
    """A configuration file in messages."""
    return "standard input" if path == STANDARD_INPUT else str(path)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, or of standard input. Raises ConfigurationError that names it."""
    return parsed(named(path), read_text(path))


def read_text(path: Path, opened: Callable[[IO[bytes]], object] = lambda _: None) -> str:
    """The text of a configuration file, or of standard input. Raises ConfigurationError that names it.

    opened: is shown the open file before it is read.
    """
    name = named(path)
    try:
        content = _standard_input() if path == STANDARD_INPUT else _content(path, opened)
    except OSError as error:
        raise ConfigurationError(f"{name}: cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise ConfigurationError(f"{name}: larger than {LARGEST} bytes; allowed: a TOML configuration")
    try:
        return text_of(content)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from None


def parsed(name: str, text: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises ConfigurationError that begins with `name`."""
    _check_depth(name, text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name}: is not valid TOML: {error}") from None
    except ValueError as error:  # a date that does not exist
        raise ConfigurationError(f"{name}: {error}") from None


def _content(path: Path, opened: Callable[[IO[bytes]], object]) -> bytes:
    return read_bounded(path, LARGEST + 1, opened)


@cache
def _standard_input() -> bytes:
    with open(0, "rb", closefd=False) as file:  # sys.stdin is None where it is closed
        return file.read(LARGEST + 1)


def _check_depth(name: str, text: str) -> None:
    """tomllib's time grows with the square of a key's parts: `a.a.a` ... of 100 KB would take minutes."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.count(".") > MOST_DOTS and not line.lstrip().startswith("#"):
            raise ConfigurationError(
                f"{name}: line {number} has more than {MOST_DOTS} dots; allowed: a key such as mqtt.port"
            )


def override(table: dict[str, Any], assignment: str, example: str) -> tuple[str, tuple[str | int, ...]]:
    """Set one key of the tables by `KEY=VALUE`, as in `--set`; a list's entries go by name or number.

    example: an assignment for the error message. Returns how the user named the key, and the key with numbers
    for entries. Raises ConfigurationError.
    """
    key, equals, text = assignment.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigurationError(
            f"--set {redact(assignment)}: not an assignment; allowed: KEY=VALUE, such as {example}"
        )
    return f"--set {key}", put(table, key.split("."), text, f"--set {key}")


def put(table: dict[str, Any], key: Sequence[str | int], text: str, given: str) -> tuple[str | int, ...]:
    """Set one key, such as `["mqtt", "port"]`, to a value in TOML, or to the text.

    An entry of a list goes by its name, or by its number from 0 where no entry has this name; an int in `key`
    is always the number. given: how the user named the key, for messages. Returns the key with numbers for
    entries. Raises ConfigurationError.
    """
    *parents, last = key
    node: Any = table
    found: list[str | int] = []
    for part in parents:
        above, node = node, _child(node, part, given)
        found.append(_number(above, node) if isinstance(above, list) else part)
    if isinstance(node, list) and any(isinstance(entry, dict) for entry in node):
        raise ConfigurationError(f"{given}: name a key of the entry, such as {_dotted(key)}.name")
    if isinstance(node, list) or str(last).isdecimal():
        whole = _dotted(parents)
        raise ConfigurationError(f"{given}: a list is set as a whole, such as '{whole}=[..., ...]'")
    node[last] = _toml_value(text, given)
    return (*found, last)


def _number(entries: list[Any], entry: object) -> int:
    return next(number for number, other in enumerate(entries) if other is entry)


def _dotted(key: Sequence[str | int]) -> str:
    return ".".join(map(str, key))


def _child(node: Any, part: str | int, given: str) -> Any:  # noqa: ANN401 - a TOML tree is of any shape
    if isinstance(node, list):
        return _entry(node, part, given)
    child = node.setdefault(part, {})
    if not isinstance(child, dict | list):
        raise ConfigurationError(f"{given}: {part!r} is a value, not a table")
    return child


def _entry(entries: list[Any], part: str | int, given: str) -> dict[str, Any]:
    tables = {number: entry for number, entry in enumerate(entries) if isinstance(entry, dict)}
    named = {str(number): entry for number, entry in tables.items()}
    named |= {entry["name"]: entry for entry in tables.values() if isinstance(entry.get("name"), str)}
    found = tables.get(part) if isinstance(part, int) else named.get(part)
    if found is None:
        raise ConfigurationError(f"{given}: there is no entry {part!r}; use a name or a number from 0")
    return found


def _toml_value(text: str, given: str) -> Any:  # noqa: ANN401 - a TOML value is of any type
    """The value as TOML reads it; text that is not TOML is a string, so that shells need no second quotes."""
    try:
        statements = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    if len(statements) > 1:
        raise ConfigurationError(f"{given}: more follows after the value; allowed: the value of one key")
    return statements["value"]
