"""TOML files to tables, and overrides by `--set`; for the box and for training."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.config.redaction import redact
from edge.errors import ConfigurationError

LARGEST = 1 << 20
"""The most bytes of a configuration file."""

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


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigurationError that names it."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ConfigurationError(f"{path}: larger than {LARGEST} bytes; allowed: a TOML configuration")
        text = content.decode()
        _check_depth(path, text)
        return tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: is not valid TOML: {error}") from None


def _check_depth(path: Path, text: str) -> None:
    """tomllib's time grows with the square of a key's parts: `a.a.a` ... of 100 KB would take minutes."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.count(".") > MOST_DOTS and not line.lstrip().startswith("#"):
            raise ConfigurationError(
                f"{path}: line {number} has more than {MOST_DOTS} dots; allowed: a key such as mqtt.port"
            )


def override(table: dict[str, Any], assignment: str, example: str) -> None:
    """Set one key of the tables by `KEY=VALUE`, as in `--set`; a list's entries go by number or name.

    example: an assignment for the error message. Raises ConfigurationError.
    """
    key, equals, text = assignment.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigurationError(
            f"--set {redact(assignment)}: not an assignment; allowed: KEY=VALUE, such as {example}"
        )
    *parents, last = key.split(".")
    node: Any = table
    for part in parents:
        node = _child(node, part, key)
    if isinstance(node, list) and any(isinstance(entry, dict) for entry in node):
        raise ConfigurationError(f"--set {key}: name a key of the entry, such as {key}.name")
    if isinstance(node, list) or last.isdecimal():
        whole = ".".join(parents)
        raise ConfigurationError(f"--set {key}: a list is set as a whole, such as '{whole}=[..., ...]'")
    node[last] = _toml_value(key, text)


def _child(node: Any, part: str, key: str) -> Any:  # noqa: ANN401 - a TOML tree is of any shape
    if isinstance(node, list):
        for number, entry in enumerate(node):
            if isinstance(entry, dict) and part in (str(number), entry.get("name")):
                return entry
        raise ConfigurationError(f"--set {key}: there is no entry {part!r}; use a number from 0 or a name")
    child = node.setdefault(part, {})
    if not isinstance(child, dict | list):
        raise ConfigurationError(f"--set {key}: {part!r} is a value, not a table")
    return child


def _toml_value(key: str, text: str) -> Any:  # noqa: ANN401 - a TOML value is of any type
    """The value as TOML reads it; text that is not TOML is a string, so that shells need no second quotes."""
    try:
        statements = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    if len(statements) > 1:
        raise ConfigurationError(
            f"--set {key}: more follows after the value; give each key a --set of its own"
        )
    return statements["value"]
