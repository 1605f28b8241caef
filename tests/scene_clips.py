"""The composed scene as clips of any size, for tests that need people in the picture."""

from __future__ import annotations

from pathlib import Path

import cv2

from edge.commands.demo.scene import Scene, compose


def write_scene(path: Path, *, seconds: float, fps: float = 10.0, size: tuple[int, int] = (640, 360)) -> Path:
    """Write the scene's first `seconds` as MJPG in `path` (.avi), which an RTSP server can encode."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
    assert writer.isOpened()
    scene = Scene()
    for index in range(round(seconds * fps)):
        writer.write(cv2.resize(compose(scene, index / fps), size, interpolation=cv2.INTER_AREA))
    writer.release()
    return path
