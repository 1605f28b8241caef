"""TOML files to tables, overrides by `--set`, and error messages for both; for the box and for training."""

from __future__ import annotations

import copy
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edge.config.redaction import redact, redact_urls, redact_value
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


def faults(error: ValidationError, model: type[BaseModel], name: str) -> str:
    """The message for invalid tables of the file `name`: a line for each fault, with credentials masked."""
    lines = [f"{name}: {_describe(fault, model)}" for fault in _causes(error.errors(include_url=False))]
    return redact("\n".join(lines))


def _causes(faults: list[ErrorDetails]) -> list[ErrorDetails]:
    """The faults without mere consequences: a table with a fault inside is not also reported as a whole."""
    keys = [fault["loc"] for fault in faults]
    return [
        f for f in faults if not any(len(k) > len(f["loc"]) and k[: len(f["loc"])] == f["loc"] for k in keys)
    ]


_ALLOWED = {
    "string_type": "must be a string, in quotes",
    "tuple_type": "must be a list, in brackets",
    "too_short": "must have at least one entry",
    "model_type": "must be a table",
    "bool_type": "must be true or false",
    "datetime_type": "must be a time in UTC, without quotes, such as 2026-01-31T08:00:00Z",
}
"""Pydantic's messages, which use words of Python, in words of TOML."""


def _describe(fault: ErrorDetails, model: type[BaseModel]) -> str:
    """One fault as `key = value: what is allowed`, on one line."""
    key, value = _dotted(fault["loc"]), fault["input"]
    if fault["type"] == "extra_forbidden":
        return f"{key}: unknown key; {_allowed_keys(fault['loc'], model)}"
    if fault["type"] == "missing":
        return f"{key}: is missing"
    message = _ALLOWED.get(fault["type"]) or fault["msg"].removeprefix("Value error, ")
    message = message.replace("Input should", "must")
    if isinstance(value, dict | BaseModel):
        return f"{key}: {message}" if key else message
    shown = repr(redact_value(value)) if isinstance(value, str) else redact_urls(repr(value))
    return f"{key} = {shown}: {message}"


def _dotted(loc: Iterable[int | str]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _allowed_keys(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """The keys of the table that an unknown key stands in, the likeliest first."""
    for part in loc[:-1]:
        model = _section(model, part)
    keys = sorted(model.model_fields)
    close = difflib.get_close_matches(str(loc[-1]), keys, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}allowed: {', '.join(keys)}"


def _section(model: type[BaseModel], part: int | str) -> type[BaseModel]:
    """The table below `part`: a field's own, or that of its entries."""
    field = model.model_fields.get(str(part))
    kinds = (field.annotation, *get_args(field.annotation)) if field else ()
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), model)
