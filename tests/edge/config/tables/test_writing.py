"""What is written as TOML is read as the same."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from edge.config.tables.writing import to_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.one_of(
    TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(SCALARS, max_size=3),
        st.dictionaries(TEXT, inner, max_size=3),
        st.lists(st.dictionaries(TEXT, inner, max_size=2), min_size=1, max_size=3),
    ),
    max_leaves=8,
)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_any_table_is_read_again_as_it_was(table: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(table)) == table


def test_times_are_utc_and_nothing_is_left_out() -> None:
    text = to_toml({"start": datetime(2026, 1, 31, 8, tzinfo=UTC), "none": None, "t": {}})
    assert text == "start = 2026-01-31T08:00:00Z\n\n[t]\n"


def test_a_note_stands_behind_its_key() -> None:
    assert to_toml({"a": {"b": 1}}, lambda key: ".".join(map(str, key))) == "[a]\nb = 1  # a.b\n"
