"""The `labels.csv` of a data set: one row a picture, which lies in `final_files/` beside it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from edge.errors import ConfigurationError

PICTURES = "final_files"

SURPLUS = "(beyond the header)"
"""The name of the fields that a row has beyond the header: often parts of an age or a name with a comma."""


def labels_file(folder: Path) -> Path:
    """Where the labels of the data set in `folder` are."""
    return folder / "labels.csv"


def picture(folder: Path, name: str) -> Path:
    """Where the data set in `folder` keeps the picture of this name."""
    return folder / PICTURES / name


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, at least one, stripped; fields that a short row lacks are empty.

    Fields beyond the header, if any, are under `SURPLUS`.
    Raises ConfigurationError when the file cannot be read, is no text, names no picture, or names two columns
    alike, of which one would be lost.
    """
    return [{name: (text or "").strip() for name, text in row.items()} for row in _parse(path)]


def _parse(path: Path) -> list[dict[str, str | None]]:
    """The rows as they are; None where a row is cut short."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark before the header
            table = csv.DictReader(file)
            _require_own_names(path, [name.strip() for name in table.fieldnames or ()])
            rows = [_row(row) for row in table]
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not text in UTF-8 ({error.reason})") from error
    except csv.Error as error:
        raise ConfigurationError(f"{path}: not CSV ({error})") from error
    if not rows:
        raise ConfigurationError(
            f"{path}: no row for a picture; needed: a header line and one line per picture"
        )
    return rows


def _require_own_names(path: Path, names: list[str]) -> None:
    if twice := next((name for name in names if name and names.count(name) > 1), None):
        raise ConfigurationError(f"{path}: two columns are named {twice}; each needs a name of its own")


def _row(row: dict[str | None, Any]) -> dict[str, str | None]:
    surplus = ",".join(row.pop(None, [])).strip(" ,")
    return {str(name).strip(): text for name, text in row.items()} | ({SURPLUS: surplus} if surplus else {})
