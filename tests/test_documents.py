"""The documents name tests for what they promise: these exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CITED = re.compile(r"`(tests/[\w/]+\.py)(?:::([\w:]+))?`")
PAGES = sorted((ROOT / "docs").glob("*.md"))


def names_in(path: Path) -> set[str]:
    """The functions and methods of a test module, as pytest calls them."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)
            }
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    for path, name in CITED.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / path).is_file(), path
        assert not name or name in names_in(ROOT / path), f"{path}::{name}"


def test_every_promise_of_delivery_names_its_test() -> None:
    text = (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8")
    promises = text.partition("## Is\n")[2].partition("## Is not")[0]
    rows = [line for line in promises.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 30
    assert all(CITED.search(row) for row in rows)
