"""The floor: the cost of decoding, detection and age inference alone, and the daemon's efficiency.

Efficiency is the throughput of the daemon divided by that of a bare loop on the same clip in the same run,
with one thread a core. The loop decodes, runs the face networks and the age model as often a frame as the
daemon does, and nothing else. It searches each frame at least once: the daemon exceeds 1 only by searching
less.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, repeat, takewhile
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from bench.box import ROOT, work
from bench.material import Material, picture_size, pictures
from bench.tables import table
from edge.capture.recordings import prepare_opencv
from edge.errors import SourceError
from edge.inference.backend import AgeBackend
from edge.types import Boxes, Faces, Image
from edge.vision.detect import FaceDetector, SharedDetectors
from edge.vision.second_opinion import FaceCheck, network_check

FPS = 10.0
"""Frames analysed for each second of a recording: the default of a camera."""

BATCH = 8
LOOKED_AT = 80
"""Pixels of the side of what a second opinion gets: twice a face of 40."""

CHECKED = np.array([20, 20, 60, 60], np.float32)
"""A face of 40 pixels, as the face check gets it."""

Report = dict[str, Any]


def measure(material: Material, *, quick: bool, step: Callable[[str], None]) -> Report:
    """The cost of each part alone, and the daemon and the bare loop on each clip."""
    repeats, seconds = (1, 4.0) if quick else (3, 6.0)
    step("floor: each part alone")
    parts = _child("parts", str(material.large), str(seconds / 2))
    clips = [
        ("busy, 1080p", material.large, 0),
        ("busy, 480 lines", material.small, 0),
        ("busy, 1080p, tiles", material.large, 540),
        ("idle, 1080p, tiles", material.idle_large, 540),
    ]
    found = []
    for name, clip, tile in clips:
        step(f"floor: {name}")
        found.append({"case": name, "size": picture_size(clip), **efficiency(clip, tile, repeats, seconds)})
    return {"parts": parts, "efficiency": found}


def efficiency(clip: Path, tile: int, repeats: int, seconds: float) -> Report:
    """The daemon and the bare loop in turn; medians of their frames a second and of each turn's ratio."""
    cores = len(os.sched_getaffinity(0))
    needed = needs(clip, tile)
    options = [f"--{name}={value}" for name, value in {**asdict(needed), "tile": tile}.items()]
    turns = []
    for _ in range(repeats):
        bare = _child("loop", str(clip), str(seconds), *options, "--threads", str(cores))
        daemon = work(clip, 2 * cores, fps=FPS, seconds=seconds, pace="full", tile=tile)
        turns.append((bare["fps"], daemon.fps, bare["cpu_ms"], daemon.cpu_ms_per_frame))
    bare_fps, daemon_fps, bare_cpu, daemon_cpu = (median(column) for column in zip(*turns, strict=True))
    return {
        "per_frame": asdict(needed),
        "floor_fps": bare_fps,
        "daemon_fps": daemon_fps,
        "floor_cpu_ms": bare_cpu,
        "daemon_cpu_ms": daemon_cpu,
        "efficiency": median(daemon / bare for bare, daemon, *_ in turns),
        "cpu_ratio": median(bare / daemon for *_, bare, daemon in turns),
    }


@dataclass(frozen=True, slots=True)
class Needs:
    """What the daemon does for a frame in the mean: searches, second opinions, face checks, ages."""

    far: float = 1.0
    near: float = 0.0
    checks: float = 0.0
    faces: float = 0.0


class Judged:
    """An `AgeBackend` that counts the faces that it judges."""

    def __init__(self, backend: AgeBackend, done: Counter[str]) -> None:
        self.name, self.device, self.max_batch = backend.name, backend.device, backend.max_batch
        self._backend, self._done = backend, done

    def infer(self, batch: Any) -> Any:  # noqa: ANN401 - as an `AgeBackend`
        self._done["faces"] += len(batch)
        return self._backend.infer(batch)

    def close(self) -> None:
        self._backend.close()


class Searched(FaceDetector):
    """A detector that counts its looks as `kind`."""

    def __init__(self, detector: FaceDetector, done: Counter[str], kind: str) -> None:
        self._detector, self._done, self._kind = detector, done, kind

    def detect(self, image: Image) -> Faces:
        self._done[self._kind] += 1
        return self._detector.detect(image)

    def close(self) -> None:
        self._detector.close()


class CountingDetectors(SharedDetectors):
    """Detectors that count their looks: `near` for the second opinion, else `far`."""

    def __init__(self, done: Counter[str]) -> None:
        super().__init__(1)
        self._done = done

    def open(self, key: Hashable, make: Callable[[], FaceDetector]) -> FaceDetector:
        return Searched(super().open(key, make), self._done, "near" if key == "second opinion" else "far")


def counting_check(done: Counter[str]) -> FaceCheck:
    """The box's face check, which counts its looks."""
    check = network_check()

    def counted(image: Image, box: Boxes) -> float:
        done["checks"] += 1
        return check(image, box)

    return counted


def needs(clip: Path, tile: int) -> Needs:
    """What the daemon does for each analysed frame of this clip."""
    from edge.bundle import bundle_folder, load_bundle
    from edge.clock import SystemClock
    from edge.commands.replay_driver import replay
    from edge.config import load_settings
    from edge.inference import open_backend
    from edge.vision.pipeline import build_vision

    done: Counter[str] = Counter()
    camera = {"name": "clip", "source": str(clip.absolute()), "max_fps": FPS, "tile": tile}
    bundle = load_bundle(bundle_folder("builtin", Path()))
    backend = Judged(open_backend("onnxruntime", bundle, max_batch=BATCH, threads=1), done)
    vision = partial(build_vision, detectors=CountingDetectors(done), check=counting_check(done))
    for _ in replay(load_settings(None, (), {"cameras": [camera]}), bundle, backend, beside=Path(),
                    clock=SystemClock(), make_vision=vision,
                    on_frame=lambda *_: done.update(["frames"])):  # fmt: skip
        pass
    backend.close()
    each = {kind: done[kind] / max(done["frames"], 1) for kind in ("far", "near", "checks", "faces")}
    return Needs(**each | {"far": max(each["far"], 1.0)})


# --- In their own process --------------------------------------------------------------------------


def parts_alone(clip: Path, seconds: float) -> Report:
    """Milliseconds of processor time and wall time of each part, for several numbers of threads."""
    from edge.bundle import bundle_folder, load_bundle
    from edge.inference import open_backend
    from edge.vision.detect.mediapipe import MediaPipeDetector

    held = list(pictures(clip, FPS, 20))
    bundle = load_bundle(bundle_folder("builtin", Path()))
    batch = np.zeros((BATCH, bundle.input_size, bundle.input_size, 3), np.uint8)
    found = {}
    for threads in (1, 2, 4):
        found[f"decode a frame, {threads} threads"] = _each(partial(_decode_once, clip, threads), seconds)
    for range_ in ("far", "near"):
        detector = MediaPipeDetector(range_, 0.5)
        found[f"detect in a whole frame, {range_}"] = _each(partial(_through, detector.detect, held), seconds)
        detector.close()
    for threads in (1, 2):
        backend = open_backend("onnxruntime", bundle, max_batch=BATCH, threads=threads)

        def classify(backend: Any = backend) -> int:  # noqa: ANN401 - an `AgeBackend`
            backend.infer(batch)
            return BATCH

        found[f"classify a face in batches of {BATCH}, {threads} threads"] = _each(classify, seconds)
        backend.close()
    return found


def _through(detect: Callable[[Any], Any], held: Sequence[Any]) -> int:
    for image in held:
        detect(image)
    return len(held)


def _each(some: Callable[[], int], seconds: float) -> Report:
    """Repeat `some`, which returns the number of its items; the cost of one item."""
    some()
    done, wall, cpu = 0, time.monotonic(), time.process_time()
    while (now := time.monotonic()) - wall < seconds:
        done += some()
    return {"wall_ms": 1000 * (now - wall) / done, "cpu_ms": 1000 * (time.process_time() - cpu) / done}


def _decode_once(clip: Path, threads: int) -> int:
    prepare_opencv()
    capture = cv2.VideoCapture(str(clip.absolute()), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, threads])
    frames = 0
    while capture.read()[0]:
        frames += 1
    capture.release()
    return frames


class Owed:
    """Work of which a frame needs a part: what is owed is done once it is whole."""

    def __init__(self) -> None:
        self._owed = 0.0

    def pay(self, part: float, do: Callable[[], object]) -> None:
        """Owe so much more; `do` it as often as it is whole now."""
        self._owed += part
        while self._owed >= 1:
            do()
            self._owed -= 1


class Bare:
    """What the daemon computes for a frame and nothing else; for one thread."""

    def __init__(self, needed: Needs, tile: int) -> None:
        """tile: side of what the searches after the first see, in pixels; 0 for the whole picture."""
        from edge.bundle import bundle_folder, load_bundle
        from edge.inference import open_backend
        from edge.vision.detect.mediapipe import MediaPipeDetector

        bundle = load_bundle(bundle_folder("builtin", Path()))
        self._needed = needed
        self._side = tile or None
        self._far, self._near = MediaPipeDetector("far", 0.5), MediaPipeDetector("near", 0.5)
        self._backend = open_backend("onnxruntime", bundle, max_batch=BATCH, threads=1)
        self._batch = np.zeros((BATCH, bundle.input_size, bundle.input_size, 3), np.uint8)
        self._check = network_check()
        self._more, self._looks, self._checks, self._faces = Owed(), Owed(), Owed(), Owed()
        for detector in (self._far, self._near):
            detector.detect(np.zeros((192, 192, 3), np.uint8))
        self._backend.infer(self._batch)

    def analyse(self, image: Image) -> None:
        """One frame."""
        tile, face = image[: self._side, : self._side], image[:LOOKED_AT, :LOOKED_AT]
        self._far.detect(image)
        self._more.pay(self._needed.far - 1, partial(self._far.detect, tile))
        self._looks.pay(self._needed.near, partial(self._near.detect, face))
        self._checks.pay(self._needed.checks, partial(self._check, image, CHECKED))
        self._faces.pay(self._needed.faces / BATCH, partial(self._backend.infer, self._batch))

    def close(self) -> None:
        """Free the networks."""
        for one in (self._far, self._near, self._backend):
            one.close()


def bare_loop(clip: Path, seconds: float, needed: Needs, tile: int, threads: int) -> Report:
    """Frames a second of all threads together, and processor time a frame."""
    stop, ready = threading.Event(), threading.Barrier(threads + 1)
    counts = [0] * threads

    def loop(number: int) -> None:
        bare = Bare(needed, tile)
        ready.wait()
        again_and_again = chain.from_iterable(pictures(clip, FPS) for _ in repeat(None))
        for image in takewhile(lambda _: not stop.is_set(), again_and_again):
            bare.analyse(image)
            counts[number] += 1
        bare.close()

    workers = [threading.Thread(target=loop, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    time.sleep(0.5)
    before, wall, cpu = sum(counts), time.monotonic(), time.process_time()
    time.sleep(seconds)
    frames, wall, cpu = sum(counts) - before, time.monotonic() - wall, time.process_time() - cpu
    stop.set()
    for worker in workers:
        worker.join()
    return {"fps": frames / wall, "cpu_ms": 1000 * cpu / max(frames, 1)}


def _require_pictures(clip: Path) -> None:
    """End where the clip shows nothing: a loop over its pictures would never end, or measure nothing."""
    try:
        first = next(pictures(clip, FPS), None)
    except SourceError as error:
        raise SystemExit(str(error)) from None
    if first is None:
        raise SystemExit(f"{clip}: holds no pictures")


def _child(*arguments: str) -> Report:
    """Run this module in its own process, so that threads and models of earlier parts do not disturb it."""
    command = [sys.executable, "-m", "bench.floor", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[2:])} failed:\n{done.stderr[-2000:]}")
    report: Report = json.loads(done.stdout.splitlines()[-1])
    return report


def section(found: Report) -> str:
    """Both tables as Markdown."""
    parts = [
        (name, f"{cost['cpu_ms']:.2f}", f"{cost['wall_ms']:.2f}") for name, cost in found["parts"].items()
    ]
    rows = [
        (
            case["case"], case["size"], f"{case['per_frame']['far']:.1f}", f"{case['per_frame']['near']:.1f}",
            f"{case['per_frame']['checks']:.1f}", f"{case['per_frame']['faces']:.1f}",
            f"{case['floor_fps']:.1f}", f"{case['daemon_fps']:.1f}",
            f"**{case['efficiency']:.2f}**", f"{case['floor_cpu_ms']:.1f}", f"{case['daemon_cpu_ms']:.1f}",
            f"{case['cpu_ratio']:.2f}",
        )
        for case in found["efficiency"]
    ]  # fmt: skip
    head = ("", "picture", "searches", "second opinions", "face checks", "ages", "bare loop, frames/s",
            "daemon, frames/s", "efficiency", "CPU-ms a frame, bare", "daemon", "ratio")  # fmt: skip
    return (
        table(("one at a time, large clip", "CPU-ms", "ms"), parts)
        + "\n\n"
        + table(head, rows)
        + "\n\nThe bare loop decodes and runs the networks as often a frame as the daemon, the searching one "
        "at least once, with one thread a core; the daemon has two cameras a core at full speed. Goal: an "
        "efficiency of 0.9. The ratio of processor times depends less on other work on the machine."
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.floor", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("parts", "loop"))
    parser.add_argument("clip", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--far", type=float, default=1.0)
    parser.add_argument("--near", type=float, default=0.0)
    parser.add_argument("--checks", type=float, default=0.0)
    parser.add_argument("--faces", type=float, default=0.0)
    parser.add_argument("--tile", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args(argv)
    cv2.setNumThreads(1)
    _require_pictures(arguments.clip)
    if arguments.what == "parts":
        found = parts_alone(arguments.clip, arguments.seconds)
    else:
        sys.setswitchinterval(0.001)
        needed = Needs(arguments.far, arguments.near, arguments.checks, arguments.faces)
        found = bare_loop(arguments.clip, arguments.seconds, needed, arguments.tile, arguments.threads)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
