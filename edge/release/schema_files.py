"""The JSON Schemas of the messages as files, for consumers: `make schemas` writes them from the models."""

from __future__ import annotations

import json
from pathlib import Path

from edge.files import write_atomically
from edge.release.messages import MODELS, schema

FOLDER = Path(__file__).parent / "schemas"


def path_of(name: str, folder: Path = FOLDER) -> Path:
    """The file of a schema: `counts-2.json` for `instore.counts/2`."""
    return folder / f"{name.removeprefix('instore.').replace('/', '-')}.json"


def text_of(name: str) -> str:
    """What the file of a schema holds."""
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"


def write_all(folder: Path = FOLDER) -> None:
    """Write the file of every message's schema."""
    for name in MODELS:
        write_atomically(path_of(name, folder), text_of(name))


if __name__ == "__main__":
    write_all()
