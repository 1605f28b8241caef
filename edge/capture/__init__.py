"""From a camera or a recording to frames: the newest frame replaces older ones, and the camera's state is
known."""

from edge.capture.camera import Camera
from edge.capture.frames import Feed, Shot
from edge.capture.frozen_dark import PictureWatch
from edge.capture.latest_frame import LatestFrame
from edge.capture.rate_limit import RateLimit
from edge.capture.select_source import is_live, open_source, validate_source
from edge.capture.source import Picture, Source

__all__ = [
    "Camera",
    "Feed",
    "LatestFrame",
    "Picture",
    "PictureWatch",
    "RateLimit",
    "Shot",
    "Source",
    "is_live",
    "open_source",
    "validate_source",
]
