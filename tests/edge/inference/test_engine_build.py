"""Real engines, for GPUs that are not here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge.bundle import Bundle
from edge.config import Precision
from edge.errors import ConfigurationError
from edge.inference.backend import BackendError
from edge.inference.engine_build import BuildProgress, build, key_of
from edge.inference.precision import age_graph, precision_of
from edge.inference.tensorrt_library import Library


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_builds_every_variant_for_a_gpu_that_is_not_here(
    library: Library, bundle: Bundle, precision: Precision
):
    done: list[float] = []
    plan = build(
        library, age_graph(bundle, precision), max_batch=8, capability="sm89",
        on_progress=done.append,
    )  # fmt: skip
    sizes = {"fp32": 13.9e6, "fp16": 7.0e6, "int8": 3.6e6}
    assert sizes[precision] < len(plan) < 3 * sizes[precision]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 1)


@pytest.mark.parametrize("capability", ["sm75", "sm80", "sm86", "sm89", "sm120"])
def test_builds_for_every_named_gpu(library: Library, bundle: Bundle, capability: str):
    assert capability in library.capabilities()
    plan = build(library, age_graph(bundle, "fp16"), max_batch=2, capability=capability)
    assert len(plan) > 1e6


def test_turing_computes_in_float16_alone_and_that_is_said(library: Library, bundle: Bundle):
    with pytest.raises(BackendError, match=r"model\.onnx for sm75: .*Turing.*try model\.precision = 'fp16'$"):
        build(library, age_graph(bundle, "fp32"), max_batch=2, capability="sm75")


def test_a_gpu_that_it_does_not_know_is_named_with_those_that_it_does(library: Library, bundle: Bundle):
    with pytest.raises(
        ConfigurationError, match=r"'sm70': tensorrt_rtx .* cannot build for it; allowed: sm75.*8\.6 is"
    ):
        build(library, age_graph(bundle, "fp32"), max_batch=2, capability="sm70")


def test_without_a_gpu_none_is_built_for_this_machine(library: Library, bundle: Bundle):
    # A capability of its own choice, or none at all, where there is no device to ask.
    with pytest.raises(ConfigurationError, match="cannot build for it; allowed: "):
        build(library, age_graph(bundle, "fp32"), max_batch=2, capability="current")


@pytest.mark.parametrize("count", [0, -1])
def test_a_batch_of_none_is_refused(library: Library, bundle: Bundle, count: int):
    with pytest.raises(ConfigurationError, match=f"max_batch = {count}: too small; allowed: 1 or more"):
        build(library, age_graph(bundle, "fp32"), max_batch=count, capability="sm86")


def test_a_graph_of_another_shape_is_refused(library: Library, bundle: Bundle):
    size = bundle.input_size
    with pytest.raises(ConfigurationError) as caught:
        build(library, replace(age_graph(bundle, "fp32"), size=size + 16), max_batch=2, capability="sm86")
    text = str(caught.value)
    assert f"{bundle.model_path}: inputs and outputs are image UINT8 [N, {size}, {size}, 3]" in text
    assert f"its manifest names image UINT8 [N, {size + 16}, {size + 16}, 3]; age FLOAT [N, 101]" in text


def test_a_file_that_is_no_graph_is_refused(library: Library, bundle: Bundle, tmp_path: Path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\xff no protobuf")
    with pytest.raises(ConfigurationError, match=r"model\.onnx: tensorrt_rtx cannot read it: \S"):
        build(library, replace(age_graph(bundle, "fp32"), path=path), max_batch=2, capability="sm86")


def test_a_build_can_be_called_off(library: Library, bundle: Bundle):
    steps = iter(range(100))
    with pytest.raises(BackendError, match="it was cancelled") as caught:
        build(
            library, age_graph(bundle, "fp32"), max_batch=2, capability="sm86",
            cancelled=lambda: next(steps) > 2,
        )  # fmt: skip
    assert caught.value.reason == "engine"


def test_precisions_are_the_variants_of_the_bundle(bundle: Bundle):
    assert [precision_of(name, bundle) for name in ("auto", "fp32", "fp16", "int8")] == [
        "fp16", "fp32", "fp16", "int8",
    ]  # fmt: skip
    plain = replace(bundle, variants={})
    assert precision_of("auto", plain) == "fp32"
    with pytest.raises(
        ConfigurationError,
        match=r"model\.precision = 'int8': the bundle 'instore-age' lacks it; allowed: 'auto', 'fp32'$",
    ):
        precision_of("int8", plain)


def test_an_engine_for_any_driver_is_of_the_flavour_that_compiles_on_loading(
    library: Library, bundle: Bundle
):
    key = key_of(age_graph(bundle, "fp16"), library, capability="sm86", driver="13.0", max_batch=8)
    assert key.driver == "any"
    assert key.bundle == bundle.sha256
    assert key.graph != bundle.sha256
    assert key.version == library.version


def test_the_other_flavour_builds_for_this_machine_and_its_driver(library: Library, bundle: Bundle):
    other = Library("tensorrt", library.module)
    key = key_of(age_graph(bundle, "fp32"), other, capability="sm86", driver="13.0", max_batch=8)
    assert key.driver == "13.0"
    assert key.graph == key.bundle == bundle.sha256


def test_progress_counts_phases_within_phases_and_never_runs_back():
    progress = BuildProgress()
    assert progress.started("all", None, 4) == 0
    assert progress.stepped("all", 0) == 0.25
    assert progress.started("part", "all", 2) == 0.25
    assert progress.stepped("part", 0) == 0.375
    assert progress.finished("part") == 0.375
    assert progress.started("part", "all", 2) == 0.375
    assert progress.stepped("unknown", 7) == 0.375
    assert progress.stepped("all", 3) == 1
    assert progress.finished("all") == 1
