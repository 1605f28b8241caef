"""A local record of the messages that left the box, for the page, for `export`, and for nothing else."""

from edge.delivery.history.reader import Message, Reader
from edge.delivery.history.recorder import Recorder
from edge.delivery.history.writer import FILE, History

__all__ = ["FILE", "History", "Message", "Reader", "Recorder"]
