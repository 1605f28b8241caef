"""The schema for editors is that of the settings, and accepts what they accept."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edge.config.schema import json_schema

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "docs" / "config.schema.json"
SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def test_the_committed_one_is_that_of_the_settings() -> None:
    assert json.loads(COMMITTED.read_text()) == SCHEMA, "make schemas"
    Draft202012Validator.check_schema(SCHEMA)


def test_the_shipped_configuration_names_it_and_is_valid() -> None:
    text = (ROOT / "config.toml").read_text()
    assert text.startswith("#:schema docs/config.schema.json\n")
    assert list(VALIDATOR.iter_errors(tomllib.loads(text))) == []


@pytest.mark.parametrize("part", [{"mqtt": {"port": 1}}, {"site": "s"}, {"cameras": [{"name": "door"}]}])
def test_a_part_of_a_configuration_is_valid(part: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(part)


@pytest.mark.parametrize(
    "part",
    [
        {"mqtt": {"prot": 1}},
        {"detection": {"min_face": 4}},
        {"cameras": [{"name": "door", "rotation": 45}]},
        {"cameras": [{"name": "door", "lines": [{"name": "in", "from": [0, 1]}]}]},
        {"site": 7},
    ],
)
def test_a_mistake_is_found(part: dict[str, Any]) -> None:
    assert list(VALIDATOR.iter_errors(part))
