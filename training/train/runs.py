"""The folder of a run: its configuration, states, history, best model and description.

config.json             the settings of the run
history.jsonl           one line an epoch
last-<epochs>.weights.h5  the state to resume from, the optimiser's included
model.keras             the best model so far, as it is shipped: pixels in, softmax over ages out
run.json                data, versions and figures of a finished run
tensorboard/            for `tensorboard --logdir`
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge.config.validation_errors import faults
from edge.errors import ConfigurationError
from edge.files import replacing
from training.train.config import TrainSettings

MODEL, CONFIG, INFO, HISTORY = "model.keras", "config.json", "run.json", "history.jsonl"


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A finished run.

    model: Keras, uint8 (N, size, size, 3) RGB -> softmax float32 (N, 101). scale: side of the crop over the
    longer side of the detector's box. info: what `run.json` holds.
    """

    folder: Path
    model: Any
    size: int
    scale: float
    config: TrainSettings
    info: dict[str, Any]


def load_run(folder: Path) -> Run:
    """The finished run in `folder`; ConfigurationError when it is none, or not finished."""
    try:
        config = TrainSettings.model_validate_json(_read(folder, CONFIG))
    except ValidationError as error:
        raise ConfigurationError(faults(error, TrainSettings, str(folder / CONFIG))) from None
    info = read_info(folder)
    model = read_model(folder)
    return Run(folder, model, config.model.size, config.data.scale, config, info)


def read_info(folder: Path) -> dict[str, Any]:
    """The description of the finished run in `folder`. Raises ConfigurationError when it is none."""
    if (folder / CONFIG).exists() and not (folder / INFO).exists():
        raise ConfigurationError(
            f"{folder}: this run is not finished; `instore-training train` continues it with the same "
            "configuration"
        )
    return _table(folder, INFO)


def read_model(folder: Path) -> Any:  # noqa: ANN401 (Keras has no types)
    """The best model of the run in `folder`, which may be unfinished."""
    import keras

    path = folder / MODEL
    if not path.is_file():
        raise ConfigurationError(f"{folder}: holds no {MODEL}; not a run, or no epoch is complete")
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"{path}: cannot be read ({error})") from error


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns a full or read-only disk into a ConfigurationError that names it."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be written to ({error.strerror or error})") from error


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """As `replacing`; a full or read-only disk is a ConfigurationError."""
    with writing(path.parent), replacing(path) as draft:
        yield draft


def write_model(model: Any, folder: Path) -> None:  # noqa: ANN401
    """Replace the run's model, whole or not at all."""
    with drafted(folder / MODEL) as draft:
        model.save(draft)


def write_text(path: Path, content: str) -> None:
    """Replace a file of the run, whole or not at all."""
    with drafted(path) as draft:
        draft.write_text(content + "\n", encoding="utf-8")


def open_folder(settings: TrainSettings) -> Path:
    """The run's folder, new or of an interrupted run of the same configuration.

    Raises ConfigurationError where the folder holds a finished run or one of another configuration.
    """
    folder = settings.folder
    require_unfinished(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    path = folder / CONFIG
    if path.exists():
        _require_same(path, settings)
    else:
        write_text(path, settings.model_dump_json(indent=2))
    return folder


def require_unfinished(folder: Path) -> None:
    """ConfigurationError when the run in `folder` is finished."""
    if (folder / INFO).exists():
        raise ConfigurationError(f"{folder}: this run is finished; give the new one another name")


def _require_same(path: Path, settings: TrainSettings) -> None:
    before = _table(path.parent, path.name)
    after = settings.model_dump(mode="json")
    if changed := [key for key in after if after[key] != before.get(key)]:
        raise ConfigurationError(
            f"{path.parent}: an interrupted run of another configuration ({', '.join(changed)} differ); "
            "give this one another name, or remove that folder"
        )


def _table(folder: Path, name: str) -> dict[str, Any]:
    """The content of a JSON file of the run."""
    try:
        found = json.loads(_read(folder, name))
    except ValueError as error:
        raise ConfigurationError(f"{folder / name}: is damaged ({error}); remove the folder") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{folder / name}: is damaged (no JSON object); remove the folder")
    return found


def _read(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{folder / name}: not text in UTF-8 ({error.reason})") from error
    except OSError as error:
        raise ConfigurationError(
            f"{folder / name}: cannot be read ({error.strerror}); give the folder of a finished run"
        ) from error
