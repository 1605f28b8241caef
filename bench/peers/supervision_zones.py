"""`supervision`'s LineZone and PolygonZone on the boxes of a file that `bench.peers.zones` wrote.

    FOLDER/supervision/bin/python bench/peers/supervision_zones.py BOXES.json

Every case is counted twice: with `supervision`'s own ByteTrack, and with our tracks. Both zones trigger on
the middle of a box, as ours do. Needs nothing of InStore; prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv

MIDDLE = (sv.Position.CENTER,)
ENTERED = 1.0  # seconds in a zone that make an entry, as ours

Case = dict[str, Any]


def detections(frame: Case) -> sv.Detections:
    """The boxes of one frame."""
    boxes = np.array(frame["boxes"], float).reshape(-1, 4)
    scores = np.array(frame["scores"], float)
    return sv.Detections(boxes, confidence=scores, class_id=np.zeros(len(boxes), int))


def tracked(case: Case, frame: Case, tracker: sv.ByteTrack | None) -> sv.Detections:
    """The boxes with ids: those of the tracker, or ours where there is none."""
    found = detections(frame)
    if tracker is not None:
        return tracker.update_with_detections(found)
    ids = np.array([-1 if one is None else one for one in frame["ids"]], int)
    found.tracker_id = ids
    return found[ids >= 0]


def counted(case: Case, tracker: sv.ByteTrack | None) -> dict[str, float]:
    """Passages, entries and seconds in the zone of one case."""
    # Its "in" is to the left of start -> end where the picture's y goes down; ours is to the right.
    end, start = (sv.Point(*point) for point in case["line"]) if case["line"] else (None, None)
    line = sv.LineZone(start, end, triggering_anchors=MIDDLE) if start else None
    zone = sv.PolygonZone(np.array(case["zone"], int), triggering_anchors=MIDDLE) if case["zone"] else None
    frames: Counter[int] = Counter()
    for frame in case["frames"]:
        found = tracked(case, frame, tracker)
        if line is not None:
            line.trigger(found)
        if zone is not None:
            frames.update(map(int, found.tracker_id[zone.trigger(found)]))
    seconds = {who: number / case["fps"] for who, number in frames.items()}
    return {
        "in": line.in_count if line else 0,
        "out": line.out_count if line else 0,
        "entries": sum(some >= ENTERED for some in seconds.values()),
        "seconds": sum(some for some in seconds.values() if some >= ENTERED),
    }


def main(path: str) -> None:
    cases = json.loads(Path(path).read_text(encoding="utf-8"))
    found = {
        case["name"]: {
            "bytetrack": counted(case, sv.ByteTrack(frame_rate=max(1, round(case["fps"])))),
            "ours": counted(case, None),
        }
        for case in cases
    }
    print(json.dumps({"version": sv.__version__, "cases": found}))


if __name__ == "__main__":
    main(sys.argv[1])
