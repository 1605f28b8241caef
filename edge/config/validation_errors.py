"""What is wrong with a configuration, in words: unknown keys with the likeliest one, values with
what is allowed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edge.config.redaction import redact, redact_urls, redact_value

LONGEST = 200
"""Characters of a value that are shown."""

LONGEST_MESSAGE = 600
"""Characters of what is said of it; it may repeat the value."""

MOST = 50
"""Faults that are described; a person corrects some and tries again."""


def faults(
    error: ValidationError,
    model: type[BaseModel],
    name: str,
    place: Callable[[tuple[int | str, ...]], object] = lambda key: None,
) -> str:
    """The message for invalid tables of the file `name`: a line for each fault, with credentials masked.

    Of many faults it has the first, and the number of the others.

    place: where a key is set, such as a line of a file; None where the name alone is known.
    """
    causes = _causes(error.errors(include_url=False))
    lines = [f"{place(fault['loc']) or name}: {_describe(fault, model)}" for fault in causes[:MOST]]
    if len(causes) > MOST:
        lines.append(f"{name}: {len(causes) - MOST} more")
    return redact("\n".join(lines))


def _causes(faults: list[ErrorDetails]) -> list[ErrorDetails]:
    """The faults without mere consequences: a table with a fault inside is not also reported as a whole."""
    tables = {fault["loc"][:length] for fault in faults for length in range(len(fault["loc"]))}
    return [fault for fault in faults if fault["loc"] not in tables]


_ALLOWED = {
    "string_type": "must be a string, in quotes",
    "tuple_type": "must be a list, in brackets",
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
    message = _allowed(fault)
    message = _brief(message.replace("Input should", "must"), LONGEST_MESSAGE)
    if _holds_tables(value):
        return f"{key}: {message}" if key else message
    shown = repr(redact_value(value)) if isinstance(value, str) else redact_urls(repr(value))
    return f"{key} = {_brief(shown, LONGEST)}: {message}"


def _holds_tables(value: object) -> bool:
    """Whether it is a table, or a list of such: it may hold a password, and is too long to be of help."""
    entries = value if isinstance(value, list | tuple) else (value,)
    return any(isinstance(entry, dict | BaseModel) for entry in entries)


def _brief(text: str, longest: int) -> str:
    """The text without the middle of what is too long for a line."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]} ... {text[-half:]}"


def _allowed(fault: ErrorDetails) -> str:
    if fault["type"] in ("too_short", "too_long"):
        bound = "at least" if fault["type"] == "too_short" else "at most"
        entries = fault["ctx"].get("min_length") or fault["ctx"].get("max_length")
        return f"must have {bound} {'one entry' if entries == 1 else f'{entries} entries'}"
    return _ALLOWED.get(fault["type"]) or fault["msg"].removeprefix("Value error, ")


def _dotted(loc: Iterable[int | str]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _allowed_keys(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """The keys of the table that an unknown key stands in, the likeliest first."""
    for part in loc[:-1]:
        model = _section(model, part)
    keys = sorted(field.alias or name for name, field in model.model_fields.items())
    close = difflib.get_close_matches(str(loc[-1]), keys, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}allowed: {', '.join(keys)}"


def _section(model: type[BaseModel], part: int | str) -> type[BaseModel]:
    """The table below `part`: a field's own, or that of its entries."""
    field = model.model_fields.get(str(part))
    kinds = (field.annotation, *get_args(field.annotation)) if field else ()
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), model)
