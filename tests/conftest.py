"""Options of the whole suite."""

from __future__ import annotations

import pytest

from edge.capture.video import prepare_opencv

# FFmpeg reads how much it may say at its first use, which may be a test that writes a clip.
prepare_opencv()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what the golden cases give as what they are expected to give; review the difference",
    )
