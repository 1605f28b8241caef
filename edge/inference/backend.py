"""What a graph takes and gives, and the interface of all backends: tests/edge/inference/contract.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.config import Precision
from edge.errors import ConfigurationError, OutsideError
from edge.ops.reasons import BackendFault
from edge.types import AGES, Image, require_array

PRECISIONS: tuple[Precision, ...] = get_args(Precision)


class BackendError(OutsideError):
    """A backend that cannot work now; the message names the cause and the remedy."""

    def __init__(self, reason: BackendFault, message: str) -> None:
        super().__init__(message)
        self.reason = reason


Shapes = Mapping[str, tuple[int, ...]]
"""The outputs of a graph by name, each with its shape after the axis of the batch."""

AGE_OUTPUTS: Shapes = {"age": (AGES,)}


@dataclass(frozen=True, slots=True)
class Graph:
    """An ONNX file with the input `image`, uint8 (N, size, size, 3) for any N, and float32 `outputs`.

    model: SHA-256 of the float32 graph that this is a variant of. fault: what is wrong with results that no
    such graph gives, such as NaN, for a message; empty for sound ones.
    """

    path: Path
    model: str
    precision: Precision
    size: int
    outputs: Shapes
    fault: Callable[[NDArray[np.float32]], str]


class Backend(Protocol):
    """A network ready to run, used by one thread at a time unless it says otherwise."""

    @property
    def name(self) -> str:
        """The name that it is opened by."""

    @property
    def device(self) -> str:
        """The device and the precision, for messages."""

    @property
    def max_batch(self) -> int:
        """The most pictures that one call takes."""

    def infer(self, batch: Image) -> NDArray[np.float32]:
        """What the network gives for uint8 (N, S, S, 3): float32 (N, numbers), one output after the other.

        The array is new with every call and belongs to the caller; `batch` is not kept. Raises RuntimeError
        after `close`, and BackendError when the device fails.
        """

    def close(self) -> None:
        """Free what the backend holds; a second call does nothing."""


class AgeBackend(Backend, Protocol):
    """An age model ready to run."""

    def infer(self, batch: Image) -> NDArray[np.float32]:
        """Age distributions float32 (N, 101) of uint8 (N, S, S, 3) RGB as `preprocess.to_batch` makes it.

        Each row sums to 1 within 1e-3 and is the output of the model: the caller applies the bundle's
        temperature. The array is new with every call and belongs to the caller; `batch` is not kept.
        Raises ValueError on another dtype or shape, on an empty batch and on one over `max_batch`,
        RuntimeError after `close`, and BackendError when the device fails.
        """


AT_ONCE: Mapping[str, int] = {"onnxruntime": 2}
"""Faces in a batch of the age model beyond which a larger one is no faster, by the name of the backend."""


def largest_gain(backend: Backend) -> int:
    """Pictures in the smallest batch that is as fast for each as any: `max_batch` unless another is known."""
    return min(backend.max_batch, AT_ONCE.get(backend.name, backend.max_batch))


def require_batch(batch: Image, size: int, max_batch: int) -> None:
    """Raise ValueError unless `batch` is uint8 (1..max_batch, size, size, 3)."""
    if isinstance(batch, np.ndarray) and np.issubdtype(batch.dtype, np.floating) and np.isnan(batch).any():
        raise ValueError(
            f"batch: {batch.dtype} with NaN; must be uint8 0..255, as preprocess.to_batch makes it"
        )
    require_array("batch", batch, (None, size, size, 3), np.uint8)
    if not 1 <= len(batch) <= max_batch:
        raise ValueError(f"batch: must hold 1..{max_batch} crops, not {len(batch)}")


def cpu_device(name: str, max_batch: int, threads: int, precision: Precision) -> str:
    """The `device` of a backend on the CPU. Raises ConfigurationError on a size below 1."""
    if max_batch < 1 or threads < 1:
        raise ConfigurationError(
            f"backend {name!r}: max_batch is {max_batch} and threads {threads}; each must be at least 1"
        )
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}, {precision}"


def require_ports(bundle: Bundle, found: Sequence[str], *, byte: str, real: str) -> None:
    """Raise ConfigurationError unless the inputs and outputs of a graph are those of the manifest.

    found: its inputs, then its outputs, as "name type [shape]" with N for an axis of any length. byte, real:
    the library's names of uint8 and float32.
    """
    expected = ports(bundle.input_size, AGE_OUTPUTS, byte=byte, real=real)
    if found != expected:
        raise ConfigurationError(
            f"{bundle.model_path}: inputs and outputs are {'; '.join(found)}; "
            f"the manifest of {bundle.name!r} names {'; '.join(expected)}"
        )


def ports(size: int, outputs: Shapes, *, byte: str, real: str) -> list[str]:
    """The input and the outputs of a graph for pictures of this size, as `require_ports` has them."""
    shapes = {name: ", ".join(map(str, shape)) for name, shape in outputs.items()}
    return [
        f"image {byte} [N, {size}, {size}, 3]",
        *(f"{name} {real} [N, {shape}]" for name, shape in shapes.items()),
    ]
