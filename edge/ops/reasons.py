"""The closed sets of reasons that stages report: the values of the label `reason` of one metric each."""

from __future__ import annotations

from enum import StrEnum


class FrameDrop(StrEnum):
    """Why a captured frame was not analysed."""

    OVERWRITTEN = "overwritten"
    """A newer frame of the camera took its place."""
    CORRUPT = "corrupt"
    """It could not be decoded."""


class CropDrop(StrEnum):
    """Why a face crop did not reach the age model."""

    QUEUE_FULL = "queue_full"
    STOPPING = "stopping"
    """The daemon stopped first."""


class TrackEnd(StrEnum):
    """What a track was when it ended, or when it was counted after the longest time that a track may last."""

    VISITOR = "visitor"
    """Counted."""
    TOO_SHORT = "too_short"
    """Seen in too few frames to be confirmed; not counted."""
    NOT_A_FACE = "not_a_face"
    """The second opinion never took it for a face; not counted."""
    STAFF = "staff"
    """Seen first in a staff zone, or there for long; not counted."""
    RECOUNTED = "recounted"
    """Ended after it had been counted for its long stay; not counted again."""


class MqttFailure(StrEnum):
    """Why a connection to the broker or a delivery failed."""

    UNREACHABLE = "unreachable"
    TLS = "tls"
    REFUSED = "refused"
    LOST = "lost"
    TIMEOUT = "timeout"
    REJECTED = "rejected"
    """The broker acknowledged a message with an error."""
    TOO_LARGE = "too_large"
    """The broker takes no message of this size."""
    DISK = "disk"
    """The outbox could not be read or written."""


class WebhookFailure(StrEnum):
    """Why a message was not delivered to the webhook."""

    UNREACHABLE = "unreachable"
    TLS = "tls"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    """It answered with another status than 2xx, or rejects every message."""
    REJECTED = "rejected"
    """It refuses this message (400, 413 or 422); the others are sent."""
    DISK = "disk"
    """The outbox could not be read or written."""


class OutboxFault(StrEnum):
    """Why an outbox file was set aside."""

    DAMAGED = "damaged"
    NEWER = "newer"
    """A newer version of the program wrote it."""
    OLDER = "older"
    """An older version of the program wrote it."""


class ReloadResult(StrEnum):
    """What a reload of the configuration came to."""

    APPLIED = "applied"
    REFUSED = "refused"


class BackendFault(StrEnum):
    """Why a backend or precision of the age model is not used."""

    LIBRARY = "library"
    """TensorRT, cuda-bindings or OpenVINO is not installed or not complete."""
    DRIVER = "driver"
    """The driver is missing or too old."""
    NO_GPU = "no_gpu"
    """No GPU is visible."""
    ENGINE = "engine"
    """The engine cannot be built or read."""
    WRONG = "wrong"
    """Its ages are too far from those of float32."""
    MEMORY = "memory"
    """The GPU's memory is full."""
    LOST = "lost"
    """It failed while it was in use."""


class EngineFault(StrEnum):
    """Why an engine file was not loaded."""

    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    FOREIGN = "foreign"
    """It belongs to another engine or program."""
