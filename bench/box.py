"""`python -m bench.box`: a daemon that measures itself, on recordings or on pictures in memory.

    python -m bench.box CONFIG --seconds 10 [--memory CLIP]

After a warm-up it runs for the given time, then prints as JSON: frames, drops, processor time, and the time
from capture to decision. With --memory every camera plays pictures of one clip that were decoded before, so
that decoding costs nothing; everything else is the unchanged daemon. Cameras on one recording begin it at
places that are spread over it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from itertools import count
from pathlib import Path

from bench.material import pictures
from edge.capture import Picture, Source
from edge.commands.bench.box import WatchedBox, Work
from edge.config import CameraSettings, load_settings
from edge.daemon.parts import Parts
from edge.types import Image

ROOT = Path(__file__).parent.parent
HELD = 50
"""Pictures of a clip held in memory, at most: 300 MB at 1080p, for any number of cameras."""


def work(clip: Path, cameras: int, *, fps: float, seconds: float, memory: bool = False, pace: str = "real",
         tile: int = 540, engine: str = "mediapipe") -> Work:  # fmt: skip
    """Run a box of so many cameras, all of them on `clip`, in its own process.

    engine: the library that runs the face networks.
    """
    with tempfile.TemporaryDirectory(prefix="instore-bench-") as folder:
        config = Path(folder) / "config.toml"
        config.write_text(
            configuration(clip, cameras, fps=fps, pace=pace, tile=tile, engine=engine, state=folder)
        )
        command = [sys.executable, "-m", "bench.box", str(config), "--seconds", str(seconds)]
        command += ["--memory", str(clip.absolute())] if memory else []
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"a box of {cameras} cameras on {clip.name} failed:\n{done.stderr[-2000:]}")
    return Work(**json.loads(done.stdout.splitlines()[-1]))


def configuration(
    clip: Path, cameras: int, *, fps: float, pace: str, tile: int, engine: str, state: str
) -> str:
    """A box without a broker; short windows, so that closing and storing them is measured.

    Short windows, and cameras on one source, are allowed with privacy.minimum = 1 only.
    """
    tables = "".join(
        f"""
[[cameras]]
name = "camera-{number}"
source = {json.dumps(str(clip.absolute()))}
loop = true
pace = "{pace}"
max_fps = {fps}
tile = {tile}
"""
        for number in range(cameras)
    )
    return f"""site = "bench"
box = "box"
{tables}
[detection]
engine = "{engine}"
[windows]
length = 10
[privacy]
minimum = 1
[mqtt]
host = "127.0.0.1"
port = 1
drain_timeout = 0.5
[outbox]
directory = {json.dumps(state)}
[metrics]
enabled = false
"""


class Held:
    """A recording in memory: the same pictures again and again, `fps` of them a second of its time.

    begin: 0..1, the part of the pictures before the first one that is given.
    """

    live = False
    corrupt = 0

    def __init__(self, images: Sequence[Image], fps: float, begin: float = 0.0) -> None:
        self._begin = round(begin * len(images))
        self._numbered = count()
        self._images = images
        self._fps = fps

    def read(self) -> Picture:
        number = next(self._numbered)
        image = self._images[(self._begin + number) % len(self._images)]
        return Picture(image, number / self._fps)

    def close(self) -> None:
        """Keep the pictures: other cameras play them as well."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.box", description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--memory", type=Path, metavar="CLIP", help="play this clip from memory")
    arguments = parser.parse_args(argv)
    parts = None
    if arguments.memory:
        fps = load_settings(arguments.config).cameras[0].max_fps
        images = list(pictures(arguments.memory, fps, HELD))

        def held(camera: CameraSettings, *, turn: float | None, **_: object) -> Source:
            return Held(images, camera.max_fps, turn or 0.0)

        parts = Parts(open_source=held)
    box = WatchedBox(load_settings(arguments.config), arguments.config.parent, parts)
    print(json.dumps(asdict(box.run(arguments.seconds))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
