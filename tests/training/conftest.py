from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

DATA = Path(__file__).parents[3] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use the fixture `keras` run where TensorFlow is: the workstation's environment."""
    if importlib.util.find_spec("keras") is None:
        for item in items:
            if "keras" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.skip(reason="TensorFlow is not installed: make install-training"))


@pytest.fixture(scope="session")
def keras():
    return pytest.importorskip("keras")


@pytest.fixture
def eager(keras) -> Iterator[None]:
    """Keras runs its steps without compiling them, which takes longer than the few steps of a test.

    For tests of what surrounds the steps; others train compiled, as users do.
    """
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip("the recordings and photos are not here")
    return DATA


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Twelve labelled crops of noise; the last two are copies of the first."""
    folder = tmp_path / "faces"
    (folder / "final_files").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = ["file_name,real_age,gender,ethnicity"]
    for i in range(12):
        path = folder / "final_files" / f"{i}.png"
        if i < 10:
            cv2.imwrite(str(path), rng.integers(0, 256, (70, 70, 3), np.uint8))
        else:
            shutil.copy(folder / "final_files" / "0.png", path)
        rows.append(f"{i}.png,{i * 10},,")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder
