"""A training run, its export and its evaluation talk to nobody; see tests/privacy/test_silence.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests import strace
from tests.patience import PATIENCE

CONFIGURATION = Path(__file__).parents[2] / "training" / "configs" / "demo.toml"
PROGRAM = """
import json, sys
from training.cli import main
sys.exit(max(map(main, json.loads(sys.argv[1]))))
"""

CACHES = (".cache/matplotlib", ".config/matplotlib", ".keras")
"""What matplotlib (its list of fonts) and Keras (its settings) write at home."""


def test_training_talks_to_nobody_and_writes_what_it_is_told_to(keras, tmp_path: Path):
    (out := tmp_path / "out").mkdir()
    faces, runs, bundle = out / "faces", out / "runs", out / "bundle"
    settings = {"data.folder": faces, "runs": runs, "loop.epochs": 1, "loop.epoch_steps": 2}
    commands = [
        ["demo-data", "--out", faces, "--count", 40],
        ["train", CONFIGURATION, *(f"--set={key}={value}" for key, value in settings.items())],
        ["export", runs / "demo", "--out", bundle],
        ["evaluate", bundle, faces, "--out", out / "evaluated"],
    ]
    words = json.dumps([[str(word) for word in command] for command in commands])

    seen = strace.watch([sys.executable, "-c", PROGRAM, words], tmp_path, timeout=5 * PATIENCE)

    assert seen.names == set()
    assert seen.peers == set()
    assert seen.sockets <= {"/var/run/nscd/socket"}  # asked for the name of the user
    home = tmp_path / "home"
    told = (out, tmp_path / "here" / "runs", tmp_path / "tmp")
    caches = [home / cache for cache in CACHES]
    written = {path for path in seen.written_outside(*told, *caches) if not _is_semaphore(path)}
    assert written <= {cache.parent for cache in caches}
    programs = {Path(program).name for program in seen.programs - {sys.executable}}
    assert programs <= {"uname", "fc-list", "ldconfig"}


def _is_semaphore(path: Path) -> bool:
    """Keras imports scikit-learn where it is installed, as for the tests; its joblib tries a semaphore."""
    return path.match("/dev/shm/sem.*")  # noqa: S108 - where the C library keeps named semaphores
