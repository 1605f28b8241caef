"""`make audit`: are there known holes in the libraries that the lock files pin?

pip-audit asks the package index's own database and installs nothing. Status 0: none is known; 1: there are
some; 3: not everything could be asked after, and nobody should take that for "none".
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LOCKS = Path(__file__).parents[1] / "requirements"
NONE, HOLES, UNKNOWN = 0, 1, 3


def main() -> int:
    """Audit every lock file; the worst status of them."""
    return worst(audit(lock) for lock in sorted(LOCKS.glob("*.txt")))


def worst(statuses: Iterable[int]) -> int:
    """Holes before what is unknown, that before nothing."""
    found = set(statuses)
    return HOLES if HOLES in found else UNKNOWN if UNKNOWN in found else NONE


def audit(lock: Path) -> int:
    """Ask after one lock file, and say what was answered."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format=json"]
    command += ["--progress-spinner=off", "-r", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answer = json.loads(done.stdout)
    except json.JSONDecodeError:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return _say(f"{lock.name}: NOT AUDITED, pip-audit did not get through: {reason}", UNKNOWN)
    status, lines = judge(lock.name, answer["dependencies"])
    return _say("\n".join(lines), status)


def judge(name: str, libraries: Iterable[Mapping[str, Any]]) -> tuple[int, list[str]]:
    """The status and the words for what pip-audit found of a lock file's libraries."""
    libraries = list(libraries)
    skipped = [library["name"] for library in libraries if "skip_reason" in library]
    holes = [
        f"  {library['name']} {library['version']}: {hole['id']}, mended in "
        f"{', '.join(hole['fix_versions']) or 'no version yet'}"
        for library in libraries
        for hole in library.get("vulns", ())
    ]
    lines = [f"{name}: {len(holes)} known holes in {len(libraries) - len(skipped)} libraries", *holes]
    if skipped:
        source = "the index's database cannot be reached from here" if len(skipped) == len(libraries) else ""
        lines.append(
            f"{name}: NOT AUDITED: {source or ', '.join(skipped)} ({len(skipped)} of {len(libraries)})"
        )
    return HOLES if holes else UNKNOWN if skipped or not libraries else NONE, lines


def _say(text: str, status: int) -> int:
    sys.stdout.write(text + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
