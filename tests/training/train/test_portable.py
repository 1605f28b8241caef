"""TensorFlow feeds the training and joins the workers; network, losses and loop are Keras' own."""

from __future__ import annotations

import ast
from pathlib import Path

import training.train

FED_BY_TENSORFLOW = {"batches", "workers"}


def imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {name.split(".")[0] for name in names} | {
        (node.module or "").split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)
    }


def test_only_the_input_and_the_workers_know_tensorflow():
    folder = Path(training.train.__file__).parent
    assert {path.stem for path in folder.glob("*.py") if "tensorflow" in imported(path)} == FED_BY_TENSORFLOW
