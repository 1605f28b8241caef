"""OpenVINO on the CPU: the contract, ONNX Runtime's results, and not a word to anybody."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.bundle import BUILTIN, Bundle, load_bundle
from edge.errors import ConfigurationError
from edge.inference import open_backend, openvino
from edge.inference.backend import AgeBackend, BackendError
from tests.edge.inference.contract import MAX_BATCH, BackendContract, pictures

AGES = np.arange(101)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(BUILTIN)


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without it: None stands for a module that is not to be found."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    openvino._openvino.cache_clear()
    yield
    openvino._openvino.cache_clear()


class TestOpenVino(BackendContract):
    @pytest.fixture(params=["fp32", "int8"])
    def backend(self, bundle: Bundle, request: pytest.FixtureRequest) -> Iterator[AgeBackend]:
        backend = open_backend("openvino", bundle, max_batch=MAX_BATCH, threads=1, precision=request.param)
        yield backend
        backend.close()

    @pytest.fixture
    def size(self, bundle: Bundle) -> int:
        return bundle.input_size


@pytest.mark.parametrize(("precision", "years"), [("auto", 0.01), ("fp16", 0.01), ("int8", 0.75)])
def test_ages_are_those_of_onnx_runtime(bundle: Bundle, precision: str, years: float):
    """`auto` and `fp16` run the float32 graph, and in float32: bfloat16 would be a year off."""
    batch = pictures(8, bundle.input_size)
    wanted, found = (
        open_backend(name, bundle, precision=precision).infer(batch) for name in ("onnxruntime", "openvino")
    )
    assert np.abs((found - wanted) @ AGES).max() <= years


def test_threads_are_told(bundle: Bundle):
    assert open_backend("openvino", bundle, threads=2).device == "CPU, 2 threads, fp32"


@pytest.mark.parametrize("bad", [{"max_batch": 0}, {"threads": 0}])
def test_a_batch_or_threads_below_1_are_refused(bundle: Bundle, bad: dict[str, Any]):
    with pytest.raises(ConfigurationError, match=r"backend 'openvino': .*at least 1"):
        open_backend("openvino", bundle, **bad)


def test_a_graph_of_another_size_than_its_manifest_is_refused(bundle: Bundle):
    own = f"{bundle.input_size}, {bundle.input_size}"
    with pytest.raises(ConfigurationError, match=rf"model\.onnx: .* image uint8 \[N, {own}, 3\].* 320"):
        open_backend("openvino", replace(bundle, input_size=320))


def test_a_file_that_is_no_graph_is_refused(bundle: Bundle, tmp_path: Path):
    shutil.copyfile(BUILTIN / "manifest.json", tmp_path / "model.onnx")
    with pytest.raises(ConfigurationError, match=r"model\.onnx: OpenVINO cannot open it"):
        open_backend("openvino", replace(bundle, model_path=tmp_path / "model.onnx"))


@pytest.mark.usefixtures("absent")
def test_where_it_is_absent_it_says_what_to_install(bundle: Bundle):
    with pytest.raises(BackendError, match=r"OpenVINO is not installed .*pip install"):
        open_backend("openvino", bundle)


def test_what_fails_at_work_is_a_fault_of_the_device(bundle: Bundle, monkeypatch: pytest.MonkeyPatch):
    class Failing:
        def infer(self, *_: object, **__: object) -> None:
            raise RuntimeError("Check 'memory' failed")

    backend = open_backend("openvino", bundle)
    monkeypatch.setattr(backend, "_request", Failing())
    with pytest.raises(BackendError, match="OpenVINO failed: Check 'memory' failed") as caught:
        backend.infer(pictures(1, bundle.input_size))
    assert caught.value.reason == "lost"


def test_nothing_that_reports_to_its_maker_is_loaded():
    """`import openvino` alone imports its converter, and that reports the import over the internet."""
    code = (
        "import sys; from edge.bundle import BUILTIN, load_bundle; from edge.inference import open_backend; "
        "open_backend('openvino', load_bundle(BUILTIN)); "
        "there = [name for name, module in sys.modules.items() if module]; "
        "print([name for name in there if 'telemetry' in name or '.ovc' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
