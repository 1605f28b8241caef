"""The cost of lines and zones: below its limit, and reported beside it."""

from __future__ import annotations

from bench import places


def test_sixteen_zones_and_eight_lines_cost_less_than_the_limit() -> None:
    """Of up to five trials: other work of the machine slows some down."""
    trials = (places.cost(16, 8, places.VISITORS, frames=200) for _ in range(5))
    assert any(ms < places.LIMIT_MS for ms in trials)


def test_the_report_marks_what_costs_too_much() -> None:
    found = {
        "visitors": 2,
        "drawn": [{"zones": 0, "lines": 0, "ms": 0.3}, {"zones": 16, "lines": 8, "ms": 0.3}],
        "attention_off_ms": 30.0,
        "attention_on_ms": 34.5,
    }
    text = places.section(found)
    assert "| 16 zones, 8 lines | 0.300 | limit 0.2: **missed** |" in text
    assert text.count("missed") == 1
    assert "| attention, beside all of vision | 4.5 | 30.0 without, 34.5 with it |" in text
