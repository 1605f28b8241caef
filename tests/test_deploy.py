"""What is installed beside the program: the service, its sandbox, the package's lists, the manual."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from deploy.debian import build
from deploy.debian.manual import commands, completion, manual
from edge.cli import parser

ROOT = Path(__file__).parents[1]
SYSTEMD = ROOT / "deploy" / "systemd"
UNIT = SYSTEMD / "instore-edge.service"
DELAY = SYSTEMD / "restart-delay"
DROPINS = ("camera.conf", "gpu.conf")
NOTIFY_RELOAD = 253  # the version of systemd that brought it


def installed(folder: Path, *dropins: str) -> Path:
    """The unit as it would lie on a box, with programs that exist."""
    program = folder / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = folder / UNIT.name
    unit.write_text(re.sub(r"(?<==)/opt/instore-edge/(bin|libexec)/[a-z-]+", str(program), UNIT.read_text()))
    (folder / f"{UNIT.name}.d").mkdir()
    for dropin in dropins:
        (folder / f"{UNIT.name}.d" / dropin).write_text((SYSTEMD / dropin).read_text())
    return unit


def systemd_version() -> int:
    said = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.split()[1])


@pytest.mark.parametrize("dropins", [(), DROPINS])
def test_systemd_finds_no_fault_with_the_service(tmp_path: Path, dropins: tuple[str, ...]) -> None:
    if systemd_version() >= NOTIFY_RELOAD:
        dropins = (*dropins, "notify-reload.conf")
    unit = installed(tmp_path, *dropins)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if UNIT.name in line or str(tmp_path) in line]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.parametrize("dropins", [(), DROPINS])
def test_the_sandbox_leaves_little_exposed(tmp_path: Path, dropins: tuple[str, ...]) -> None:
    """2.0 of 10 at most, also with cameras and GPUs at the box itself."""
    unit = installed(tmp_path, *dropins)
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    exposure = re.search(r"Overall exposure level for instore-edge.service: ([\d.]+)", done.stdout)
    assert exposure
    assert float(exposure[1]) <= 2.0
    assert done.returncode == 0


def test_the_service_keeps_pictures_off_the_disk_and_never_gives_up() -> None:
    """Bad configuration included: whoever mends it is not at the box to start it again."""
    lines = UNIT.read_text().splitlines()
    assert {"LimitCORE=0", "MemorySwapMax=0", "StartLimitIntervalSec=0", "Restart=always"} <= set(lines)
    assert not [line for line in lines if line.startswith("RestartPreventExitStatus")]
    assert "After=network-online.target time-sync.target" in lines
    assert "Wants=network-online.target time-sync.target" in lines


class TestRestartDelay:
    @pytest.fixture(autouse=True)
    def note(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.environment = {**os.environ, "RUNTIME_DIRECTORY": str(tmp_path), "SECOND_HAND": "echo"}

    def ends(self, result: str) -> None:
        subprocess.run([DELAY, "note"], env={**self.environment, "SERVICE_RESULT": result}, check=True)

    def starts(self) -> int:
        """The seconds that it rests before."""
        done = subprocess.run(
            [DELAY, "rest"], env=self.environment, check=True, capture_output=True, text=True
        )
        assert ("times in a row" in done.stderr) == bool(done.stdout)
        return int(done.stdout or 0)

    def test_failures_in_a_row_are_answered_with_growing_rest(self) -> None:
        rests = [self.starts()]
        for result in (
            "signal",
            "exit-code",
            "watchdog",
            "timeout",
            "core-dump",
            "signal",
            "signal",
            "signal",
        ):
            self.ends(result)
            rests.append(self.starts())
        assert rests == [0, 0, 5, 15, 35, 75, 115, 115, 115]

    def test_an_end_as_it_should_be_forgives(self) -> None:
        for _ in range(5):
            self.ends("signal")
        self.ends("success")
        assert self.starts() == 0

    def test_ten_good_minutes_forgive(self) -> None:
        for _ in range(5):
            self.ends("signal")
        self.starts()
        started = (self.folder / "started").stat().st_mtime
        os.utime(self.folder / "started", (started - 600, started - 600))
        self.ends("signal")
        assert self.starts() == 0

    def test_a_clock_set_back_does_not_forgive_nor_fail(self) -> None:
        self.starts()
        started = (self.folder / "started").stat().st_mtime
        os.utime(self.folder / "started", (started + 86_400, started + 86_400))
        self.ends("signal")
        self.ends("signal")
        assert self.starts() == 5

    @pytest.mark.parametrize("arguments", [[], ["stop"]])
    def test_says_how_it_is_used(self, arguments: list[str]) -> None:
        done = subprocess.run(
            [DELAY, *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "usage" in done.stderr


def pins(name: str) -> set[str]:
    """`name==version` of a lock file, with the condition beside it."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return {
        line.removesuffix("\\").strip() for line in text.splitlines() if re.match(r"[A-Za-z0-9._-]+==", line)
    }


def test_a_box_gets_the_versions_that_are_tested_and_nothing_else() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    wanted = {re.split(r"[^A-Za-z0-9._-]", requirement)[0] for requirement in project["dependencies"]}
    box = pins("box")
    assert box <= pins("edge")
    assert wanted <= {pin.split("==")[0] for pin in box}
    assert not {pin.split("==")[0] for pin in box} & {"pytest", "tensorflow", "amqtt", "mypy", "ruff"}


def test_what_the_package_leaves_out_is_locked_and_the_rest_stays() -> None:
    text = (ROOT / "requirements" / "box.txt").read_text()
    kept = "".join(build.needed(text))
    names = set(re.findall(r"(?m)^([A-Za-z0-9._-]+)==", text))
    assert names >= build.NEVER_LOADED
    assert set(re.findall(r"(?m)^([A-Za-z0-9._-]+)==", kept)) == names - build.NEVER_LOADED
    assert kept.count("--hash=") > len(names)


def test_the_package_depends_on_what_the_program_needs_of_the_system() -> None:
    script = (ROOT / "deploy" / "system-packages.sh").read_text()
    run = script.partition('if [ "${1:-run}" = test ]')[0]
    needed = set(re.findall(r"(?:need |missing=\"\$missing )(lib[a-z0-9.-]+)", run))
    assert needed == {dependency.split(" | ")[0] for dependency in build.DEPENDS}


def test_the_package_brings_what_configures_a_broker(tmp_path: Path) -> None:
    build.system_files(tmp_path)
    setup = tmp_path / "usr/share/instore-edge/mosquitto/setup"
    subprocess.run(
        [setup, tmp_path / "etc/mosquitto/instore", "broker.example", "dashboard"],
        check=True, capture_output=True,
    )  # fmt: skip
    made = {path.name for path in (tmp_path / "etc/mosquitto/instore").iterdir()}
    assert made >= {"acl", "ca.pem", "instore.conf", "passwords", "server.key", "server.pem", "users"}
    assert (setup.parent / "bridge.conf").exists()


def test_the_manual_knows_every_command_and_option() -> None:
    page = manual().replace("\\-", "-")
    for name, command in commands(parser()):
        assert f".SS {name}" in page
        for action in command._actions:
            for flag in action.option_strings:
                assert flag in page
    assert not [line for line in manual().splitlines() if line.startswith("'")]


def test_the_manual_says_which_words_of_a_command_may_be_left_out() -> None:
    lines = manual().splitlines()
    assert ".SS replay CLIP..." in lines
    assert ".SS audit [CLIP...]" in lines


def completed(*words: str) -> set[str]:
    """What bash would offer for the last of these words."""
    script = f"{completion()}\nCOMP_WORDS=({' '.join(words)})\nCOMP_CWORD={len(words) - 1}\n"
    script += f'_shtab_instore_edge instore-edge "{words[-1]}" "{words[-2]}" 2>/dev/null\n'
    script += 'printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_the_shell_completes_commands_options_values_and_files() -> None:
    assert completed("instore-edge", "re") == {"replay"}
    assert completed("instore-edge", "engine", "bu") == {"build"}
    assert "--for" in completed("instore-edge", "engine", "build", "--")
    assert {"--json", "--config", "--set"} <= completed("instore-edge", "check", "--")
    assert completed("instore-edge", "run", "--log-level", "wa") == {"warning"}
    assert "config.toml" in completed("instore-edge", "run", "--config", "conf")
