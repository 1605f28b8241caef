"""What the documents name exists: tests, modules, files, messages and keys of the configuration."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from edge.config import load_settings
from edge.release.messages import decode_counts

ROOT = Path(__file__).parents[1]
CITED = re.compile(r"`(tests/[\w/]+\.py)(?:::([\w:]+))?`")
PAGES = sorted((ROOT / "docs").glob("*.md"))

MOST_MODULES = 12
"""In one folder: a person can look over so many."""


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
    promises = text.partition("## Guaranteed\n")[2].partition("## Not guaranteed")[0]
    rows = [line for line in promises.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 30
    assert all(CITED.search(row) for row in rows)


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_message_that_the_readme_shows_is_one_of_ours() -> None:
    (message,) = (decode_counts(block.encode()) for block in blocks("README.md", "json"))
    told = [n for n in (*message.counts.values(), message.unclassified) if n is not None]
    assert sum(told) == message.released
    assert len(told) == len(message.since)
    assert min(told) >= message.privacy.minimum


def test_the_configuration_that_the_readme_shows_is_valid() -> None:
    (configuration,) = blocks("README.md", "toml")
    settings = load_settings(None, instead=tomllib.loads(configuration))
    assert [camera.name for camera in settings.cameras] == ["entrance"]


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md"])
def test_every_file_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = {link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link}
    links |= set(re.findall(r"`((?:edge|training|bench|tests|docs)/[\w/.]+\.\w+)`", text))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_architecture_names_every_module_of_the_box() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.partition("## Folders and modules")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(edge/[^`]*)` \| (.*) \|$", table, re.MULTILINE))
    for folder in [ROOT / "edge", *(path.parent for path in (ROOT / "edge").glob("**/__init__.py"))]:
        modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
        named = re.findall(r"`(\w+)`", rows.get(f"{folder.relative_to(ROOT)}/", ""))
        assert modules == set(named), (
            f"ARCHITECTURE.md, folders and modules, {folder.name}/: name every module there, and only once"
        )
        assert len(named) == len(set(named)), folder
        assert len(modules) <= MOST_MODULES, f"{folder}: which of its modules make a folder of their own?"
