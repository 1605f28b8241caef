"""The commands in one process: how they end, and what they say of what went wrong."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge import cli
from edge.cli import main, reload_on_signal, stop_on_signals
from edge.config import load_settings
from tests.patience import PATIENCE

CONFIG = "[[cameras]]\nname = 'door'\nsource = '0'\n"
SECRET = "rtsp://admin:hunter2@192.0.2.10/"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return str(path)


@pytest.mark.parametrize("command", ["check", "replay"])
def test_ctrl_c_ends_with_1_and_no_traceback(
    command: str, config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"edge.commands.{command}.{command}", interrupted)
    arguments = ["--config", config] if command == "check" else [config]
    assert main([command, *arguments]) == 1
    assert capsys.readouterr() == ("", "")


def test_a_bug_is_logged_with_its_traceback_and_without_secrets(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"cannot open {SECRET}")

    monkeypatch.setattr("edge.commands.check.check", broken)
    assert main(["check", "--config", config]) == 1
    said = capsys.readouterr().err
    assert said.count("Traceback") == 1
    assert "RuntimeError: cannot open rtsp://***@192.0.2.10/" in said
    assert "hunter2" not in said


def test_the_failure_of_a_thread_is_told_once(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failed(*_: object, **__: object) -> None:
        error = RuntimeError(SECRET)
        cli.log.critical("thread vision failed", exc_info=error)
        raise error

    monkeypatch.setattr("edge.commands.check.check", failed)
    assert main(["check", "--config", config]) == 1
    assert capsys.readouterr().err.count("RuntimeError") == 1


class TestRecordings:
    def cameras(self, *clips: Path) -> list[tuple[str, str]]:
        for clip in clips:
            clip.touch()
        return [(camera["name"], camera["source"]) for camera in cli._recordings(clips)["cameras"]]

    def test_are_named_after_their_files_each_unlike_the_others(self, tmp_path: Path) -> None:
        clips = [tmp_path / "a b.mp4", tmp_path / "a b.avi", tmp_path / ("x" * 90 + ".mp4")]
        (one, _), (two, _), (long, _) = self.cameras(*clips)
        assert (one, two, long) == ("a-b", "a-b~2", "x" * 56)

    def test_may_be_named_like_a_device_or_the_box(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert self.cameras(Path("0")) == [("0", str(tmp_path / "0"))]
        settings = load_settings(None, [], cli._recordings([Path("0")]))
        assert settings.box == cli.REPLAY_BOX
        Path("box.mp4").touch()
        assert load_settings(None, [], cli._recordings([Path("box.mp4")])).cameras[0].name == "box"

    def test_that_are_urls_are_refused_without_their_password(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["replay", SECRET]) == 2
        said = capsys.readouterr().err
        assert "clip '***': there is no such file" in said
        assert "hunter2" not in said


def test_no_command_leaves_a_core_dump() -> None:
    program = "import resource, edge.cli; edge.cli.main(['replay', 'nowhere']); print(*resource.getrlimit(4))"
    assert resource.RLIMIT_CORE == 4
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "0 0\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_stop(number: signal.Signals) -> None:
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, and then it stops nothing
        stop: threading.Event = stop_on_signals()
        signal.raise_signal(number)
        assert stop.wait(PATIENCE)
    finally:
        for n, handler in handlers.items():
            signal.signal(n, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_heard_while_the_main_thread_holds_the_event_s_lock(number: signal.Signals) -> None:
    """As it does for a moment of every look. A handler that sets the event by itself then waits for ever."""
    program = f"""
import signal, threading
from edge.cli import reload_on_signal, stop_on_signals
stop = stop_on_signals()
event = reload_on_signal(stop) if {int(number)} == signal.SIGHUP else stop
with event._cond:
    signal.raise_signal({int(number)})
print(event.wait({PATIENCE}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.stdout == "True\n", done.stderr


def test_nohup_keeps_the_loss_of_the_terminal_away() -> None:
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        stop_on_signals()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        for n, handler in handlers.items():
            signal.signal(n, handler)


@pytest.mark.parametrize(
    ("terminal", "ignored", "stops"),
    [
        ([False, False], False, False),  # a service
        ([True, True], False, False),  # somebody's kill -HUP
        ([True, False], False, True),  # the terminal was closed
        ([True, False], True, False),  # and nohup keeps that away
    ],
)
def test_sighup_reloads_unless_the_terminal_is_lost(
    monkeypatch: pytest.MonkeyPatch, terminal: list[bool], ignored: bool, stops: bool
) -> None:
    monkeypatch.setattr(cli, "_has_terminal", lambda: terminal.pop(0))
    before = signal.getsignal(signal.SIGHUP)
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
        stop = threading.Event()
        reload = reload_on_signal(stop)
        signal.raise_signal(signal.SIGHUP)
        assert (stop if stops else reload).wait(PATIENCE)
        assert (stop.is_set(), reload.is_set()) == (stops, not stops)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("hangs", [False, True])
def test_a_camera_that_hangs_at_the_end_does_not_abort_the_process(
    config: str, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    """Its thread would come back from OpenCV into an interpreter that is no more."""
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
        assert main(["run", "--config", config]) == 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert left == ([0] if hangs else [])
