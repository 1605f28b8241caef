"""Recordings as cameras, for `replay` and `bench`."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge.config import Settings, load_settings
from edge.config.redaction import is_mistyped_url
from edge.errors import ConfigurationError

REPLAY_BOX = "(replay)"
"""The box's name in a replay: no camera can have this name, and no message contains it."""


def add_clips(parser: argparse.ArgumentParser, *, nargs: str = "+") -> None:
    """Add the recordings as positional arguments."""
    parser.add_argument(
        "clips", nargs=nargs, type=Path, metavar="CLIP", help="video file or folder of pictures"
    )


def load_recordings(arguments: argparse.Namespace) -> Settings:
    """The configuration with the recordings instead of its cameras. Raises ConfigurationError."""
    return load_settings(arguments.config, arguments.set, as_cameras(arguments.clips), environment=os.environ)


def as_cameras(clips: Sequence[Path]) -> dict[str, Any]:
    """The tables of a box with one camera per clip, named after its file.

    Raises ConfigurationError on a clip that does not exist.
    """
    cameras: list[dict[str, str]] = []
    for clip in clips:
        if not clip.exists():
            shown = "***" if is_mistyped_url(str(clip)) else str(clip)  # Path turns `//` of a URL into `/`
            raise ConfigurationError(f"clip {shown!r}: there is no such file or folder")
        # Up to 64 bytes of a name fit into a topic; the cut leaves room for the number.
        stem = re.sub(r"[^A-Za-z0-9_.-]", "-", clip.stem)[:56] or "clip"
        taken = sum(camera["name"].partition("~")[0] == stem for camera in cameras)
        # An absolute path: a relative file named 0 would be read as a device number.
        source = str(clip.absolute())
        cameras.append({"name": f"{stem}~{taken + 1}" if taken else stem, "source": source})
    return {"box": REPLAY_BOX, "cameras": cameras}
