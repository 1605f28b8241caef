"""`python -m tests.fuzz [--seconds N] [TARGET...]`: atheris on each target; an input that breaks one is kept.

`make fuzz` installs atheris, which the suite does without.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import ROOT, SEEDS, TARGETS

CORPUS = ROOT / "build" / "fuzz"


def main() -> int:
    """Run every target in a process of its own; 1 when one was broken."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Look for inputs that break us."
    )
    parser.add_argument(
        "targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET", help=", ".join(TARGETS)
    )
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("--inside", choices=TARGETS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        search(options.inside, options.seconds)
    broken = []
    for name in options.targets or TARGETS:
        sys.stderr.write(f"== {name}: {(TARGETS[name].__doc__ or '').splitlines()[0]}\n")
        command = [sys.executable, "-m", "tests.fuzz", "--inside", name, "--seconds", str(options.seconds)]
        broken += [name] if subprocess.run(command, check=False).returncode else []
    sys.stderr.write(
        f"broken: {', '.join(broken)}; the inputs are in {CORPUS}\n" if broken else "none is broken\n"
    )
    return 1 if broken else 0


def search(name: str, seconds: int) -> None:
    """Let atheris look; it ends the process."""
    import atheris

    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.instrument_all()
    limits = ["-timeout=10", "-rss_limit_mb=4096", "-max_len=8192", "-print_final_stats=1", "-verbosity=1"]
    found = f"-artifact_prefix={Path(CORPUS, name)}-"
    atheris.Setup(["fuzz", f"-max_total_time={seconds}", *limits, found, str(corpus)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
