"""From a camera or a recording to a stream of frames: the newest one wins, and its state is known."""

from edge.capture.base import Picture, RateLimit, Source
from edge.capture.camera import Camera
from edge.capture.feed import Feed
from edge.capture.latest import LatestFrame
from edge.capture.sources import is_live, open_source, validate_source
from edge.capture.watch import PictureWatch

__all__ = [
    "Camera",
    "Feed",
    "LatestFrame",
    "Picture",
    "PictureWatch",
    "RateLimit",
    "Source",
    "is_live",
    "open_source",
    "validate_source",
]
