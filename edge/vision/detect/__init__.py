"""From a picture to the faces in it: the detectors, and the tiles in which they search."""

from __future__ import annotations

from edge.vision.detect.detector import FaceDetector
from edge.vision.detect.engines import detectors_on, engine_of, faults_of, wants_gpu
from edge.vision.detect.scan import Scanner, why_too_small
from edge.vision.detect.shared import SharedDetectors
from edge.vision.detect.tiles import plan_tiles, tile_side

__all__ = [
    "FaceDetector",
    "Scanner",
    "SharedDetectors",
    "detectors_on",
    "engine_of",
    "faults_of",
    "plan_tiles",
    "tile_side",
    "wants_gpu",
    "why_too_small",
]
