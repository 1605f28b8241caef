"""What must hold of the windows of one camera as they came from the broker."""

from __future__ import annotations

import itertools
from typing import Any

import jsonschema

from edge.release.messages import schema


def check_series(windows: list[dict[str, Any]], begin_anew: int = 1) -> None:
    """Each window is valid, none comes twice, none is missing between the times at which the camera began."""
    for window in windows:
        jsonschema.validate(window, schema("instore.counts/2"))
    assert [window["sequence"] for window in windows] == list(range(1, len(windows) + 1))
    assert len({window["window_id"] for window in windows}) == len(windows)
    gaps = [
        after["start"] for before, after in itertools.pairwise(windows) if after["start"] != before["end"]
    ]
    assert len(gaps) == begin_anew - 1, gaps
