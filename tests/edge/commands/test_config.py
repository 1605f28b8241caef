"""`instore-edge config`: what is shown is what is in force, without secrets."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from edge.cli import main
from edge.config import load_settings

SHIPPED = Path(__file__).parents[3] / "config.toml"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    camera = "rtsp://192.0.2.10:554/user=admin&password=hunter2?x=hunter2"
    path.write_text(f"[[cameras]]\nname = 'door'\nsource = '{camera}'\nusername = 'a'\npassword_file = 'p'\n")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "1.toml").write_text(
        "[webhook]\nurl = 'https://hooks.example/hunter2'\nsecret_file = 's'"
    )
    (tmp_path / "p").write_text("hunter2")
    return path


def test_what_is_shown_gives_the_same_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shipped one has a path in its camera's URL, which is masked."""
    assert main(["config", "show", "--config", str(SHIPPED), "--set", "cameras.0.source='0'"]) == 0
    again = tmp_path / "again.toml"
    again.write_text(capsys.readouterr().out)
    assert load_settings(again) == load_settings(SHIPPED, ["cameras.0.source='0'"])


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_no_secret_is_shown(path: Path, capsys: pytest.CaptureFixture[str], form: list[str]) -> None:
    assert main(["config", "show", "--config", str(path), *form]) == 0
    shown = capsys.readouterr().out
    found = json.loads(shown) if form else tomllib.loads(shown)
    assert found["cameras"][0]["source"] == "rtsp://192.0.2.10:554/***"
    assert found["webhook"]["url"] == "https://hooks.example/***"
    assert "hunter2" not in shown


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_no_token_for_a_broker_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: list[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        "[mqtt]\nurl = 'wss://b.example/hunter2'\nfailover = ['wss://c.example/hunter2/x']\n"
        "username = 'hunter2'\n[[cameras]]\nname = 'door'\nsource = '0'\n"
    )
    assert main(["config", "show", "--config", str(path), *form]) == 0
    text = capsys.readouterr().out
    shown = (json.loads(text) if form else tomllib.loads(text))["mqtt"]
    assert (shown["url"], shown["failover"]) == ("wss://b.example/***", ["wss://c.example/***"])
    assert (shown["username"], "hunter2" in text) == ("***", False)


def test_a_brokers_user_with_a_password_is_shown(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--set", "mqtt.username=box-7", "--set", "mqtt.password_file=p"]
    assert main(["config", "show", "--config", str(path), *given]) == 0
    assert tomllib.loads(capsys.readouterr().out)["mqtt"]["username"] == "box-7"


def test_the_origins_are_shown(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["config", "show", "--config", str(path), "--origins", "--set", "box=edge-9"])
    shown = capsys.readouterr().out.splitlines()
    assert 'box = "edge-9"  # --set box' in shown
    assert f'secret_file = "s"  # {path.parent}/conf.d/1.toml:3' in shown
    assert "minimum = 5  # default" in shown
    main(["config", "show", "--config", str(path), "--origins", "--json"])
    origins = json.loads(capsys.readouterr().out)["origins"]
    assert origins["cameras.0.name"] == f"{path}:2"
    assert origins["privacy.minimum"] == "default"


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    assert "cameras" in json.loads(capsys.readouterr().out)["properties"]
