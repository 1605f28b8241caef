"""With re-entry one visit changes the numbers of two: the noise is drawn for both, and the epsilon stays."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from edge.quantities import GROUPS, MEMBERS, QUANTITIES
from edge.release.noise.ledger import Ledger, Level, Node, Refusal, epsilon_of_visit
from edge.release.rule import Rule
from tests.gates import MIDNIGHT, Box, of, rule

HOUR = timedelta(hours=1)
SOON = "tracking.reentry=60"
NOISE = ("privacy.method=noise", "privacy.epsilon=2")
TALLIES = {GROUPS: dict.fromkeys(QUANTITIES[GROUPS].cells([MEMBERS]), 2)}


def test_the_shares_of_two_visits_are_the_budget_of_one() -> None:
    by = rule(SOON, *NOISE)
    assert 2 * epsilon_of_visit(by.flow_shares((GROUPS,))) == Fraction(4)
    assert 2 * epsilon_of_visit(by.ages) == Fraction(2)
    assert by.visit_epsilon == rule(*NOISE).visit_epsilon == Fraction(6)


def test_a_message_has_half_the_epsilon_and_states_the_same_of_a_visit() -> None:
    once, twice = ({one["period"]: one["privacy"] for one in _day(rule(*NOISE, *by))} for by in ((), (SOON,)))
    for level in Level:
        assert twice[level]["epsilon"] == once[level]["epsilon"] / 2
        assert twice[level]["visit_epsilon"] == once[level]["visit_epsilon"] == 6


@pytest.mark.parametrize("before", [(), (SOON,)])
def test_a_visit_spends_the_whole_budget_also_where_it_is_switched_on_within_a_day(
    before: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    spent: list[Fraction] = []
    spend = Ledger.spend

    def watched(ledger: Ledger, node: Node, epsilon: Fraction) -> tuple[Ledger, Refusal | None]:
        after, refusal = spend(ledger, node, epsilon)
        spent.append(after.spent(node))
        assert refusal is None
        return after, refusal

    monkeypatch.setattr(Ledger, "spend", watched)
    messages = _day(rule(*NOISE, *before), rule(*NOISE, SOON))
    assert max(spent) == Fraction(6)
    assert [message["period"] for message in messages if "groups" in message] == ["hour", "hour", "day"]


def _day(*rules: Rule) -> list[dict[str, Any]]:
    """The flow of a day of an hour under each rule; the last hour is one window."""
    box = Box(rules[0])
    messages = box.put_until(MIDNIGHT + HOUR, tallies=TALLIES)
    box.gate.rule = rules[-1]
    messages += box.put(tallies=TALLIES, last=True)
    return of(messages, "flow", box=None)
