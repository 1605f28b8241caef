"""Lines and zones on recordings, and what a person sees there: passages, entries and the time in the zone.

The truth was written down from the pictures of each clip before anything was measured on it, and nothing in
the project was fitted to it. Once it was wrong: on small pictures of the crowd a woman behind the boy was
overlooked, whom the measure found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge.types import Passages

Corners = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A clip with a line and a zone, in fractions of the picture, and what is true of them.

    clip: a path below the folder of clips. line: from, to; "in" is to the right of it. zone: left, top,
    right, bottom. entries: persons who were in the zone for a second or longer; seconds: their time there,
    summed; one person's time is right to half a second. seen: what can be seen, in a sentence.
    """

    clip: str
    line: tuple[tuple[float, float], tuple[float, float]]
    zone: tuple[float, float, float, float]
    passed: Passages
    entries: int
    seconds: float
    seen: str

    @property
    def settings(self) -> dict[str, Any]:
        """The camera's line and zone, a queue, as the configuration has them."""
        left, top, right, bottom = self.zone
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        return {
            "lines": [{"name": "line", "from": list(self.line[0]), "to": list(self.line[1])}],
            "zones": [{"name": "zone", "role": "queue", "polygon": [list(corner) for corner in corners]}],
        }


def _upright(x: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """A line from the lower to the upper edge: "in" is towards the right."""
    return (x, 1.0), (x, 0.0)


PLACES = (
    Place(
        "corridor-three.gif", _upright(0.73), (0.0, 0.0, 0.35, 1.0), Passages(1, 0), 1, 3.3,
        "three walk up; the one on the right passes the line, the one on the left is in the zone",
    ),
    Place(
        "one-woman.gif", _upright(0.7), (0.3, 0.0, 0.7, 1.0), Passages(), 1, 1.8,
        "one stands in the zone and turns her head from side to side",
    ),
    Place(
        "crowd.mp4", _upright(0.3), (0.4, 0.0, 0.56, 1.0), Passages(1, 1), 2, 8.4,
        "one walks up over the line, one in profile crosses it, and the zone in 0.4 s; two are in the zone",
    ),
    Place(
        "field/hall-overhead.mp4", _upright(0.5), (0.2, 0.2, 0.8, 0.8), Passages(), 0, 0.0,
        "dozens cross a hall, seen from above: nobody shows a face",
    ),
    Place(
        "field/queue.mp4", _upright(0.8), (0.45, 0.0, 0.85, 1.0), Passages(5, 0), 6, 26.0,
        "six stand at the front, one after the other; five of them leave to the right",
    ),
    Place(
        "field/supermarket.mp4", ((0.5, 1.0), (0.5, 0.3)), (0.65, 0.2, 0.85, 0.75), Passages(), 1, 13.9,
        "nobody passes between the tills; a cashier, mostly in profile and looking down, is in the zone",
    ),
    Place(
        "field/office-three.mp4", _upright(0.44), (0.45, 0.0, 1.0, 0.6), Passages(), 2, 21.4,
        "three stay where they are, two of them in the zone; one of these drinks from a mug",
    ),
    Place(
        "field/jumping-seven.mp4", _upright(0.8), (0.44, 0.0, 0.8, 1.0), Passages(), 3, 5.8,
        "seven jump where they are, three of them in the zone",
    ),
    Place(
        "field/classroom.gif", _upright(0.4), (0.55, 0.0, 0.8, 1.0), Passages(), 1, 2.7,
        "four sit, one of them in the zone, who turns aside for a second",
    ),
)  # fmt: skip
