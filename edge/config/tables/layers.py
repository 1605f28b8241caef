"""Configuration files over each other: a file, and those in the folder `conf.d` beside it.

Files of the folder that end in `.toml` are read in the order of their names; later ones go over earlier
ones. Tables are merged key by key. Cameras are merged by name, and a new name adds a camera. All else is
replaced as a whole, also the lists of a camera: a file with `lines` or `zones` of a camera has all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

from edge.config.tables.lines import Key, lines_of
from edge.config.tables.owners import Owners
from edge.config.tables.toml import STANDARD_INPUT, laid_over, named, parsed, read_text
from edge.errors import ConfigurationError

FOLDER = "conf.d"

MOST_FILES = 100

BY_NAME = "cameras"
"""The list of the top table whose entries are merged by their names."""

SHORT = "site"
"""The table that may be a string instead, its name."""


@dataclass(frozen=True)
class Layer:
    """The tables of one file, or of a part of the program. text: of the file; empty: no lines are known."""

    name: str
    table: Mapping[str, Any]
    text: str = ""

    @cached_property
    def lines(self) -> dict[Key, int]:
        """By key, the line on which it stands."""
        return lines_of(self.text) if self.text else {}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key is set. line: of the file, if known. exact: false where a table or list around it is."""

    name: str
    line: int | None
    exact: bool

    def __str__(self) -> str:
        return self.name if self.line is None else f"{self.name}:{self.line}"


def read_layers(path: Path, drafts: Mapping[Path, str] | None = None) -> list[Layer]:
    """The file, and those of `conf.d` beside it. Raises ConfigurationError that names the one at fault.

    drafts: the text of files of `conf.d` that are not written, or not yet.
    """
    text = read_text(path)
    base = Layer(named(path), parsed(named(path), text), text)
    if path == STANDARD_INPUT:
        return [base]
    drafts, owners = drafts or {}, Owners.of(path)
    files = sorted({*_files(path.parent / FOLDER, owners), *drafts})
    further = [_read(file, drafts.get(file), owners) for file in files]
    return [base, *(layer for layer in further if layer)]


def _read(path: Path, draft: str | None, owners: Owners) -> Layer | None:
    """The file, or the draft in its place; None where the file is gone."""
    name = str(path)
    if draft is not None:
        return Layer(name, parsed(name, draft), draft)
    found = owners.read(path)
    return Layer(name, table=found[1], text=found[0]) if found else None


def _files(folder: Path, owners: Owners) -> list[Path]:
    """The files of the folder; hidden ones are drafts."""
    try:
        names = [path for path in folder.iterdir() if path.suffix == ".toml"]
        owners.require_folder(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be read: {error.strerror}") from None
    found = [path for path in names if not path.name.startswith(".")]
    if len(found) > MOST_FILES:
        raise ConfigurationError(f"{folder}: holds {len(found)} files; allowed: at most {MOST_FILES}")
    return found


class Stack:
    """Layers as one table, and where each of its keys comes from."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = layers
        self._tables = [_with_table_for_name(layer.table) for layer in layers]
        self._entries = _entries(self._tables)

    def merged(self) -> dict[str, Any]:
        """The tables of all layers; the caller's own."""
        written = [layer.table for layer in self._layers]
        has_table = any(isinstance(table.get(SHORT), dict) for table in written)
        table = reduce(laid_over, self._tables if has_table else written, dict[str, Any]())
        if self._entries:
            table[BY_NAME] = [_entry(self._tables, numbers) for numbers in self._entries]
        return table

    def place(self, key: Key) -> Place | None:
        """The last layer that sets a key of the merged table, or else of the closest table around it."""
        nodes: dict[int, tuple[Any, Key]] = {number: (table, ()) for number, table in enumerate(self._tables)}
        reached = 0
        for part in key:
            below = self._below(nodes, key[: reached + 1], part)
            if not below:
                break
            nodes, reached = below, reached + 1
        if not reached:
            return None
        last = max(nodes)
        layer, at = self._layers[last], nodes[last][1]
        known = (layer.lines.get(at[:length]) for length in range(len(at), 0, -1))
        line = next((line for line in known if line is not None), None)
        return Place(layer.name, line, exact=reached == len(key))

    def _below(
        self, nodes: Mapping[int, tuple[Any, Key]], key: Key, part: str | int
    ) -> dict[int, tuple[Any, Key]]:
        """By layer, what stands at `part` below these nodes; of a value, the last layer's alone."""
        found: dict[int, tuple[Any, Key]] = {}
        for number, (node, at) in nodes.items():
            own = self._own(number, key) if key[:1] == (BY_NAME,) and len(key) == 2 else part
            if own is not None and _holds(node, own):
                found[number] = (node[own], (*at, own))
        merges = key == (BY_NAME,) or all(isinstance(node, dict) for node, _ in found.values())
        return found if merges or not found else {max(found): found[max(found)]}

    def _own(self, layer: int, key: Key) -> str | int | None:
        """The number of a camera of the merged table in a layer; None where that has not this camera."""
        entry = key[1]
        if isinstance(entry, int) and entry < len(self._entries):
            return self._entries[entry].get(layer)
        return entry


def _holds(node: object, part: str | int) -> bool:
    if isinstance(node, list):
        return isinstance(part, int) and part < len(node)
    return isinstance(node, dict) and part in node


def _entries(tables: Sequence[Mapping[str, Any]]) -> list[dict[int, int]]:
    """For each merged camera: by layer, its number there. Empty where a layer has no list of cameras."""
    lists = {number: table[BY_NAME] for number, table in enumerate(tables) if BY_NAME in table}
    if not all(isinstance(entries, list) for entries in lists.values()):
        return []
    found: list[dict[int, int]] = []
    by_name: dict[str, dict[int, int]] = {}
    for number, entries in lists.items():
        for place, entry in enumerate(entries):
            name = entry.get("name") if isinstance(entry, dict) else None
            known = by_name.get(name) if isinstance(name, str) else None
            if known is None or number in known:  # two of one file stay two, and are reported
                known = {}
                found.append(known)
            known[number] = place
            if isinstance(name, str):
                by_name.setdefault(name, known)
    return found


def _entry(tables: Sequence[Mapping[str, Any]], numbers: Mapping[int, int]) -> Any:  # noqa: ANN401 - of any shape
    entries = [tables[layer][BY_NAME][place] for layer, place in numbers.items()]
    return reduce(laid_over, entries, dict[str, Any]()) if isinstance(entries[0], dict) else entries[0]


def _with_table_for_name(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """`site = "store-7"` is the name in the table `[site]`: another file's table does not replace it."""
    name = table.get(SHORT)
    return {**table, SHORT: {"name": name}} if isinstance(name, str) else table
