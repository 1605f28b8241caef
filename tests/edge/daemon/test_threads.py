"""The end of threads."""

from __future__ import annotations

import logging
import threading

import pytest

from edge.clock import SystemClock
from edge.daemon.threads import Threads
from edge.ops.heartbeats import Heartbeats
from tests.patience import PATIENCE


@pytest.mark.parametrize(("may_hang", "level"), [(True, logging.INFO), (False, logging.WARNING)])
def test_a_camera_that_does_not_answer_makes_no_stop_a_fault(
    caplog: pytest.LogCaptureFixture, may_hang: bool, level: int
) -> None:
    caplog.set_level(logging.INFO)
    clock, answered = SystemClock(), threading.Event()
    threads = Threads(Heartbeats(clock, PATIENCE), clock, on_failure=lambda: None)
    thread = threads.make("capture-door", lambda _: answered.wait(PATIENCE), watched=False)
    thread.start()
    assert not threads.join([thread], clock.monotonic(), may_hang=may_hang)
    answered.set()
    assert threads.join([thread], clock.monotonic() + PATIENCE)
    assert [record.levelno for record in caplog.records] == [level]
