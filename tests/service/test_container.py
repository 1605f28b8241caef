"""deploy/Containerfile, which cannot be built without images to fetch: linted, and held to what is here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from deploy.debian.build import DEPENDS, ROOT
from edge.cli import parser
from edge.commands.run import run

FILE = ROOT / "deploy" / "Containerfile"


def test_hadolint_finds_no_fault() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    assert hadolint.exists(), "hadolint is not installed: make test-service"
    done = subprocess.run([hadolint, FILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_copies_what_exists_and_the_context_lets_through() -> None:
    let_through = {
        line[1:] for line in (ROOT / ".containerignore").read_text().split() if line.startswith("!")
    }
    copied = [
        path
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", FILE.read_text(), re.M)
        for path in line.split()
    ]
    assert copied
    for path in copied:
        assert (ROOT / path).exists()
        assert path.split("/")[0] in let_through


def test_it_has_the_packages_libraries_and_a_command_that_is_one() -> None:
    text = FILE.read_text()
    for package in DEPENDS:
        assert package.split(" | ")[0] in text.partition("COPY --from")[0].rpartition("FROM")[2]
    command = re.search(r'^CMD \["(\w+)"\]$', text, re.M)
    assert command
    assert parser().parse_args([command[1]]).command is run
    assert re.search(r"^USER [1-9]\d*$", text, re.M), "must not run as root"
