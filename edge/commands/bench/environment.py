"""The machine and the versions that measured times depend on."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edge import __version__
from edge.inference.backend import BackendError
from edge.inference.cuda import Cuda

PACKAGES = ("mediapipe", "opencv-python", "onnxruntime", "numpy", "scipy")
"""Packages whose versions the times depend on."""

GPU_PACKAGES = ("cuda-bindings", "tensorrt", "tensorrt-rtx-cu13-bindings")
"""The same on a machine with a GPU, where they are installed."""


def environment() -> dict[str, Any]:
    """The machine and the versions of the packages."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "instore-analytics": __version__,
        **{name: version(name) for name in PACKAGES},
        **_gpu(),
    }


def _gpu() -> dict[str, str]:
    """The GPU and the versions of its packages; empty without a GPU."""
    try:
        gpu = Cuda().gpu()
    except BackendError:
        return {}
    found = {"gpu": f"{gpu.name} ({gpu.capability}), driver for CUDA {gpu.driver}"}
    for name in GPU_PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
