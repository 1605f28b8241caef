"""The `labels.csv` of a data set: one row a picture, which lies in `final_files/` beside it."""

from __future__ import annotations

import csv
from pathlib import Path

from edge.errors import ConfigurationError

PICTURES = "final_files"


def labels_file(folder: Path) -> Path:
    """Where the labels of the data set in `folder` are."""
    return folder / "labels.csv"


def picture(folder: Path, name: str) -> Path:
    """Where the data set in `folder` keeps the picture of this name."""
    return folder / PICTURES / name


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, of which there is at least one, stripped; what a short row lacks is empty.

    Raises ConfigurationError when the file cannot be read, is no text or names no picture.
    """
    return [{name: (text or "").strip() for name, text in row.items()} for row in _parse(path)]


def _parse(path: Path) -> list[dict[str, str | None]]:
    """The rows as they are; None where a row is cut short. More fields than the head has are left out."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark before the head
            rows = [{n.strip(): t for n, t in row.items() if n is not None} for row in csv.DictReader(file)]
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is no text in UTF-8 ({error.reason})") from error
    except csv.Error as error:
        raise ConfigurationError(f"{path}: is no CSV ({error})") from error
    if not rows:
        raise ConfigurationError(f"{path}: names no picture; wants a head line and one line a picture")
    return rows
