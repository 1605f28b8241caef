"""`run`: the end of the process."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from edge.cli import main


@pytest.mark.parametrize("hangs", [False, True])
def test_a_camera_that_hangs_at_the_end_does_not_abort_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    """Its thread would come back from OpenCV into an interpreter that is no more."""
    config = tmp_path / "config.toml"
    config.write_text("[[cameras]]\nname = 'door'\nsource = '0'\n")
    left: list[int] = []

    class Runtime:
        def __init__(self, *_: object, **__: object) -> None:
            self.hangs = hangs

        def run(self, *_: object) -> int:
            return 0

    monkeypatch.setattr("edge.daemon.runtime.Runtime", Runtime)
    monkeypatch.setattr("os._exit", left.append)
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        assert main(["run", "--config", str(config)]) == 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert left == ([0] if hangs else [])
