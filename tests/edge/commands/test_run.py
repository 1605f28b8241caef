"""`run`: its options, and the end of the process."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.cli import main
from edge.config import Settings


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """`run` takes signals and logs for the whole process."""
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("words", "level"), [([], "WARNING"), (["--log-level", "error"], "ERROR")])
def test_the_configuration_says_what_is_logged_unless_the_command_line_does(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    level: str,
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[[cameras]]\nname = 'door'\nsource = '0'\n[log]\nlevel = 'warning'\n")
    levels: list[str] = []

    class Runtime:
        hangs = False

        def __init__(self, *_: object, load: Callable[[], Settings], **__: object) -> None:
            levels.append(load().log.level.upper())  # as a reload does

        def run(self, *_: object) -> int:
            levels.append(logging.getLevelName(logging.getLogger().level))
            return 0

    monkeypatch.setattr("edge.daemon.runtime.Runtime", Runtime)
    monkeypatch.setenv("INSTORE_VERSION", "1.2")
    assert main(["run", "--config", str(config), *words]) == 0
    assert levels == [level, level]
    warned = "INSTORE_VERSION: ignored, because it names no key" in capsys.readouterr().err
    assert warned == (level == "WARNING")


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
    assert main(["run", "--config", str(config)]) == 0
    assert left == ([0] if hangs else [])
