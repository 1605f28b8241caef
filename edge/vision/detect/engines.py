"""Which library runs MediaPipe's face networks."""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import partial
from typing import Literal

from edge.inference.backend import Backend
from edge.vision.detect.detector import FaceDetector
from edge.vision.detect.networks import Range

Engine = Literal["mediapipe", "onnxruntime"]
"""On the CPU; a GPU is used where `wants_gpu` says so and `served` has shown that it works."""

SHOWN = ("x86_64", "AMD64")
"""Machines on which the contract suite was passed: both libraries find the same faces there."""


def engine_of(setting: str, machine: str | None = None) -> Engine:
    """What finds the faces without a GPU; "auto" is the faster that finds the same faces.

    setting: `detection.engine`. machine: as `platform.machine` names it; this one by default.
    """
    if setting == "auto":
        setting = "onnxruntime" if (machine or platform.machine()) in SHOWN else "mediapipe"
    return "mediapipe" if setting == "mediapipe" else "onnxruntime"


def wants_gpu(setting: str, machine: str | None = None) -> bool:
    """Whether a GPU is looked for: for "auto" where ONNX Runtime, with which it is compared, may be used."""
    return setting == "tensorrt" or (setting == "auto" and engine_of(setting, machine) == "onnxruntime")


def faults_of(engine: Engine) -> tuple[type[Exception], ...]:
    """What this engine's library raises where it fails, as for want of memory."""
    if engine == "onnxruntime":
        from edge.inference.onnxruntime import FAULTS

        return FAULTS
    return RuntimeError, ValueError


def detectors_on(engine: Engine, served: Backend | None = None) -> Callable[[Range, float], FaceDetector]:
    """Opens a detector from its range and the least score of a face, 0..1.

    served: runs both networks for all cameras, instead of the engine. Only this engine's library is imported.
    """
    if served is not None:
        from edge.vision.detect.onnx import NetworkDetector

        return partial(NetworkDetector, served)
    if engine == "onnxruntime":
        from edge.vision.detect.onnx import OnnxDetector

        return OnnxDetector
    from edge.vision.detect.mediapipe import MediaPipeDetector

    return MediaPipeDetector
