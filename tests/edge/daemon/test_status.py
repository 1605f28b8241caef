"""What the daemon logs of its cameras."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from edge.daemon.status import STOPPED, report_camera
from edge.ops.metrics import Metrics
from edge.types import CameraState, CameraStatus
from tests.fakes import ManualClock


@pytest.mark.parametrize(
    ("state", "reason", "level"),
    [
        (CameraState.UP, "", logging.INFO),
        (CameraState.UP, "decoded by software: the GPU failed", logging.WARNING),
        (CameraState.DOWN, "no frame for 10 s", logging.WARNING),
        (CameraState.DOWN, STOPPED, logging.INFO),
    ],
)
def test_a_camera_that_is_not_as_configured_is_a_warning(
    state: CameraState, reason: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    report_camera(
        CameraStatus("door", state, datetime.now(UTC), reason), Metrics(ManualClock()), lambda status: None
    )
    assert [record.levelno for record in caplog.records] == [level]
