"""Shares of the age brackets, corrected for the age model's confusions, with intervals."""

from edge.correct.calibration import Calibration
from edge.correct.estimate import FEWEST, LEVEL, METHOD, Estimate, Share, estimate
from edge.correct.observed import Observed

__all__ = ["FEWEST", "LEVEL", "METHOD", "Calibration", "Estimate", "Observed", "Share", "estimate"]
