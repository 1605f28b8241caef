"""Lines and zones of a camera in words, for a technician who sees the picture."""

from __future__ import annotations

import math

from edge.config import LineSettings, ZoneSettings
from edge.config.polygons import area

_WAYS = ("right", "lower right", "bottom", "lower left", "left", "upper left", "top", "upper right")


def line_in_words(line: LineSettings) -> str:
    """The side of the picture that "in" leads to."""
    along, down = line.to[0] - line.from_[0], line.to[1] - line.from_[1]
    eighth = round(math.atan2(along, -down) / (math.pi / 4)) % 8  # the line's direction turned to its right
    footfall = "; counts as the store's footfall" if line.entrance else ""
    return f'"in" leads to the {_WAYS[eighth]} of the picture{footfall}'


def zone_in_words(zone: ZoneSettings) -> str:
    """What happens in the zone, and how much of the picture it is."""
    counted = "visits that are longest here are counted by this name"
    what = {
        "area": counted,
        "queue": f"{counted}; length and waiting time are measured",
        "ignore": "made black: nothing looks at it",
        "staff": f"people who are first seen there, or stay for {zone.staff_after:g} s, are not counted",
    }
    return f"{area(zone.polygon):.1%} of the picture; {what[zone.role]}"
