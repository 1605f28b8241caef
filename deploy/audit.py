"""`make audit`: list the known vulnerabilities of the libraries that the lock files pin.

pip-audit queries the package index's database and installs nothing. Status 0: no vulnerability is known;
1: some are; 3: some libraries could not be checked, so the result is incomplete.
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
    """The worst of several results: a vulnerability, then an incomplete audit, then neither."""
    found = set(statuses)
    return HOLES if HOLES in found else UNKNOWN if UNKNOWN in found else NONE


def audit(lock: Path) -> int:
    """Audit one lock file and print the result."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format=json"]
    command += ["--progress-spinner=off", "-r", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answer = json.loads(done.stdout)
    except json.JSONDecodeError:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return _say(f"{lock.name}: NOT AUDITED: pip-audit failed: {reason}", UNKNOWN)
    status, lines = judge(lock.name, answer["dependencies"])
    return _say("\n".join(lines), status)


def judge(name: str, libraries: Iterable[Mapping[str, Any]]) -> tuple[int, list[str]]:
    """The status and the lines to print for pip-audit's answer on the libraries of a lock file."""
    libraries = list(libraries)
    skipped = [library["name"] for library in libraries if "skip_reason" in library]
    holes = [
        f"  {library['name']} {library['version']}: {hole['id']}, fixed in "
        f"{', '.join(hole['fix_versions']) or 'no version yet'}"
        for library in libraries
        for hole in library.get("vulns", ())
    ]
    checked = len(libraries) - len(skipped)
    lines = [f"{name}: {len(holes)} known vulnerabilities in {checked} libraries", *holes]
    if skipped:
        source = "the index's database is not reachable" if len(skipped) == len(libraries) else ""
        lines.append(
            f"{name}: NOT AUDITED: {source or ', '.join(skipped)} ({len(skipped)} of {len(libraries)})"
        )
    return HOLES if holes else UNKNOWN if skipped or not libraries else NONE, lines


def _say(text: str, status: int) -> int:
    sys.stdout.write(text + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
