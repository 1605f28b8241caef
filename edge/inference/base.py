"""What every backend of the age model promises. tests/edge/inference/contract.py holds it to that."""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from edge.errors import OutsideError
from edge.types import Image, require_array

Precision = Literal["fp32", "fp16", "int8"]
"""What a graph computes in: `model.onnx` and the typed variants of a bundle."""

Reason = Literal["library", "driver", "no_gpu", "engine", "wrong", "memory", "lost"]
"""Why a GPU is not used. library: TensorRT or cuda-bindings is absent or lacks its parts. driver: none, or
too old. no_gpu: none in sight. engine: cannot be built or read. wrong: its results are. memory: it is full.
lost: it failed at work."""

REASONS: tuple[Reason, ...] = get_args(Reason)


class BackendError(OutsideError):
    """A backend that cannot work here and now; its message names what is missing and what to do."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class AgeBackend(Protocol):
    """An age model ready to run, used by one thread at a time."""

    @property
    def name(self) -> str:
        """The name it is opened by."""

    @property
    def device(self) -> str:
        """What it runs on, for a person."""

    @property
    def max_batch(self) -> int:
        """The most crops that one call takes."""

    def infer(self, batch: Image) -> NDArray[np.float32]:
        """Age distributions float32 (N, 101) of uint8 (N, S, S, 3) RGB as `preprocess.to_batch` makes it.

        Each row sums to 1 within 1e-3 and is as the model gives it: the bundle's temperature is the caller's
        to apply. The array is new with every call and belongs to the caller; `batch` is not kept.
        Raises ValueError on another dtype or shape, on an empty batch and on one over `max_batch`,
        RuntimeError after `close`, and BackendError when the device fails.
        """

    def close(self) -> None:
        """Give back what the backend holds; a second call does nothing."""


def require_batch(batch: Image, size: int, max_batch: int) -> None:
    """Raise ValueError unless `batch` is uint8 (1..max_batch, size, size, 3)."""
    if isinstance(batch, np.ndarray) and np.issubdtype(batch.dtype, np.floating) and np.isnan(batch).any():
        raise ValueError(
            f"batch: {batch.dtype} with NaN; wants uint8 0..255, as preprocess.to_batch makes it of crops"
        )
    require_array("batch", batch, (None, size, size, 3), np.uint8)
    if not 1 <= len(batch) <= max_batch:
        raise ValueError(f"batch: wants 1..{max_batch} crops, not {len(batch)}")
