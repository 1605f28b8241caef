"""Two local workers train one network, as TensorFlow's TF_CONFIG sets them up."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge.errors import ConfigurationError
from tests.mosquitto import free_port
from tests.patience import PATIENCE
from training.train.workers import Workers, is_chief

ROOT = Path(__file__).parents[3]


def start(runs: Path, config: dict | None) -> subprocess.Popen[str]:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CONFIG": json.dumps(config or {})}
    command = [sys.executable, "-m", "tests.training.train.worker", str(runs)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=pipe, stderr=pipe)


def end(worker: subprocess.Popen[str]) -> tuple[float, float]:
    """The sum of the weights and the loss that it ended with."""
    out, err = worker.communicate(timeout=2 * PATIENCE)
    assert worker.returncode == 0, err
    weights, loss = re.search(r"weights (\S+) loss (\S+)", out).groups()
    return float(weights), float(loss)


def test_two_workers_end_with_the_weights_of_one(keras, tmp_path: Path):
    cluster = {"worker": [f"127.0.0.1:{free_port()}" for _ in range(2)]}
    workers = [
        start(tmp_path / f"of-{index}", {"cluster": cluster, "task": {"type": "worker", "index": index}})
        for index in range(2)
    ]
    try:
        first, second = [end(worker) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    alone = end(start(tmp_path / "alone", None))
    assert first == second
    assert first == pytest.approx(alone, rel=1e-4)
    assert (tmp_path / "of-0" / "tiny" / "model.keras").exists()
    assert not (tmp_path / "of-1").exists()


def test_alone_without_tf_config(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert is_chief()
    assert Workers().count == 1
    assert Workers().share(lambda part: [part]) == [0]


def test_a_broken_tf_config_is_told(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{worker")
    with pytest.raises(ConfigurationError, match="TF_CONFIG: is not JSON"):
        Workers()


@pytest.mark.parametrize("config", ["[1]", "5", '{"cluster": []}', '{"task": "worker"}'])
def test_a_tf_config_of_another_form_is_told(monkeypatch, config: str):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(
        ConfigurationError, match=re.escape('TF_CONFIG: not a cluster and a task; allowed: {"cluster"')
    ):
        is_chief()
