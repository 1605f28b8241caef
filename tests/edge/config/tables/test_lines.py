"""Every key of a TOML file has the line on which a person finds it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from edge.config.tables.lines import lines_of

SHIPPED = Path(__file__).parents[4] / "config.toml"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1\nb.c = 2", {("a",): 1, ("b",): 2, ("b", "c"): 2}),
        ("# x = 1\n\n[t]\r\nk = 1\r\n", {("t",): 3, ("t", "k"): 4}),
        (
            "[[l]]\nk = 1\n[[l]]\nk = 2",
            {("l",): 1, ("l", 0, "k"): 2, ("l", 1): 3, ("l", 1, "k"): 4},
        ),
        (
            "[[l]]\n[[l.m]]\n[l.m.t]\nk = 1\n[[l]]\n[[l.m]]",
            {("l", 0, "m", 0, "t", "k"): 4, ("l", 1): 5, ("l", 1, "m", 0): 6},
        ),
        ("a = [\n 1, # ]\n '[',\n]\nb = 1", {("a",): 1, ("b",): 5}),
        ('a = """\nx = 1\n[t]\n"""\nb = 1', {("a",): 1, ("b",): 5}),
        ('a = """x\\""""""\nb = 1', {("a",): 1, ("b",): 2}),
        ("a = '''\n'\n''''\nb = 1", {("a",): 1, ("b",): 4}),
        ('"a.b" = "#"\n\'c]\' = 1', {("a.b",): 1, ("c]",): 2}),
        ("t = {a = 1, b = {c = 2}}", {("t", "a"): 1, ("t", "b", "c"): 1}),
    ],
)
def test_a_key_has_its_line(text: str, expected: dict[tuple[str | int, ...], int]) -> None:
    tomllib.loads(text)
    found = lines_of(text)
    assert {key: found.get(key) for key in expected} == expected
    assert ("x",) not in found


def test_every_key_of_the_shipped_configuration_has_a_line_that_holds_it() -> None:
    text = SHIPPED.read_text()
    written = text.splitlines()
    found = lines_of(text)
    tables = tomllib.loads(text)
    keys = [(table, key) for table, value in tables.items() if isinstance(value, dict) for key in value]
    assert len(keys) > 60
    assert all(written[found[key] - 1].startswith(f"{key[1]} =") for key in keys)
