"""What the tests of TensorRT begin with: the real library, the real bundle, a pretended GPU."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edge.bundle import BUILTIN, Bundle, load_bundle
from edge.inference import reference_check
from edge.inference.cuda import Cuda
from edge.inference.engine_build import build
from edge.inference.precision import age_graph, graph_of
from edge.inference.tensorrt_library import RTX, Library, load_library
from tests.edge.inference.contract import MAX_BATCH
from tests.fake_gpu import FakeCuda, FakeTensorRt

HAS_WHEELS = sys.platform == "linux" and platform.machine() == "x86_64"


@pytest.fixture(scope="session", autouse=True)
def drawn_once() -> Iterator[None]:
    """Every engine that a test opens is asked about the same faces, so each is drawn once."""
    draw, drawn = reference_check._face, {}

    def face(rng: np.random.Generator) -> np.ndarray:
        seeded = rng.bit_generator.state["state"]["state"]
        if seeded not in drawn:
            drawn[seeded] = draw(rng)
            drawn[seeded].setflags(write=False)
        return drawn[seeded]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference_check, "_face", face)
        yield


@pytest.fixture(scope="session")
def library() -> Library:
    """TensorRT for RTX. It is part of the tests' environment wherever its wheels exist."""
    if not HAS_WHEELS:
        pytest.skip("TensorRT for RTX has no wheels for this machine")
    return load_library(RTX)


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return load_bundle(BUILTIN)


@pytest.fixture(scope="session")
def plan(library: Library, bundle: Bundle) -> bytes:
    """A real engine for a GPU that is not here."""
    return build(library, age_graph(bundle, "fp16"), max_batch=MAX_BATCH, capability="sm86")


@pytest.fixture
def runtime(library: Library) -> FakeCuda:
    return FakeCuda(importlib.import_module("cuda.bindings.runtime"))


@pytest.fixture
def cuda(runtime: FakeCuda) -> Cuda:
    return Cuda(runtime)


@pytest.fixture
def trt(library: Library, runtime: FakeCuda, bundle: Bundle) -> FakeTensorRt:
    return FakeTensorRt(library.module, runtime, graph_of(bundle, "fp16"), max_batch=MAX_BATCH)


@pytest.fixture
def pretended(trt: Any) -> Library:
    """The real library, but for what needs a device."""
    return Library(RTX, trt)
