"""The outbox of a test, and time for the end of a connection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.delivery.outbox import Outbox
from tests.patience import PATIENCE


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(tmp_path / "outbox.db", 10_000, 1 << 24)
    yield outbox
    outbox.close()


@pytest.fixture
def unhurried_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may be late with the last acknowledgement."""
    monkeypatch.setattr("edge.delivery.session.GOODBYE", PATIENCE)
