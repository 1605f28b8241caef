"""Which library runs MediaPipe's face networks."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Literal

from edge.vision.detect.detector import FaceDetector
from edge.vision.detect.networks import Range

Engine = Literal["mediapipe", "onnxruntime"]

SHOWN = ("x86_64", "AMD64")
"""Machines on which the contract suite was passed: both libraries find the same faces there."""


def engine_of(setting: str, machine: str | None = None) -> Engine:
    """The engine that `detection.engine` stands for; "auto" is the faster that finds the same faces.

    machine: as `platform.machine` names it; this one by default.
    """
    if setting == "auto":
        setting = "onnxruntime" if (machine or platform.machine()) in SHOWN else "mediapipe"
    return "onnxruntime" if setting == "onnxruntime" else "mediapipe"


def faults_of(engine: Engine) -> tuple[type[Exception], ...]:
    """What this engine's library raises where it fails, as for want of memory."""
    if engine == "onnxruntime":
        from edge.inference.onnxruntime import FAULTS

        return FAULTS
    return RuntimeError, ValueError


def detectors_on(engine: Engine) -> Callable[[Range, float], FaceDetector]:
    """Opens a detector from its range and the least score of a face, 0..1.

    Only this engine's library is imported.
    """
    if engine == "onnxruntime":
        from edge.vision.detect.onnx import OnnxDetector

        return OnnxDetector
    from edge.vision.detect.mediapipe import MediaPipeDetector

    return MediaPipeDetector
