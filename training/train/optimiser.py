"""AdamW with one learning rate for the backbone and another for the head."""

from __future__ import annotations

from typing import Any

import keras

from training.train.config import TrainSettings
from training.train.network import HEAD


@keras.saving.register_keras_serializable("instore")
class TwoRateAdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW whose steps on the head's variables are `head_factor` times as long."""

    def __init__(self, head_factor: float = 1.0, **options: Any) -> None:  # noqa: ANN401 (Keras' own)
        super().__init__(**options)
        self._head_factor = head_factor

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:  # noqa: ANN401
        """One variable's step; see keras.optimizers.Optimizer."""
        # TensorFlow's own variables come here, which do not know their layer; Keras' do.
        path = self._trainable_variables[self._get_variable_index(variable)].path
        factor = self._head_factor if path.split("/")[0] in HEAD else 1.0
        super().update_step(gradient, variable, learning_rate * factor)

    def averages(self) -> list[Any]:
        """The moving average of each trainable variable, in the order of `model.trainable_variables`."""
        return list(self._model_variables_moving_average)

    def get_config(self) -> dict[str, Any]:
        """The arguments of an equal optimiser."""
        return {**super().get_config(), "head_factor": self._head_factor}


def make_optimiser(settings: TrainSettings) -> TwoRateAdamW:
    """With warm-up, cosine, clipping and the moving average of the weights as configured."""
    rates, steps = settings.optimiser, settings.loop.epochs * settings.loop.epoch_steps
    warmup = round(rates.warmup * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else rates.backbone_rate,
        decay_steps=steps - warmup,
        warmup_target=rates.backbone_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimiser = TwoRateAdamW(
        head_factor=rates.head_rate / rates.backbone_rate,
        learning_rate=schedule,
        weight_decay=rates.weight_decay,
        global_clipnorm=rates.clip,
        use_ema=True,
        ema_momentum=rates.ema,
    )
    optimiser.exclude_from_weight_decay(var_names=["bias"])
    return optimiser


def scaled(optimiser: TwoRateAdamW, policy: str) -> Any:  # noqa: ANN401 (Keras has no types)
    """The same with the loss scaled up where gradients are float16, in which small ones would be 0.

    Micikevicius et al. 2018, arXiv 1710.03740. Keras does it by itself only where the policy is the model's
    own, and not that of its layers.
    """
    return keras.optimizers.LossScaleOptimizer(optimiser) if policy == "mixed_float16" else optimiser
