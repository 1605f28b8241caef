"""Which way is "in" over a line, in words, for a technician who sees the picture."""

from __future__ import annotations

import math

from edge.config import LineSettings

_WAYS = ("right", "lower right", "bottom", "lower left", "left", "upper left", "top", "upper right")


def check_line(line: LineSettings) -> str:
    """The side of the picture that "in" leads to."""
    along, down = line.to[0] - line.from_[0], line.to[1] - line.from_[1]
    eighth = round(math.atan2(along, -down) / (math.pi / 4)) % 8  # the line's direction turned to its right
    footfall = "; counts as the store's footfall" if line.entrance else ""
    return f'"in" leads to the {_WAYS[eighth]} of the picture{footfall}'
