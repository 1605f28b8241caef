"""Is this box really a face that looks at the camera, and where exactly?"""

from __future__ import annotations

from edge.vision.second_opinion.examine import Opinion, SecondOpinion
from edge.vision.second_opinion.face_check import FaceCheck, NetworkCheck, network_check
from edge.vision.second_opinion.verdict import FaceVerdict

__all__ = ["FaceCheck", "FaceVerdict", "NetworkCheck", "Opinion", "SecondOpinion", "network_check"]
