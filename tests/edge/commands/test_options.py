"""The configuration that a command uses where none is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.cli import main, parser
from edge.commands import options


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the installed configuration; there is none yet."""
    monkeypatch.setattr(options, "CONFIG", tmp_path / "config.toml")
    return tmp_path / "config.toml"


@pytest.mark.parametrize(
    "words",
    [["run"], ["check"], ["replay", "clip"], ["bench", "clip"], ["engine", "build"], ["network-policy"]],
)
def test_the_installed_configuration_is_the_default(installed: Path, words: list[str]) -> None:
    assert parser().parse_args(words).config is None
    installed.touch()
    assert parser().parse_args(words).config == installed
    assert parser().parse_args([*words, "--config", "other.toml"]).config == Path("other.toml")


def test_the_demo_has_settings_of_its_own(installed: Path) -> None:
    """Those of a store withhold small counts, and their windows outlast the scene."""
    installed.touch()
    assert parser().parse_args(["demo"]).config is None


@pytest.mark.parametrize("command", ["run", "check", "network-policy"])
def test_without_any_configuration_the_file_is_asked_for(
    installed: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command]) == 2
    said = capsys.readouterr().err
    assert said == (
        f"instore-edge: --config: no file is given and {installed} does not exist; "
        "name a file, or set INSTORE_CAMERAS\n"
    )


def test_the_environment_alone_configures_a_box(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSTORE_CAMERAS", "[{name = 'door', source = '0'}]")
    monkeypatch.setenv("INSTORE_MQTT__HOST", "broker.example")
    settings = options.read_settings(parser().parse_args(["check"]))
    assert [camera.name for camera in settings.cameras] == ["door"]
    assert settings.mqtt.host == "broker.example"
