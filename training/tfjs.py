"""Weights as TensorFlow.js stores them: a manifest in a JSON file, the arrays in binary files beside it.

The manifest is a part of a graph model or a file of its own. An array holds float32 or int32; float32 may be
stored as float16, or as integers with a step and a least value, which makes the file smaller.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.bundle import sha256_of
from edge.errors import ConfigurationError

Weights = Mapping[str, NDArray[Any]]
"""The arrays of a network, float32 or int32, by the names in its file."""

_DTYPES = {"float32": np.dtype("<f4"), "int32": np.dtype("<i4")}
_STORED: dict[str, np.dtype[Any]] = {
    "float16": np.dtype("<f2"),
    "uint8": np.dtype("u1"),
    "uint16": np.dtype("<u2"),
}
"""How the file may hold float32."""


def read_weights(folder: Path) -> dict[str, NDArray[Any]]:
    """The arrays of the one model in `folder`, float32 or int32, by name.

    Raises ConfigurationError that names the file and the fault: no such model, a type that is not known, or
    binary files whose size is not what the manifest says.
    """
    path = model_file(folder)
    with _faults_of(path):
        return {name: array for group in _groups(path) for name, array in _read_group(path, group).items()}


def model_file(folder: Path) -> Path:
    """The JSON file of the one model in `folder`; ConfigurationError unless there is exactly one."""
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: is not a folder; it must hold a model of TensorFlow.js")
    found = sorted(folder.glob("*.json"))
    if len(found) != 1:
        raise ConfigurationError(
            f"{folder}: {len(found)} JSON files; exactly one model of TensorFlow.js is needed"
        )
    return found[0]


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of the files of the one model in `folder`, by name: its JSON file, then the binary ones.

    Raises ConfigurationError as `read_weights`.
    """
    path = model_file(folder)
    with _faults_of(path):
        files = [path, *(path.parent / name for group in _groups(path) for name in group["paths"])]
        return {file.name: sha256_of(file.read_bytes()) for file in files}


@contextmanager
def _faults_of(path: Path) -> Iterator[None]:
    """Say of a model that cannot be read which file it is, and what is wrong."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: is not a model of TensorFlow.js ({error!r})") from error


def _groups(path: Path) -> list[dict[str, Any]]:
    """The groups of a manifest; each names binary files, and the arrays in them, one after the other."""
    content = json.loads(path.read_bytes())
    groups = list(content["weightsManifest"] if isinstance(content, dict) else content)
    if not groups:
        raise ValueError("it names no weights")
    return groups


def _read_group(path: Path, group: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    files = [path.parent / name for name in group["paths"]]
    content = b"".join(file.read_bytes() for file in files)
    wanted = sum(_nbytes(spec) for spec in group["weights"])
    if len(content) != wanted:
        names = ", ".join(map(str, files))
        raise ConfigurationError(
            f"{names}: {len(content)} bytes; {path.name} names {wanted} bytes; copy the file again"
        )
    arrays, place = {}, 0
    for spec in group["weights"]:
        arrays[spec["name"]] = _array(spec, content, place)
        place += _nbytes(spec)
    return arrays


def _array(spec: Mapping[str, Any], content: bytes, place: int) -> NDArray[Any]:
    """The array that begins at this byte."""
    stored = np.frombuffer(content, _stored(spec), prod(spec["shape"]), place)
    array = stored.astype(_DTYPES[spec["dtype"]]).reshape(spec["shape"])
    if stored.dtype.kind == "u":
        how = spec["quantization"]
        return array * np.float32(how["scale"]) + np.float32(how["min"])
    return array


def _nbytes(spec: Mapping[str, Any]) -> int:
    return int(prod(spec["shape"])) * _stored(spec).itemsize


def _stored(spec: Mapping[str, Any]) -> np.dtype[Any]:
    """The type of an array in the file."""
    wanted, quantised = spec["dtype"], spec["quantization"]["dtype"] if "quantization" in spec else None
    if quantised is None and wanted in _DTYPES:
        return _DTYPES[wanted]
    if wanted == "float32" and quantised in _STORED:
        return _STORED[quantised]
    raise ConfigurationError(
        f"weight {spec['name']!r}: is {wanted!r}, stored as {quantised or wanted!r}; allowed: "
        f"{' or '.join(_DTYPES)}, and float32 stored as {', '.join(_STORED)}"
    )
