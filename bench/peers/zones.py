"""Lines and zones of InStore and of `supervision`, on the same boxes, beside the truth.

    bench/peers/make.sh FOLDER supervision
    .venv/bin/python -m bench.peers.zones --environments FOLDER [--scenes 40] [--clips DIR]

Walks whose truth is known by construction (`bench.walks`, `bench.dwell`) and recordings with the truth by eye
(`bench.recordings`). `supervision` gets the boxes that our detector found, once with its own ByteTrack and
once with our tracks. Writes OUT.json and OUT.md, which hold sums and no boxes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench import dwell, walks
from bench.material import CLIPS
from bench.provenance import add_out, commit, keep, rounded
from bench.recordings import PLACES, Place
from bench.run import step
from bench.tables import table
from bench.trackers import HEIGHT, WIDTH, Rng, Scene, look
from edge.bundle import bundle_folder, load_bundle
from edge.capture import Feed, open_source
from edge.clock import SystemClock
from edge.commands.bench.stage_times import one_opencv_thread
from edge.config import CameraSettings, Settings, load_settings
from edge.ops.metrics import Metrics
from edge.quantities import QUEUE, ZONES
from edge.types import Faces, Frame, Message, Track, TrackEnded, TrackState
from edge.vision.clothes import Colours
from edge.vision.pipeline import Vision, VisionResult, build_detection
from edge.vision.second_opinion import network_check
from edge.vision.track import Tracker
from edge.vision.track.blocks import Blocks
from edge.vision.zones import ENTERED

COUNTERS = ("truth", "InStore", "bytetrack", "ours")
"""Of each case. bytetrack, ours: `supervision`, by whose tracks it counts."""

Counts = dict[str, float]
Case = dict[str, Any]
Report = dict[str, Any]


@dataclass(frozen=True)
class Played:
    """One scene or clip: the boxes for the peer, what is true, and what InStore counts."""

    case: Case
    truth: Counts
    ours: Counts


def seen(faces: Faces, tracks: Sequence[Track]) -> Case:
    """The boxes of one frame, and the ids of our confirmed tracks, None where a box has none."""
    ids: list[int | None] = [None] * len(faces)
    for track in tracks:
        if track.face is not None and track.state is TrackState.CONFIRMED:
            ids[track.face] = track.track_id
    return {"boxes": faces.xyxy.tolist(), "scores": faces.score.tolist(), "ids": ids}


def followed(scene: Scene, rng: Rng, worn: Callable[..., Colours | None]) -> list[Case]:
    """The frames of a drawn scene, and the tracks that our tracker makes of them."""
    tracker = Tracker()
    return [
        seen(frame.faces, tracker.update(frame.faces, frame.at, worn(frame, rng)))
        for frame in look(scene, rng)
    ]


def _walk(number: int) -> Played:
    scene = walks.walks(rng := np.random.default_rng((0, number)))
    frames = followed(scene.scene, rng, scene.worn)
    again = walks.walks(rng := np.random.default_rng((0, number)))  # the same noise once more
    counted = walks.counted(again, rng)
    (line,) = scene.camera.lines
    case = _case(
        f"walk {number}", scene.scene.fps, frames, line=_pixels((line.from_, line.to), (WIDTH, HEIGHT))
    )
    truth = {"in": float(scene.truth[True]), "out": float(scene.truth[False])}
    return Played(case, truth, {"in": counted[True], "out": counted[False]})


def _stay(number: int) -> Played:
    scene = dwell.walks(rng := np.random.default_rng((0, number)))
    frames = followed(scene.scene, rng, lambda *_: None)
    again = dwell.walks(rng := np.random.default_rng((0, number)))
    found = [seconds for of_visitor in dwell.measured(again, rng) for seconds in of_visitor]
    (zone,) = scene.camera.zones
    case = _case(f"stay {number}", scene.scene.fps, frames, zone=_pixels(zone.polygon, (WIDTH, HEIGHT)))
    return Played(case, _entered(scene.truth), _entered(found))


def _entered(seconds: Sequence[float]) -> Counts:
    long = [some for some in seconds if some >= ENTERED.total_seconds()]
    return {"entries": len(long), "seconds": sum(long)}


class Watching(Vision):
    """Vision that keeps the boxes and tracks of every frame, and the size of the last one."""

    def begin(self) -> None:
        self.frames: list[Case] = []
        self.size = (1, 1)

    def process(self, frame: Frame) -> VisionResult:
        self.size = frame.image.shape[1], frame.image.shape[0]
        return super().process(frame)

    def _follow(
        self, faces: Faces, at: datetime, *clothes: Colours, blocks: Blocks | None = None
    ) -> list[Track]:
        ended = super()._follow(faces, at, *clothes, blocks=blocks)
        self.frames.append(seen(faces, self._tracks))
        return ended


def _clip(place: Place, folder: Path) -> Played:
    """A recording through all stages of vision, at the frames a second that a camera has."""
    camera = {"name": Path(place.clip).stem, "source": str(folder / place.clip), **place.settings}
    settings = load_settings(None, (), {"cameras": [camera]})
    vision, messages = _watching(settings), list[Message]()
    with closing(vision), one_opencv_thread():
        for picture in _pictures(settings.cameras[0]):
            messages += vision.process(picture).messages
        messages += vision.finish()
    case = _case(
        settings.cameras[0].name,
        settings.cameras[0].max_fps,
        vision.frames,
        line=_pixels(place.line, vision.size),
        zone=_pixels(settings.cameras[0].zones[0].polygon, vision.size),
    )
    passed = {"in": place.passed.inward, "out": place.passed.outward}
    return Played(case, passed | {"entries": place.entries, "seconds": place.seconds}, _summed(messages))


def _watching(settings: Settings) -> Watching:
    camera, bundle = settings.cameras[0], load_bundle(bundle_folder("builtin", Path()))
    scanner, opinion = build_detection(camera, settings)
    metrics = Metrics(SystemClock(), [camera.name])
    vision = Watching(
        camera, scanner=scanner, opinion=opinion, check=network_check(), settings=settings,
        bundle=bundle, metrics=metrics,
    )  # fmt: skip
    vision.begin()
    return vision


def _pictures(camera: CameraSettings) -> Iterator[Frame]:
    clock = SystemClock()
    feed = Feed(camera, lambda settings: open_source(settings, Path(), clock), clock)
    with closing(feed.frames()) as frames:
        yield from frames


def _summed(messages: Sequence[Message]) -> Counts:
    """What the visits of a recording add up to."""
    visits = [message for message in messages if isinstance(message, TrackEnded)]
    crossed = [crossing.inward for visit in visits for crossing in visit.crossings]
    added = [one for visit in visits for one in visit.contributions]
    return {
        "in": sum(crossed),
        "out": len(crossed) - sum(crossed),
        "entries": sum(one.amount for one in added if one.quantity == ZONES),
        "seconds": sum(one.amount for one in added if one.quantity == QUEUE),
    }


def _pixels(points: Sequence[tuple[float, float]], size: tuple[int, int]) -> list[list[float]]:
    return [[x * size[0], y * size[1]] for x, y in points]


def _case(
    name: str,
    fps: float,
    frames: list[Case],
    *,
    line: list[list[float]] | None = None,
    zone: list[list[float]] | None = None,
) -> Case:
    return {"name": name, "fps": fps, "frames": frames, "line": line, "zone": zone}


def measure(scenes: int, stays: int, folder: Path, python: Path) -> Report:
    """Play all scenes and clips, let `supervision` count them too."""
    played = []
    for number in range(scenes):
        step(f"walk {number + 1} of {scenes}")
        played.append(_walk(number))
    for number in range(stays):
        step(f"stay {number + 1} of {stays}")
        played.append(_stay(number))
    for place in PLACES:
        step(place.clip)
        played.append(_clip(place, folder))
    peer = counted_by_peer([one.case for one in played], python)
    rows = {
        one.case["name"]: {"truth": one.truth, "InStore": one.ours, **peer["cases"][one.case["name"]]}
        for one in played
    }
    return {"supervision": peer["version"], "cases": rows}


def counted_by_peer(cases: Sequence[Case], python: Path) -> Report:
    """What `supervision` counts, in its own environment, which needs nothing of ours."""
    with tempfile.TemporaryDirectory(prefix="instore-zones-") as folder:
        boxes = Path(folder) / "boxes.json"
        boxes.write_text(json.dumps(cases), encoding="utf-8")
        command = [str(python), str(Path(__file__).with_name("supervision_zones.py")), str(boxes)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    results = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not results:
        raise SystemExit(f"supervision_zones.py failed:\n{done.stderr[-2000:]}")
    report: Report = json.loads(results[-1])
    return report


def markdown(report: Report) -> str:
    """The report as Markdown: the drawn scenes in sum, and every recording."""
    cases = report["cases"]
    drawn = [
        _sum_row(
            "walks, a line", [case for name, case in cases.items() if name.startswith("walk ")], ("in", "out")
        ),
        _sum_row(
            "stays, a zone", [case for name, case in cases.items() if name.startswith("stay ")], ("entries",)
        ),
    ]
    clips = {name: case for name, case in cases.items() if " " not in name}
    return (
        "# Lines and zones on the same boxes\n\n"
        f"`{report['command']}` on {report['taken_at'][:10]}, supervision {report['supervision']}, commit "
        f"{report['commit']}.\n\n## Drawn scenes\n\n"
        + table(("", "scenes", *(LABELS[name] for name in COUNTERS), *ERRORS), drawn)
        + f"\n\n{ON_SCENES}\n\n## Recordings\n\n"
        + table(("", "", *(LABELS[name] for name in COUNTERS)), _clip_rows(clips))
        + f"\n\n{ON_CLIPS}\n"
    )


LABELS = {
    "truth": "truth",
    "InStore": "InStore",
    "bytetrack": "supervision, its ByteTrack",
    "ours": "supervision, our tracks",
}
ERRORS = tuple(f"mean error of {name}" for name in ("InStore", "ByteTrack", "our tracks"))

ON_SCENES = (
    "Numbers are passages (in / out) or entries, stays of a second or longer. The mean error is the sum over "
    "the scenes of the distance to the truth, divided by the sum of the truth."
)
ON_CLIPS = (
    "The truth is by eye, written down before anything was measured (`bench/recordings.py`). One number was "
    "corrected afterwards: in the crowd a woman behind a boy was overlooked, whom the measure found. All "
    "zones trigger on the middle of the face. `supervision` counts every followed box; InStore counts visits "
    "that both face models take for a face."
)


def _sum_row(name: str, cases: Sequence[Case], numbers: Sequence[str]) -> tuple[str, ...]:
    sums = [
        " / ".join(f"{sum(case[counter][number] for case in cases):g}" for number in numbers)
        for counter in COUNTERS
    ]
    return (name, str(len(cases)), *sums, *(f"{_error(cases, one, numbers):.3f}" for one in COUNTERS[1:]))


def _error(cases: Sequence[Case], counter: str, numbers: Sequence[str]) -> float:
    """The summed distances to the truth by the summed truth."""
    off = [abs(float(case[counter][number] - case["truth"][number])) for case in cases for number in numbers]
    true = [float(case["truth"][number]) for case in cases for number in numbers]
    return sum(off) / max(sum(true), 1.0)


def _clip_rows(clips: dict[str, Case]) -> Iterator[tuple[str, ...]]:
    for name, case in clips.items():
        yield (
            name,
            "in / out",
            *(f"{case[one]['in']:g} / {case[one]['out']:g}" for one in COUNTERS),
        )
        yield (
            "",
            "entries, seconds",
            *(f"{case[one]['entries']:g}, {case[one]['seconds']:.1f} s" for one in COUNTERS),
        )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers.zones",
        description=(__doc__ or "").splitlines()[0],
        epilog="example: bench/peers/make.sh /tmp/peers supervision; "
        "python -m bench.peers.zones --environments /tmp/peers",
    )
    parser.add_argument(
        "--environments", type=Path, required=True, help="the folder that bench/peers/make.sh filled"
    )
    parser.add_argument("--scenes", type=int, default=40, help="drawn scenes with a line (default: 40)")
    parser.add_argument("--stays", type=int, default=20, help="drawn scenes with a zone (default: 20)")
    parser.add_argument("--clips", type=Path, default=CLIPS, help="the folder of recordings")
    add_out(parser, "zones")
    arguments = parser.parse_args(argv)
    python = arguments.environments.absolute() / "supervision" / "bin" / "python"
    if not python.exists():
        parser.error(
            f"--environments {arguments.environments}: {python} does not exist; run bench/peers/make.sh"
        )
    found = measure(arguments.scenes, arguments.stays, arguments.clips, python)
    report = rounded(
        {
            "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": f"python -m bench.peers.zones --scenes {arguments.scenes} --stays {arguments.stays}",
            "commit": commit(),
            **found,
        }
    )
    text = markdown(report)
    keep(report, text, arguments.out)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
