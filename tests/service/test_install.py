"""deploy/install.sh: what it installs runs, an upgrade keeps the owner's files, a purge leaves nothing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.debian.build import PYTHON, ROOT
from edge.config.tables.writing import to_toml
from tests.service.machine import Machine

SCRIPT = ROOT / "deploy" / "install.sh"
UNIT = "usr/lib/systemd/system/instore-edge.service"
CONFIG = "/etc/instore-edge/config.toml"
CAMERA = {"name": "door", "source": "/srv/scene.avi", "loop": True, "tile": 0}


def install(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHON": str(PYTHON)},
        check=False,
    )


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of a machine that it was installed to."""
    folder = tmp_path_factory.mktemp("target")
    (folder / "usr/lib/systemd").mkdir(parents=True)
    done = install("--root", folder)
    assert done.returncode == 0, done.stderr
    yield folder
    install("--remove", "--purge", "--root", folder)


def test_what_it_installs_runs_as_a_service(target: Path, root: Path, clip: Path, tmp_path: Path) -> None:
    places = ("opt/instore-edge", UNIT, "usr/share/instore-edge", "usr/bin/instore-edge")
    binds = {target / place: f"/{place}" for place in places if not (target / place).is_symlink()}
    with Machine(root, {**binds, clip: "/srv/scene.avi"}, tmp_path / "console.log") as machine:
        machine.write(CONFIG, to_toml({"cameras": [CAMERA]}))
        machine.run("mkdir", "/etc/instore-edge/secrets")
        machine.run("systemctl", "daemon-reload")
        assert machine.succeeds("systemctl", "start", "instore-edge"), machine.journal("instore-edge")
        command = "/opt/instore-edge/bin/instore-edge"
        verdicts = json.loads(machine.run(command, "check", "--json", "--config", CONFIG, check=False))
        assert [v for v in verdicts if v["status"] == "failed" and v["what"] != "broker"] == []


def test_an_upgrade_keeps_the_configuration_and_the_secrets(target: Path) -> None:
    etc = target / "etc/instore-edge"
    (etc / "config.toml").write_text("# mine\n")
    (etc / "secrets" / "broker").write_text("mine\n")
    assert install("--root", target).returncode == 0
    assert (etc / "config.toml").read_text() == "# mine\n"
    assert (etc / "config.toml.new").read_text() == (ROOT / "config.toml").read_text()
    assert (etc / "secrets" / "broker").read_text() == "mine\n"
    assert (etc / "secrets").stat().st_mode & 0o777 == 0o700
    assert not list((target / "opt").glob("*.*"))


def test_it_goes_without_a_trace(target: Path) -> None:
    assert install("--remove", "--root", target).returncode == 0
    assert [path.name for path in target.rglob("*instore*")] == ["instore-edge"]
    assert (target / "etc/instore-edge/secrets/broker").exists()
    assert install("--remove", "--purge", "--root", target).returncode == 0
    assert list(target.rglob("*instore*")) == []


@pytest.mark.parametrize("arguments", [["--purge"], ["--root"], ["now"]])
def test_it_names_wrong_arguments(arguments: list[str]) -> None:
    done = install(*arguments)
    assert done.returncode == 2
    assert "install.sh: " in done.stderr
