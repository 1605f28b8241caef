from __future__ import annotations

import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.training import backbones
from training.cli import COMMANDS, main, parser
from training.train.config import TrainSettings, validate

AT_A_TERMINAL = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
"""A suite that a shell put into the background has SIGINT ignored, and whatever it starts inherits that."""

MAIN = "import sys; from training.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return backbones.write(tmp_path / "backbone", backbones.weights())


def convert(*words: object) -> int:
    return main(["convert", *map(str, words)])


def test_makes_a_bundle_and_says_so(keras, tiny: Path, tmp_path: Path, capsys):
    assert convert("--backbone", tiny, "--out", tmp_path / "bundle", "--size", 64) == 0
    assert f"{tmp_path / 'bundle'}: faceres-deep 1, 64 px" in capsys.readouterr().out


def test_a_missing_backbone_is_status_2(tmp_path: Path, capsys):
    assert convert("--backbone", tmp_path / "nowhere", "--out", tmp_path / "bundle") == 2
    assert "nowhere: is not a folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_status_2(tiny: Path, tmp_path: Path, capsys):
    assert convert("--backbone", tiny, "--out", tmp_path) == 2
    assert f"{tmp_path}: exists already" in capsys.readouterr().err


def test_weights_of_a_wrong_size_are_status_2(tiny: Path, tmp_path: Path, capsys):
    (tiny / "tiny-1.bin").write_bytes(b"\0" * 3)
    assert convert("--backbone", tiny, "--out", tmp_path / "bundle") == 2
    assert "bytes; tiny.json names" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_a_folder_without_labels_is_status_2_before_any_work(tiny: Path, tmp_path: Path, capsys):
    assert convert("--backbone", tiny, "--out", tmp_path / "bundle", "--data", tmp_path) == 2
    assert "no labelled faces found" in capsys.readouterr().err


def test_further_data_want_data(tiny: Path, tmp_path: Path, capsys):
    assert convert("--backbone", tiny, "--out", tmp_path / "bundle", "--also", tmp_path) == 2
    assert "these options need --data" in capsys.readouterr().err


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_with_a_line_status_2_and_nothing_half_made(
    sent: signal.Signals, tmp_path: Path
):
    words = [sys.executable, "-c", AT_A_TERMINAL + MAIN, "demo-data"]
    words += ["--out", str(tmp_path / "faces"), "--count", "1000000"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as command:
        try:
            while not list(tmp_path.glob(".faces-*/final_files/*.png")):
                assert command.poll() is None
            command.send_signal(sent)
            said = command.communicate(timeout=PATIENCE)[1]
        finally:
            command.kill()
    assert command.returncode == 2
    assert said == "instore-training: interrupted; no partial result is left\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(command: str, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"example:\n  instore-training {command} " in capsys.readouterr().out


def test_help_of_no_command_loads_a_heavy_library() -> None:
    program = "import sys, training.cli; training.cli.parser(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "training.commands.train" in loaded
    assert not loaded & {"cv2", "keras", "matplotlib", "numpy", "onnxruntime", "pandas", "tensorflow"}


def test_the_guide_is_made_of_commands_and_of_a_configuration_that_there_are():
    guide = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    commands = re.findall(r"^instore-training ([^#\n]+)", guide, re.MULTILINE)
    assert {parser().parse_args(command.split()).command.__module__ for command in commands} == {
        f"training.commands.{name}"
        for name in ("explore", "train", "export", "evaluate", "compare", "opinions")
    }
    whole, sets, terms = (tomllib.loads(text) for text in re.findall(r"```toml\n(.+?)```", guide, re.DOTALL))
    assert validate(TrainSettings, whole, "ours.toml").folder == Path("runs/ours")
    assert validate(TrainSettings, whole | sets, "ours.toml").data.shares == (0.65, 0.35)
    stated = validate(TrainSettings, whole | {"data": whole["data"] | terms["data"]}, "ours.toml").data.terms
    assert stated is not None
    assert stated.commercial_use == "allowed"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "COMMAND"),
        (["convert"], "--backbone"),
        (["paint"], "paint"),
        (["convert", "--backbone", "b", "--out", "o", "--size", "100"], "multiple of 16 from 64 to 512"),
        (["convert", "--backbone", "b", "--out", "o", "--size", "-64"], "--size"),
        (["demo-data", "--out", "o", "--count", "1"], "at least 2"),
        (["evaluate", "b", "d", "--out", "o", "--split", "half"], "half"),
        (["evaluate", "b", "d", "--out", "o", "--precision", "fp8"], "fp8"),
        (["evaluate", "b", "d", "--out", "o", "--seed", "-1"], "whole number from 0 to"),
        (["explore", "d", "--out", "o", "--seed", str(1 << 32)], "whole number from 0 to"),
        (["compare", "b"], "BUNDLE"),
        (["export", "run"], "--out"),
        (["export", "run", "--out", "o", "--version", " "], "must not be empty"),
    ],
)
def test_bad_usage_is_status_2_and_named(words: list[str], named: str, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize("words", [["demo-data", "--out", "faces", "--count", "2"], ["--help"]])
def test_output_that_cannot_be_written_is_status_1_and_named(tmp_path: Path, words: list[str]):
    program = f"import sys; sys.argv = {['', *words]}; " + MAIN.replace("sys.argv[1:]", "")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            check=False, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("instore-training: standard output: cannot be written: ")
    assert done.stderr.count("\n") == 1
