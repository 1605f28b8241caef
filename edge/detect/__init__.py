"""From a picture to the faces in it: the detector, the tiles it looks at, and the second opinion."""

from __future__ import annotations

from edge.detect.base import FaceDetector
from edge.detect.opinion import Opinion, SecondOpinion, Verdict
from edge.detect.scan import Scanner
from edge.detect.shared import SharedDetectors
from edge.detect.tiles import plan_tiles

__all__ = ["FaceDetector", "Opinion", "Scanner", "SecondOpinion", "SharedDetectors", "Verdict", "plan_tiles"]
