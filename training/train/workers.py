"""Several processes that train one network: TensorFlow's MultiWorkerMirroredStrategy, set up by TF_CONFIG."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from edge.errors import ConfigurationError

Dataset = Any  # TensorFlow has no types


def is_chief() -> bool:
    """Whether this process is the one that writes: worker 0, or the only one."""
    return bool(_task().get("index", 0) == 0)


class Workers:
    """The processes that train together, as TF_CONFIG describes them; this one alone without TF_CONFIG.

    They need the same data and the same folder of runs. Make it before any other use of TensorFlow.
    """

    def __init__(self) -> None:
        self.count = len(_config().get("cluster", {}).get("worker", ["alone"]))
        self._strategy = _strategy() if self.count > 1 else None

    def scope(self) -> AbstractContextManager[Any]:
        """Where the variables that all share are made."""
        return self._strategy.scope() if self._strategy else nullcontext()

    def adopt(self, model: Any, batch: Any) -> None:  # noqa: ANN401
        """Prepare a compiled model for training by all workers; `batch` is a pair of arrays as in training.

        Works round two faults of Keras 3.15 with this strategy. It builds unbuilt parts from the mean of the
        workers' first batches, which fails for a pair of arrays and loses the batch; it gets `batch` instead.
        And it averages a step's figures over their first axis, which scalars do not have.
        """
        if self._strategy:
            build = model._maybe_symbolic_build
            model._maybe_symbolic_build = lambda **_: build(data_batch=batch)
            model.train_step = _with_axis(model.train_step)
            model.test_step = _with_axis(model.test_step)

    def share(self, dataset: Callable[[int], Dataset]) -> Dataset:
        """This worker's part of the training data, from a function of its number."""
        if not self._strategy:
            return dataset(0)
        return self._strategy.distribute_datasets_from_function(
            lambda context: dataset(context.input_pipeline_id)
        )


def _with_axis(step: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    def stepped(data: Any) -> dict[str, Any]:  # noqa: ANN401
        return {name: figure[None] for name, figure in step(data).items()}

    return stepped


def _strategy() -> Any:  # noqa: ANN401
    import tensorflow as tf

    return tf.distribute.MultiWorkerMirroredStrategy()


def _task() -> dict[str, Any]:
    return dict(_config().get("task", {}))


def _config() -> dict[str, Any]:
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"TF_CONFIG: is not JSON ({error})") from error
    if not (isinstance(found, dict) and all(isinstance(found.get(k, {}), dict) for k in ("cluster", "task"))):
        raise ConfigurationError(
            'TF_CONFIG: not a cluster and a task; allowed: {"cluster": {"worker": ["host:port", ...]}, '
            '"task": {"type": "worker", "index": 0}}'
        )
    return found
