"""What a running daemon tells Prometheus."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from urllib.request import urlopen

from tests.patience import PATIENCE

ANALYSED = 'instore_frames_analysed_total{camera="door"}'


def metric(port: int, name: str) -> float:
    """The value of a series, named with its labels; 0 where there is none yet."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as page:
        found = re.search(rf"^{re.escape(name)} (\S+)$", page.read().decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def wait_for_metric(port: int, name: str, enough: Callable[[float], bool]) -> float:
    """The value of a series once it is enough."""
    until = time.monotonic() + PATIENCE
    while not enough(value := metric(port, name)):
        assert time.monotonic() < until, f"{name} is still {value:g}"
        threading.Event().wait(0.05)
    return value
