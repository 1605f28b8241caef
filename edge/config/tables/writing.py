"""Tables to TOML text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from edge.config.tables.lines import Key

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(table: Mapping[str, Any], note: Callable[[Key], str] = lambda key: "") -> str:
    """The tables as TOML; keys of None are left out. note: a comment for the line of a key; empty: none.

    Values are strings, booleans, integers, finite floats, times, tables, and lists of these.
    """
    return "\n".join(_table(table, (), note)).strip() + "\n"


def _table(table: Mapping[str, Any], at: Key, note: Callable[[Key], str]) -> Iterator[str]:
    """The keys with values first: below a table's header they would belong to it."""
    for key, value in table.items():
        if value is not None and not _is_table(value) and not _is_list_of_tables(value):
            comment = note((*at, key))
            yield f"{_key(key)} = {_value(value)}" + (f"  # {comment}" if comment else "")
    for key, value in table.items():
        here = (*at, key)
        if _is_table(value):
            yield from ("", f"[{_header(here)}]", *_table(value, here, note))
        elif _is_list_of_tables(value):
            for number, entry in enumerate(value):
                yield from ("", f"[[{_header(here)}]]", *_table(entry, (*here, number), note))


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_list_of_tables(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_table, value))


def _header(key: Key) -> str:
    return ".".join(_key(part) for part in key if isinstance(part, str))


def _key(part: str) -> str:
    return part if _BARE.fullmatch(part) else _string(part)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _string(text: str) -> str:
    """A basic string: JSON's escapes are TOML's, but for the delete character, which TOML escapes as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
