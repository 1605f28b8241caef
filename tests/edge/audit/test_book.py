"""What is kept of audits, and what leaves of them."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from datetime import date
from fractions import Fraction
from math import exp
from pathlib import Path

import pytest

from edge.audit.book import EPSILON, Audit, AuditBook, Noise, published
from edge.audit.error import FEWEST, FEWEST_ROUNDS, Sums
from edge.errors import OutsideError
from edge.release.noise.sampler import discrete_laplace

DAY = date(2026, 1, 31)


def silent(epsilon: Fraction) -> int:
    return 0


def seeded(seed: int) -> Noise:
    return lambda epsilon: discrete_laplace(epsilon, random.Random(seed).randrange)


def rounds(*of: tuple[int, int]) -> Sums:
    sums = Sums()
    for seen, counted in of:
        sums = sums.with_round(seen, counted)
    return sums


def filled(path: Path, noise: Noise = silent) -> AuditBook:
    """A book with enough for a result: 50 by the person, 45 by the box."""
    book = AuditBook(path, noise)
    for _ in range(FEWEST_ROUNDS):
        book.add("door", "one", 10, 9)
    return book


def test_a_result_is_of_the_rounds_since_the_last_one_and_the_sums_of_all(tmp_path: Path) -> None:
    path = tmp_path / "audits.json"
    assert AuditBook(path, silent).finish("door", "one", DAY) is None
    result = filled(path).finish("door", "one", DAY)
    assert result is not None and (result.visits, result.error, result.day) == (50, -10, DAY)
    book = AuditBook(path, silent)
    found = book.audit("door", "one")
    assert (found.block, found.last, found.sums) == (Sums(), result, rounds(*[(10, 9)] * 5))
    book.add("door", "one", 40, 40)
    assert book.finish("door", "one", DAY) is None  # one round is too few, whatever the sums are
    assert book.audit("door", "one").sums.rounds == 6


def test_under_another_setup_the_audit_begins_again(tmp_path: Path) -> None:
    book = filled(tmp_path / "audits.json")
    book.finish("door", "one", DAY)
    assert book.audit("door", "two") == Audit(setup="two")
    assert book.finish("door", "two", DAY) is None
    book.add("door", "two", 3, 3)
    assert book.audit("door", "two").sums.rounds == 1
    assert book.audit("door", "one").last is None


@pytest.mark.parametrize(
    "sums",
    [
        {"rounds": 1, "seen": -1},
        {
            "rounds": 5,
            "seen": 30,
            "counted": 0,
            "missed": 40,
            "extra": 10,
            "squares": 900,
            "seen_squares": 900,
        },
        {"rounds": 5, "seen": 30, "counted": 30, "seen_squares": 0},
        {"rounds": 5, "seen": 30, "counted": 20, "missed": 10, "squares": 1, "seen_squares": 900},
        {"rounds": 0, "counted": 3, "extra": 3, "squares": 9},
        {"rounds": 1, "seen": 1000, "counted": 1000, "seen_squares": 1000000},
        {"rounds": 1, "seen": 3, "counted": 2, "missed": 1, "squares": 1, "products": 99, "seen_squares": 9},
    ],
)
def test_sums_of_no_rounds_are_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sums: dict[str, int]
) -> None:
    path = tmp_path / "audits.json"
    path.write_text(json.dumps({"version": 1, "cameras": {"door": {"setup": "one", "sums": sums}}}))
    assert AuditBook(path, silent).audit("door", "one") == Audit(setup="one")
    assert "audits.json is damaged; it is kept as audits.damaged" in caplog.text
    assert (tmp_path / "audits.damaged").exists()


def test_a_file_of_another_version_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "audits.json"
    filled(path)
    path.write_text(path.read_text().replace('"version":1', '"version":2'))
    assert AuditBook(path, silent).audit("door", "one") == Audit(setup="one")
    assert (tmp_path / "audits.damaged").exists()


def test_a_round_that_cannot_be_written_is_not_counted(tmp_path: Path) -> None:
    book = AuditBook(tmp_path / "none" / "audits.json", silent)
    with pytest.raises(OutsideError, match="cannot be written"):
        book.add("door", "one", 20, 19)
    assert book.audit("door", "one") == Audit(setup="one")


def test_noise_is_drawn_once_for_a_result_and_kept_with_it(tmp_path: Path) -> None:
    drawn: list[Fraction] = []

    def noise(epsilon: Fraction) -> int:
        drawn.append(epsilon)
        return 7

    path = tmp_path / "audits.json"
    result = filled(path, noise).finish("door", "one", DAY)
    assert drawn == [EPSILON / 2, EPSILON / 2]
    assert result is not None and (result.visits, result.error, result.epsilon) == (60, 4, 1.0)  # 57 and +2
    again = AuditBook(path, noise)
    assert again.audit("door", "one").last == result
    assert again.finish("door", "one", DAY) is None
    assert len(drawn) == 2


def test_a_result_states_no_fewer_visitors_than_it_needs() -> None:
    found = published(rounds(*[(6, 6)] * 5), DAY, lambda _: -20)
    assert (found.visits, found.error) == (FEWEST, -67)


def test_a_visitor_changes_the_chance_of_a_result_by_its_epsilon_at_most() -> None:
    """By every result of the two numbers with noise, for one visitor less, missed or counted."""
    results = [defaultdict[tuple[int, int], float](float) for _ in range(3)]
    worlds = [rounds(*[(8, 7)] * 5), rounds((7, 6), *[(8, 7)] * 4), rounds((8, 6), *[(8, 7)] * 4)]
    q, reach = exp(-float(EPSILON) / 2), 25
    weights = {z: (1 - q) / (1 + q) * q ** abs(z) for z in range(-reach, reach + 1)}
    for counter, world in zip(results, worlds, strict=True):
        for first, p in weights.items():
            for second, other in weights.items():
                draws = iter((first, second))
                found = published(world, DAY, lambda _, draws=draws: next(draws))
                counter[found.visits, found.error] += p * other
    for other_world in results[1:]:
        for key, chance in results[0].items():
            if min(chance, other_world[key]) > 1e-3:  # beyond, the draws that are left out weigh
                assert exp(-1) - 0.01 <= chance / other_world[key] <= exp(1) + 0.01
