"""Brackets hold every age exactly once, and an expected age falls into the one of its nearest year."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.brackets import DEFAULT_BRACKETS, Bracket, bracket_of, parse_bracket, parse_brackets


def test_reads_closed_and_open():
    assert parse_bracket("25-34") == Bracket("25-34", 25, 34)
    assert parse_bracket("65+") == Bracket("65+", 65, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "25",
        "25-",
        "-34",
        "25 - 34",
        "a-b",
        "25\u201334",
        "65 +",
        "1000+",
        "25-34 ",
        "\u0660+",
        "0-\u0669",
    ],
)
def test_refuses_what_is_no_bracket(text: str):
    with pytest.raises(ValueError, match="allowed: years such as '25-34', or '65\\+'"):
        parse_bracket(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [("34-25", "ends before it begins"), ("121+", "allowed: 0 to 120"), ("0-121", "allowed: 0 to 120")],
)
def test_refuses_ages_that_cannot_be(text: str, says: str):
    with pytest.raises(ValueError, match=says):
        parse_bracket(text)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ([], "age 0 is in no bracket"),
        (["1+"], "gap before bracket '1\\+': age 0"),
        (["0-12", "14+"], "gap before bracket '14\\+': age 13"),
        (["0-12", "12+"], "overlap at bracket '12\\+': age 12"),
        (["0-12", "0-12", "13+"], "overlap at bracket '0-12': age 0"),
        (["13+", "0-12"], "gap before bracket '13\\+'"),
        (["0+", "65+"], "'65\\+' comes after an open one"),
        (["0-12", "13-64"], "age 65 is in no bracket: .* '65\\+'"),
    ],
)
def test_refuses_gaps_and_overlaps(texts: list[str], says: str):
    with pytest.raises(ValueError, match=says):
        parse_brackets(texts)


@pytest.mark.parametrize(
    ("age", "label"),
    [
        (0, "0-12"),
        (12.49, "0-12"),
        (12.5, "13-17"),
        (13, "13-17"),
        (34.6, "35-44"),
        (64.4, "55-64"),
        (100, "65+"),
    ],
)
def test_an_expected_age_falls_into_the_bracket_of_the_nearest_year(age: float, label: str):
    assert bracket_of(age, parse_brackets(DEFAULT_BRACKETS)).label == label


@given(
    cuts=st.sets(st.integers(1, 120), max_size=10).map(sorted),
    year=st.integers(0, 100),
    off=st.floats(-0.4, 0.4),
)
def test_every_age_is_in_the_bracket_that_holds_its_nearest_year(cuts: list[int], year: int, off: float):
    starts = [0, *cuts]
    texts = [f"{a}-{b - 1}" for a, b in zip(starts, cuts, strict=False)] + [f"{starts[-1]}+"]
    found = bracket_of(max(year + off, 0), parse_brackets(texts))
    assert found.low <= year
    assert found.high is None or year <= found.high
