"""What is kept of audits, and that what leaves of them tells of no visit."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from pathlib import Path

import pytest

from edge.audit.book import AuditBook, published
from edge.audit.error import FEWEST, Sums
from edge.errors import OutsideError

DAY = date(2026, 1, 31)


def audit(seen: int, counted: int) -> Sums:
    return Sums().with_round(seen, counted)


def test_rounds_survive_a_restart_and_end_with_their_result(tmp_path: Path) -> None:
    book = AuditBook(tmp_path / "audits.json")
    assert book.finish("door", DAY) is None
    book.add("door", 20, 19)
    book = AuditBook(tmp_path / "audits.json")
    book.add("door", 25, 26)
    result = book.finish("door", DAY)
    assert result is not None and (result.visits, result.error, result.day) == (40, 0, DAY)
    again = AuditBook(tmp_path / "audits.json").audits["door"]
    assert (again.sums, again.last) == (Sums(), result)


def test_a_damaged_file_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "audits.json"
    path.write_text('{"cameras": {"door": {"sums": {"seen": -1}}}}')
    assert AuditBook(path).audits == {}
    assert "audits.json is damaged; it is kept as audits.damaged" in caplog.text
    assert (tmp_path / "audits.damaged").exists()


def test_a_round_that_cannot_be_written_is_not_counted(tmp_path: Path) -> None:
    book = AuditBook(tmp_path / "none" / "audits.json")
    with pytest.raises(OutsideError, match="cannot be written"):
        book.add("door", 20, 19)
    assert book.audits == {}


def worlds(largest: int = 200) -> dict[tuple[int, int], set[tuple[int, int]]]:
    """By what is published: what the person and the box may have counted."""
    found = defaultdict(set)
    for seen in range(FEWEST, largest):
        for counted in range(2 * seen + 1):
            sums = audit(seen, counted)
            assert sums.error is not None
            result = published(sums, sums.error, DAY)
            found[result.visits, result.error].add((seen, counted))
    return found


def test_a_published_result_determines_neither_number() -> None:
    """Ten worlds or more give the same message, which differ in both numbers by five visits or more."""
    found = {key: pairs for key, pairs in worlds().items() if key[0] < 190}  # all visits of a ten are tried
    assert len(found) > 500
    assert min(len(pairs) for pairs in found.values()) >= 10
    for pairs in found.values():
        for numbers in zip(*pairs, strict=True):
            assert max(numbers) - min(numbers) >= 5


def test_the_attack_finds_single_per_cent_and_exact_zeros() -> None:
    """Of 30 visitors, -7 % would say that 30 came; -100 % that the box counted nobody."""
    exact = defaultdict(set)
    for (_, _), pairs in worlds(50).items():
        for seen, counted in pairs:
            exact[seen // 10 * 10, round(100 * (counted - seen) / seen)].add((seen, counted))
    assert exact[30, -7] == {(30, 28)}
    assert {counted for _, counted in exact[30, -100]} == {0}
