"""Both face networks for all cameras of a daemon: on ONNX Runtime at first, then on the GPU where it sees the
same.

    vision-<camera> ─► detector ─► ServingBackend ─► far: Batches ─► TensorRT
         (letterbox, boxes)              │      └──► near: Batches ─► TensorRT
                                         └─ meanwhile, and after a fault ──► ONNX Runtime, in each thread
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edge.clock import Clock
from edge.inference.backend import Backend
from edge.inference.batches import Batches
from edge.inference.engine_store import EngineStore
from edge.inference.fallback import ServingBackend, gpu_candidate, reset_gpu
from edge.ops.reasons import BackendFault
from edge.types import Image
from edge.vision.detect.networks import MAX_BATCH, NETWORKS, Range, graph_of
from edge.vision.detect.onnx import OnnxNetwork
from edge.vision.detect.same_faces import require_same_faces


class BothNetworks:
    """`Backend` of both networks, which the size of the pictures tells apart; for any number of threads."""

    def __init__(self, networks: Mapping[Range, Backend]) -> None:
        """networks: for any number of threads; they belong to this one from now on."""
        self._networks = {NETWORKS[range_].size: network for range_, network in networks.items()}
        first = networks["far"]
        self.name, self.device, self.max_batch = first.name, first.device, first.max_batch

    def infer(self, batch: Image) -> NDArray[np.float32]:
        """See `Backend.infer`."""
        return self._networks[batch.shape[1]].infer(batch)

    def close(self) -> None:
        """See `Backend.close`."""
        for network in self._networks.values():
            network.close()


def open_faces(
    store: EngineStore | None = None, cancelled: Callable[[], bool] = lambda: False
) -> BothNetworks:
    """Both networks on the GPU, in batches, each shown to find the faces that ONNX Runtime finds.

    Raises BackendError as `edge.inference.tensorrt.open_on_gpu`, ConfigurationError on a damaged file.
    """
    from edge.inference.tensorrt import open_on_gpu

    opened: dict[Range, Backend] = {}
    with ExitStack() as undo:
        for range_ in NETWORKS:
            agree = partial(_agree, range_)
            engine = open_on_gpu(
                graph_of(range_), agree=agree, max_batch=MAX_BATCH, store=store, cancelled=cancelled
            )
            opened[range_] = Batches(engine)
            undo.callback(opened[range_].close)
        undo.pop_all()
    return BothNetworks(opened)


def _agree(range_: Range, what: str, backend: Backend) -> None:
    require_same_faces(what, backend, range_)


def serve_faces(
    setting: str,
    store: EngineStore,
    *,
    clock: Clock,
    rng: random.Random,
    on_change: Callable[[], None] = lambda: None,
    on_fallback: Callable[[BackendFault], None] = lambda reason: None,
) -> ServingBackend:
    """The face networks of a daemon, for any number of threads; only ONNX Runtime is open before it is `run`.

    setting: `detection.engine`; "tensorrt" waits for a driver and a GPU, "auto" does not. on_change,
    on_fallback: as of `ServingBackend`.
    """
    candidate = gpu_candidate(partial(open_faces, store), by_name=setting == "tensorrt")
    return ServingBackend(
        on_onnx_runtime(),
        [candidate],
        what="face detection",
        clock=clock,
        rng=rng,
        recover=reset_gpu,
        on_change=on_change,
        on_fallback=on_fallback,
    )


def on_onnx_runtime() -> BothNetworks:
    """Both networks on the CPU, one picture after the other."""
    return BothNetworks({range_: OnnxNetwork(range_) for range_ in NETWORKS})
