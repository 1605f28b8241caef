"""The commands in one process: how they end, and what they say of what went wrong."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from edge import cli
from edge.cli import COMMANDS, main, parser
from edge.errors import ConfigurationError

CONFIG = "[[cameras]]\nname = 'door'\nsource = '0'\n"
SECRET = "rtsp://admin:hunter2@192.0.2.10/"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return str(path)


@pytest.mark.parametrize(
    ("command", "module"), [("check", "check.command.check"), ("replay", "replay_driver.replay")]
)
def test_ctrl_c_ends_with_1_and_no_traceback(
    command: str,
    module: str,
    config: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"edge.commands.{module}", interrupted)
    arguments = ["--config", config] if command == "check" else [config]
    assert main([command, *arguments]) == 1
    assert capsys.readouterr() == ("", "")


def test_ctrl_c_while_the_libraries_load_ends_with_1_and_no_traceback() -> None:
    program = """
import builtins, sys, edge.cli
load = builtins.__import__
def interrupted(name, *more):
    if name == "edge.ops.logs":
        raise KeyboardInterrupt
    return load(name, *more)
builtins.__import__ = interrupted
sys.exit(edge.cli.main(["config", "schema"]))
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_variables_of_libraries_are_set_where_the_environment_has_none(
    config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.commands.check.command.check", lambda _: 0)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4")
    monkeypatch.delenv("PYDANTIC_DISABLE_PLUGINS", raising=False)
    main(["check", "--config", config])
    assert (os.environ["OPENBLAS_NUM_THREADS"], os.environ["PYDANTIC_DISABLE_PLUGINS"]) == ("4", "__all__")


def test_a_bug_is_logged_with_its_traceback_and_without_secrets(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"cannot open {SECRET}")

    monkeypatch.setattr("edge.commands.check.command.check", broken)
    assert main(["check", "--config", config]) == 1
    said = capsys.readouterr().err
    assert said.count("Traceback") == 1
    assert "RuntimeError: cannot open rtsp://***@192.0.2.10/" in said
    assert "hunter2" not in said


def test_the_failure_of_a_thread_is_logged_once(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failed(*_: object, **__: object) -> None:
        error = RuntimeError(SECRET)
        cli.log.critical("thread vision failed", exc_info=error)
        raise error

    monkeypatch.setattr("edge.commands.check.command.check", failed)
    assert main(["check", "--config", config]) == 1
    assert capsys.readouterr().err.count("RuntimeError") == 1


def test_no_command_leaves_a_core_dump() -> None:
    program = "import resource, edge.cli; edge.cli.main(['replay', 'nowhere']); print(*resource.getrlimit(4))"
    assert resource.RLIMIT_CORE == 4
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "0 0\n"


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_of_one_command_is_the_same_as_among_all(
    command: str | None, capsys: pytest.CaptureFixture[str]
):
    words = [command, "--help"] if command else ["--help"]
    with pytest.raises(SystemExit):
        parser().parse_args(words)
    whole = capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 0
    assert capsys.readouterr().out == whole


def test_help_of_no_command_loads_a_heavy_library() -> None:
    program = "import sys, edge.cli; edge.cli.parser(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"edge.commands.bench.command", "edge.commands.engine.command"} <= loaded
    assert not loaded & {"cv2", "mediapipe", "numpy", "onnxruntime", "openvino", "rich", "scipy", "tensorrt"}


def test_the_daemon_collects_no_garbage_while_its_libraries_load(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found: list[bool] = []

    def fail(_: object) -> NoReturn:
        found.append(gc.isenabled())
        raise ConfigurationError("no configuration")

    monkeypatch.setattr("edge.commands.run.read_settings", fail)
    assert main(["run"]) == 2
    assert found == [False]
    assert gc.isenabled()
    assert "no configuration" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["rum"], ["run", "--loud"], ["replay"], ["engine"]])
def test_bad_usage_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "instore-edge" in capsys.readouterr().err


def by_shell(command: str, environment: str = "") -> subprocess.CompletedProcess[str]:
    """`python` with these arguments and redirections."""
    words = ["/bin/sh", "-c", f"{environment} {sys.executable} {command}"]
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("redirect", [">/dev/full", ">&-"])
@pytest.mark.parametrize("words", ["config show", "config show --json", "check --json", "audit"])
def test_output_that_cannot_be_written_is_named(words: str, redirect: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f"{CONFIG}[outbox]\ndirectory = 'state'\n")
    done = by_shell(f"-m edge {words} --config {tmp_path}/config.toml {redirect}")
    assert done.returncode == 1
    assert done.stderr.startswith("instore-edge: standard output: cannot be written: ")
    assert done.stderr.count("\n") == 1


def test_so_is_help_that_cannot_be_written() -> None:
    done = by_shell("-m edge --help >/dev/full")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("instore-edge: standard output: cannot be written: ")


def test_streams_that_are_closed_end_no_command_and_take_in_no_file(tmp_path: Path) -> None:
    (tmp_path / "show.py").write_text(
        "import os, sys\nfrom edge.ops.terminal import prepare_streams\nprepare_streams()\n"
        "open(sys.argv[1], 'w').write(os.readlink('/proc/self/fd/2'))"
    )
    assert by_shell(f"{tmp_path}/show.py {tmp_path}/second <&- >&- 2>&-").returncode == 0
    assert (tmp_path / "second").read_text() == os.devnull
    done = by_shell("-m edge config schema <&- 2>&-")
    assert (done.returncode, done.stdout[:1]) == (0, "{")


ASCII = "LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONUTF8=0"
"""In which Python uses ASCII for file names and output."""


@pytest.mark.parametrize("locale", ["LC_ALL=C", ASCII])
def test_umlauts_are_shown_in_every_locale(locale: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.replace("door", "Tür"), encoding="utf-8")
    done = by_shell(f"-m edge config show --config {tmp_path}/config.toml", locale)
    assert (done.returncode, done.stderr) == (0, "")
    assert 'name = "Tür"' in done.stdout


def test_a_name_that_the_locale_has_no_letters_for_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        f"{CONFIG}[outbox]\ndirectory = '{tmp_path}/Zürich'\n", encoding="utf-8"
    )
    done = by_shell(f"-m edge audit --config {tmp_path}/config.toml", ASCII)
    assert done.returncode == 1
    assert "Zürich" in done.stderr and "Traceback" not in done.stderr
    assert "cannot be a file name where the locale makes Python use ascii; set the environment" in done.stderr
