"""On which line of a TOML file a key stands, which tomllib does not say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

Key = tuple[str | int, ...]
"""A key of nested tables; a number from 0 stands for an entry of a list of tables."""

_TOKEN = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\#[^\n]*|[\[\]{}\n]''',
    re.DOTALL,
)
_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}


def lines_of(text: str) -> dict[Key, int]:
    """The line, from 1, of every key and table of a TOML text that tomllib accepts; linear in its length.

    What stands inside a value has the line on which the value's key stands.
    """
    found: dict[Key, int] = {}
    entries: dict[Key, int] = {}
    table: Key = ()
    for line, statement in _statements(text):
        parsed = tomllib.loads(statement)
        if statement.startswith("["):
            table = _opened(_descended(parsed), entries, is_entry=statement.startswith("[["))
            keys = [table]
        else:
            keys = list(_keys(parsed, table))
        for key in keys:
            for length in range(1, len(key) + 1):
                found.setdefault(key[:length], line)
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Every header and every key with its value, and the line on which it starts."""
    begin, line, depth, lines = 0, 1, 0, 1
    for token in _TOKEN.finditer(f"{text}\n"):
        word = token[0]
        depth += _DEPTH.get(word, 0)
        lines += word.count("\n")
        if word == "\n" and depth == 0:
            statement = text[begin : token.start()].strip()
            if statement and not statement.startswith("#"):
                yield line, statement
            begin, line = token.end(), lines


def _descended(parsed: dict[str, Any]) -> list[str]:
    """The parts of a header, which is parsed into tables with one key each."""
    parts: list[str] = []
    node: Any = parsed
    while isinstance(node, dict) and node:
        (part,) = node
        parts.append(part)
        node = node[part]
    return parts


def _opened(parts: list[str], entries: dict[Key, int], *, is_entry: bool) -> Key:
    """The key of the table that a header opens; `entries` counts those of every list."""
    key: Key = ()
    for place, part in enumerate(parts):
        key = (*key, part)
        if is_entry and place == len(parts) - 1:
            entries[key] = entries.get(key, 0) + 1
        if key in entries:
            key = (*key, entries[key] - 1)
    return key


def _keys(parsed: dict[str, Any], table: Key) -> Iterator[Key]:
    for part, value in parsed.items():
        yield (*table, part)
        if isinstance(value, dict):
            yield from _keys(value, (*table, part))
