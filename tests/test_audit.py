"""What `make audit` makes of pip-audit's answers: only a whole answer is a good one."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy import audit

FINE = {"name": "numpy", "version": "2.4.6", "vulns": []}
HOLED = {
    "name": "pillow",
    "version": "1.0",
    "vulns": [{"id": "CVE-2026-1", "fix_versions": ["1.1"], "aliases": []}],
}
UNMENDED = {"name": "scipy", "version": "1.0", "vulns": [{"id": "CVE-2026-2", "fix_versions": []}]}
SKIPPED = {"name": "rich", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("libraries", "status", "words"),
    [
        ([FINE], audit.NONE, "box.txt: 0 known vulnerabilities in 1 libraries"),
        ([FINE, HOLED], audit.HOLES, "  pillow 1.0: CVE-2026-1, fixed in 1.1"),
        ([UNMENDED], audit.HOLES, "fixed in no version yet"),
        ([FINE, SKIPPED], audit.UNKNOWN, "NOT AUDITED: rich (1 of 2)"),
        ([HOLED, SKIPPED], audit.HOLES, "NOT AUDITED: rich (1 of 2)"),
        ([SKIPPED], audit.UNKNOWN, "database is not reachable (1 of 1)"),
        ([], audit.UNKNOWN, "0 libraries"),
    ],
)
def test_only_a_whole_answer_is_a_good_one(libraries: list[dict[str, Any]], status: int, words: str) -> None:
    found, lines = audit.judge("box.txt", libraries)
    assert found == status
    assert any(words in line for line in lines), lines


def test_no_answer_is_no_good_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreachable(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "INFO: asking\nConnectionError: no route\n")

    monkeypatch.setattr(subprocess, "run", unreachable)
    assert audit.audit(Path("box.txt")) == audit.UNKNOWN
    assert "box.txt: NOT AUDITED: pip-audit failed: ConnectionError" in capsys.readouterr().out


def test_holes_are_worse_than_not_knowing() -> None:
    assert audit.worst([0, 3, 1, 0]) == 1
    assert audit.worst([0, 3]) == 3
    assert audit.worst([0]) == 0
