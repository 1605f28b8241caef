"""`engine build`: real engines, checked as far as this machine goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.bundle import Bundle
from edge.cli import main
from edge.commands.engine import build
from edge.commands.engine.build import build_engines
from edge.commands.engine.report import render
from edge.errors import ConfigurationError
from edge.inference import tensorrt
from edge.inference.backend import BackendError, Graph
from edge.inference.cuda import Cuda
from edge.inference.engine_build import build as compile_graph
from edge.inference.engine_store import KEPT, EngineStore
from edge.inference.precision import age_graph
from edge.inference.reference_check import Difference
from edge.inference.tensorrt import open_engine
from edge.inference.tensorrt_library import RTX, Library
from edge.ops.reasons import BackendFault
from edge.vision.detect.same_faces import PICTURES, FaceDifference
from edge.vision.detect.served import open_faces
from tests.edge.inference.contract import MAX_BATCH
from tests.fake_gpu import FakeCuda, FakeTensorRt


@pytest.fixture
def no_gpu(runtime: FakeCuda) -> Callable[[], Cuda]:
    runtime.driver = 0
    return lambda: Cuda(runtime)


@pytest.fixture
def with_gpu(cuda: Cuda, pretended: Library, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Cuda]:
    monkeypatch.setattr(build, "libraries", lambda: iter([pretended]))
    return lambda: cuda


_PLANS: dict[tuple[object, ...], bytes] = {}


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what becomes of an engine: each is compiled by the first of them that wants it."""

    def build_once(library: Library, graph: Graph, **how: Any) -> bytes:
        pretended = isinstance(library.module, FakeTensorRt)  # which remembers what a plan computes
        key = (pretended, graph.path.read_bytes(), how["max_batch"], how["capability"])
        if key not in _PLANS:
            _PLANS[key] = compile_graph(library, graph, **how)
        return _PLANS[key]

    monkeypatch.setattr(build, "build", build_once)


def test_builds_for_named_gpus_and_says_that_they_never_ran(
    library: Library, bundle: Bundle, no_gpu: Callable[[], Cuda], tmp_path: Path
):
    seen: dict[str, float] = {}
    built = build_engines(
        bundle, EngineStore(tmp_path), capabilities=["sm86", "sm89"], precisions=["fp16", "int8"],
        cuda=no_gpu, on_progress=lambda step, done, total=None: seen.update({step: done}),
    )  # fmt: skip
    networks = ["age fp16", "age int8", "far fp32", "near fp32"]
    names = [f"{network} {capability}" for network in networks for capability in ("sm86", "sm89")]
    assert [str(one) for one in built] == names
    assert seen == dict.fromkeys(names, 100)
    for one in built:
        assert one.engine is None
        assert "no GPU here: no NVIDIA driver is loaded" in one.not_run
        assert Path(one.file).stat().st_size > one.bytes > 1e6
    assert built[0].graph == built[1].graph
    half, eight = built[0].graph, built[2].graph
    assert half is not None
    assert eight is not None
    assert 0 < half.years < 0.5  # float16
    assert half.years < eight.years < 2  # 8 bits
    assert [one.graph for one in built[4:]] == [None] * 4  # these are float32 themselves


@pytest.mark.usefixtures("once")
def test_what_was_built_is_what_a_box_looks_for(
    bundle: Bundle, pretended: Library, cuda: Cuda, trt: FakeTensorRt, tmp_path: Path
):
    trt.cuda.driver = 0
    build_engines(
        bundle, EngineStore(tmp_path), capabilities=["sm86"], max_batch=MAX_BATCH, cuda=lambda: cuda
    )
    (path,) = tmp_path.glob("fp16-*")
    shipped = path.read_bytes()
    trt.cuda.driver = 13000
    box = EngineStore(tmp_path / "state", [tmp_path])
    open_engine(
        age_graph(bundle, "fp16"), pretended, cuda, cuda.gpu(), agree=lambda what, backend: None,
        max_batch=MAX_BATCH, store=box,
    )  # fmt: skip
    assert shipped.endswith(trt.judged[0])
    assert [file.suffix for file in (tmp_path / "state").iterdir()] == [".kernels"]


@pytest.mark.usefixtures("once")
def test_what_was_built_are_the_faces_engines_that_a_box_looks_for(
    bundle: Bundle, with_gpu: Callable[[], Cuda], trt: FakeTensorRt, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    built = build_engines(bundle, EngineStore(tmp_path), max_batch=MAX_BATCH, cuda=with_gpu)
    monkeypatch.setattr(tensorrt, "Cuda", with_gpu)
    monkeypatch.setattr(tensorrt, "libraries", lambda: iter([Library(RTX, trt)]))
    trt.judged.clear()
    open_faces(EngineStore(tmp_path / "state", [tmp_path])).close()
    assert [file.suffix for file in (tmp_path / "state").iterdir()] == [".kernels"] * 2
    assert [
        Path(one.file).read_bytes().endswith(plan) for one, plan in zip(built[1:], trt.judged, strict=True)
    ]


@pytest.mark.usefixtures("once")
def test_runs_the_engine_where_the_gpu_is_of_its_kind(
    bundle: Bundle, with_gpu: Callable[[], Cuda], tmp_path: Path, runtime: FakeCuda
):
    built = build_engines(
        bundle, EngineStore(tmp_path), capabilities=["sm86", "sm89"], max_batch=MAX_BATCH, cuda=with_gpu
    )
    (ages, far, near), others = built[::2], built[1::2]
    assert isinstance(ages.engine, Difference)
    assert ages.graph is not None
    assert ages.engine.years == pytest.approx(ages.graph.years, abs=1e-3)
    for faces in (far, near):
        assert isinstance(faces.engine, FaceDifference)
        assert faces.engine.is_same
        assert faces.engine.faces >= 2 * PICTURES  # and the faint ones that the second opinion asks for
    for one in (ages, far, near):
        assert one.not_run == ""
    for other in others:
        assert other.engine is None
        assert other.not_run == "the GPU here is sm86"
    assert runtime.held == 0
    alone = build_engines(bundle, EngineStore(tmp_path), max_batch=MAX_BATCH, cuda=with_gpu)
    assert [(one.capability, one.file) for one in alone] == [("sm86", one.file) for one in (ages, far, near)]


@pytest.mark.usefixtures("once")
def test_an_engine_beyond_the_tolerance_is_refused_and_not_kept(
    bundle: Bundle, with_gpu: Callable[[], Cuda], tmp_path: Path, trt: FakeTensorRt
):
    trt.wrong = lambda found: np.roll(found, 1, axis=1)
    with pytest.raises(
        BackendError,
        match=r"for sm86: ages differ by \d\.\d\d years .* at most 0\.5.*the far network finds.*the near",
    ):
        build_engines(bundle, EngineStore(tmp_path), max_batch=MAX_BATCH, cuda=with_gpu)
    assert list(tmp_path.iterdir()) == []


def test_a_variant_that_is_another_model_is_refused_without_a_gpu(
    library: Library, bundle: Bundle, no_gpu: Callable[[], Cuda], tmp_path: Path
):
    mixed = replace(bundle, variants={"fp16": bundle.variants["int8"]})
    with pytest.raises(BackendError, match=r"model\.int8\.onnx: ages differ by 0\.\d\d years from float32"):
        build_engines(mixed, EngineStore(tmp_path), capabilities=["sm86"], cuda=no_gpu)
    assert list(tmp_path.glob("fp16-*")) == []


def test_without_a_gpu_somebody_must_name_one(
    library: Library, bundle: Bundle, no_gpu: Callable[[], Cuda], tmp_path: Path
):
    with pytest.raises(
        ConfigurationError, match=r"--for: not given, and there is no GPU .*\(no NVIDIA driver.*--for sm86"
    ):
        build_engines(bundle, EngineStore(tmp_path), cuda=no_gpu)


def test_an_unknown_gpu_is_refused_before_anything_is_built(
    library: Library, bundle: Bundle, no_gpu: Callable[[], Cuda], tmp_path: Path
):
    with pytest.raises(ConfigurationError, match="'sm90': tensorrt_rtx"):
        build_engines(bundle, EngineStore(tmp_path), capabilities=["sm86", "sm90"], cuda=no_gpu)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("once")
def test_one_that_cannot_be_built_keeps_none_of_the_others(
    library: Library, bundle: Bundle, no_gpu: Callable[[], Cuda], tmp_path: Path
):
    with pytest.raises(
        BackendError,
        match=r"int8\.onnx for sm75: .*; built: age fp16 sm75, age fp16 sm86, age int8 sm86, far fp",
    ):
        build_engines(
            bundle, EngineStore(tmp_path), capabilities=["sm75", "sm86"], precisions=["fp16", "int8"],
            cuda=no_gpu,
        )  # fmt: skip
    names = sorted(path.name[:9] for path in tmp_path.iterdir() if not path.name.startswith("fp32"))
    assert names == ["fp16-sm75", "fp16-sm86", "int8-sm86"]


@pytest.mark.usefixtures("once")
def test_the_command_removes_nothing_from_a_folder_that_it_is_given(library: Library, tmp_path: Path):
    for number in range(KEPT + 1):
        (tmp_path / f"{number}.engine").write_text("of another bundle")
    assert main(["engine", "build", "--for", "sm86", "--out", str(tmp_path)]) == 0
    assert len(list(tmp_path.iterdir())) == KEPT + 1 + 3


def test_no_library_to_build_with(
    bundle: Bundle, no_gpu: Callable[[], Cuda], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    absent = [
        BackendError(BackendFault.LIBRARY, f"{name} is not installed")
        for name in ("tensorrt", "tensorrt_rtx")
    ]
    monkeypatch.setattr(build, "libraries", lambda: iter(absent))
    with pytest.raises(
        BackendError, match="no TensorRT can build this: tensorrt is not installed; tensorrt_rtx is not"
    ):
        build_engines(bundle, EngineStore(tmp_path), capabilities=["sm86"], cuda=no_gpu)


def test_tensorrt_builds_for_no_other_machine(
    library: Library, bundle: Bundle, cuda: Cuda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = Library("tensorrt", library.module)
    absent = BackendError(BackendFault.LIBRARY, "tensorrt_rtx is not installed")
    monkeypatch.setattr(build, "libraries", lambda: iter([other, absent]))
    with pytest.raises(
        BackendError, match=r"tensorrt .* builds for the GPU of this machine only; tensorrt_rtx"
    ):
        build_engines(bundle, EngineStore(tmp_path), capabilities=["sm89"], cuda=lambda: cuda)


def test_the_command_writes_json(library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["engine", "build", "--for", "sm86", "--out", str(tmp_path / "new"), "--json"]) == 0
    report, far, near = json.loads(capsys.readouterr().out)
    assert [one["network"] for one in (report, far, near)] == ["age", "far", "near"]
    assert (report["precision"], report["capability"], report["flavour"]) == ("fp16", "sm86", "tensorrt_rtx")
    assert report["seconds"] > 0
    assert report["graph"]["crops"] == 32
    assert Path(report["file"]).parent == tmp_path / "new"
    if report["engine"] is None:
        assert report["not_run"]


@pytest.mark.usefixtures("once")
def test_the_command_tells_a_person_what_never_ran(
    library: Library, bundle: Bundle, no_gpu: Callable[[], Cuda], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    render(build_engines(bundle, EngineStore(tmp_path), capabilities=["sm89"], cuda=no_gpu))
    text = " ".join(capsys.readouterr().out.split())
    assert "age fp16 sm89" in text
    assert "0.09 years no" in text
    assert "near fp32 sm89" in text
    assert "itself no" in text
    assert "not run: there is no GPU here: no NVIDIA driver is loaded" in text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["--for", "86"],
            "'86' is not a compute capability; separate several with commas, such as sm86,sm89",
        ),
        (["--for", "sm86,"], "'' is not a compute capability"),
        (["--precision", "fp8"], "'fp8' is not a precision; allowed: auto, fp32, fp16, int8"),
    ],
)
def test_bad_usage_is_told(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main(["engine", "build", *arguments])
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err
