"""Which precision a setting stands for, the graph that computes in it, and what 8 bits gain on this CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.config import Precision
from edge.errors import ConfigurationError
from edge.inference.backend import AGE_OUTPUTS, PRECISIONS, Graph

EIGHT_BIT = ("amx_int8", "avx512_vnni", "avx_vnni")
"""CPU flags of x86 instructions that multiply and add 8-bit integers in one step."""

CPUINFO = Path("/proc/cpuinfo")

SUM_TOLERANCE = 0.02
"""Largest difference of a softmax's sum from 1; beyond it the results of a device are wrong."""


def precision_of(setting: str, bundle: Bundle) -> Precision:
    """The precision that a setting stands for; `auto` is fp16 where the bundle has it, else fp32.

    Raises ConfigurationError on a precision that the bundle lacks.
    """
    if setting == "auto":
        return "fp16" if "fp16" in bundle.variants else "fp32"
    for known in PRECISIONS:
        if setting == known and (known == "fp32" or known in bundle.variants):
            return known
    allowed = ", ".join(map(repr, ("auto", "fp32", *sorted(bundle.variants))))
    raise ConfigurationError(
        f"model.precision = {setting!r}: the bundle {bundle.name!r} lacks it; allowed: {allowed}"
    )


def cpu_precision(setting: str, bundle: Bundle) -> Precision:
    """The precision that a CPU computes in at this setting: int8 where it is named, else fp32.

    Float16 is slower than float32 on a CPU, see bench/results/bench.md. Raises as `precision_of`.
    """
    return "int8" if precision_of(setting, bundle) == "int8" else "fp32"


def graph_of(bundle: Bundle, precision: Precision) -> Path:
    """The ONNX file of this precision."""
    return bundle.model_path if precision == "fp32" else bundle.variants[precision]


def age_graph(bundle: Bundle, precision: Precision) -> Graph:
    """The age model in this precision, as engines are built of it."""
    path = graph_of(bundle, precision)
    return Graph(path, bundle.sha256, precision, bundle.input_size, AGE_OUTPUTS, _no_probabilities)


def _no_probabilities(found: NDArray[np.float32]) -> str:
    sums = np.abs(found.sum(axis=1) - 1)
    return "" if np.all(sums < SUM_TOLERANCE) else "values that are not probabilities"  # NaN fails as well


def gain_of_int8(cpuinfo: Path = CPUINFO) -> str:
    """What int8 gains on this CPU, for a person. cpuinfo: the kernel's list of the CPU's flags."""
    try:
        words = set(cpuinfo.read_text(encoding="utf-8").split())
    except OSError:
        return "the flags of this CPU are not known: compare int8 with fp32"
    if has := [flag for flag in EIGHT_BIT if flag in words]:
        return f"this CPU gains from int8 ({', '.join(has)})"
    return "this CPU gains little from int8 on onnxruntime and more on openvino (no VNNI, no AMX)"
