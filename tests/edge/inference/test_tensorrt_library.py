from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import pytest

from edge.inference.backend import BackendError
from edge.inference.tensorrt_library import RTX, Library, libraries, load_library


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A module on the path with the given text; its name."""
    name = "pretended_tensorrt"
    (tmp_path / f"{name}.py").write_text(request.param)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def fault(flavour: str, module: str) -> str:
    with pytest.raises(BackendError) as caught:
        load_library(flavour, [module])
    assert caught.value.reason == "library"
    return str(caught.value)


def test_tells_what_it_is_and_builds_for(library: Library):
    assert library.flavour == RTX
    assert library.version.startswith("1.")
    assert {"sm86", "sm89"} <= set(library.capabilities())
    assert library.for_others


def test_a_library_that_is_not_installed():
    assert fault("tensorrt", "no_such_module") == "tensorrt is not installed"


@pytest.mark.parametrize(
    "module", ["raise ImportError('libnvinfer.so.10: cannot open shared object file')"], indirect=True
)
def test_bindings_without_their_libraries(module: str):
    assert "is installed but does not load (libnvinfer.so.10" in fault(RTX, module)


@pytest.mark.parametrize("module", ["import a_part_that_is_missing"], indirect=True)
def test_bindings_that_miss_another_package(module: str):
    assert "does not load (No module named 'a_part_that_is_missing'); install its libraries" in fault(
        RTX, module
    )


@pytest.mark.parametrize("module", ["__version__ = '8.6.1'\nBuilder = None"], indirect=True)
def test_a_version_that_is_too_old(module: str):
    assert "is version 8.6.1; needed: 10 or newer" in fault("tensorrt", module)


@pytest.mark.parametrize("module", ["__version__ = '10.3'"], indirect=True)
def test_a_package_that_is_but_a_name(module: str):
    assert "is installed but is not TensorRT: pip install" in fault("tensorrt", module)


WITHOUT = """
from tensorrt_rtx_bindings import *
__version__ = "10.0.1"
class IExecutionContext:
    execute_async_v3 = 1
"""


@pytest.mark.parametrize("module", [WITHOUT], indirect=True)
def test_a_version_without_what_is_used_of_it(library: Library, module: str):
    text = fault("tensorrt", module)
    assert "is version 10.0.1 and lacks IExecutionContext.set_device_memory" in text
    assert "IExecutionContext.execute_async_v3" not in text


@pytest.mark.parametrize(("told", "reason"), [("CUDA: out of memory", "memory"), ("unknown error", "lost")])
def test_bindings_that_give_nothing_are_told(library: Library, told: str, reason: str):
    """A factory that returns a null pointer is a TypeError to Python: it must not end the daemon."""

    class Module:
        ILogger, __version__ = library.module.ILogger, library.version

        @staticmethod
        def Runtime(logger: Any) -> None:  # noqa: N802 (TensorRT's name)
            logger.log(library.module.ILogger.ERROR, told)
            raise TypeError("pybind11::init(): factory function returned nullptr")

    with pytest.raises(BackendError, match=rf"tensorrt cannot make a Runtime \({told}\)") as caught:
        Library("tensorrt", Module).make("Runtime")
    assert caught.value.reason == reason


def test_no_garbage_is_collected_while_the_library_holds_its_lock(library: Library):
    """A collection that destroys an older runtime in a message of the library waits for it without end."""
    enabled = []

    class Module:
        ILogger, __version__ = library.module.ILogger, library.version

        @staticmethod
        def Runtime(logger: Any) -> object:  # noqa: N802 (TensorRT's name)
            enabled.append(gc.isenabled())
            return logger

    Library("tensorrt", Module).make("Runtime")
    assert enabled == [False]
    assert gc.isenabled()


@pytest.mark.parametrize(
    "module", ["from tensorrt_rtx_bindings import *\n__version__ = '10.9'"], indirect=True
)
def test_the_other_flavour_builds_for_this_machine_alone(library: Library, module: str):
    other = load_library("tensorrt", [module])
    assert not other.for_others
    assert other.capabilities() == ()


def test_all_flavours_are_tried_in_order(library: Library):
    first, second = libraries()
    assert str(first) == "tensorrt is not installed"
    assert isinstance(second, Library)


def test_complaints_are_kept_until_something_new_begins(library: Library):
    library.listen()
    library.logger.log(library.module.ILogger.ERROR, "it is broken")
    library.logger.log(library.module.ILogger.INFO, "it is fine")
    assert library.complaint() == "it is broken"
    library.listen()
    assert library.complaint() == "it gives no reason"
