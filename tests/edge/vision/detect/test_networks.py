"""The files of the face networks are the shipped ones, or the box says so."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from edge.errors import ConfigurationError
from edge.vision.detect import detectors_on, networks
from edge.vision.detect.engines import Engine
from edge.vision.detect.networks import FOLDER, NETWORKS, Range

FILES = [file for network in NETWORKS.values() for file in (network.mediapipe, network.onnx)]


@pytest.mark.parametrize(("name", "sha256"), FILES)
def test_the_shipped_files_are_the_named_ones(name: str, sha256: str):
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == sha256
    assert (FOLDER / "LICENSE").is_file()


@pytest.mark.parametrize("engine", ["mediapipe", "onnxruntime"])
def test_another_file_is_refused(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(networks, "FOLDER", tmp_path)
    make = detectors_on(engine)
    with pytest.raises(ConfigurationError, match=r"full_range.*cannot be read.*install the package again"):
        make("far", 0.5)
    file = NETWORKS["far"].mediapipe if engine == "mediapipe" else NETWORKS["far"].onnx
    (tmp_path / file[0]).write_bytes(b"no model")
    with pytest.raises(ConfigurationError, match=rf"full_range.*SHA-256 is .*, expected {file[1]}"):
        make("far", 0.5)


@pytest.mark.parametrize(("name", "boxes"), [("far", 2304), ("near", 896)])
def test_each_box_of_a_network_has_its_anchor(name: Range, boxes: int):
    anchors = NETWORKS[name].anchors()
    assert len(anchors) == boxes
    middles = anchors.middles
    assert middles.shape == (boxes, 2)
    assert middles.min() > 0
    assert middles.max() < 1
    assert (middles[-1] > middles[0]).all()


@pytest.mark.parametrize("name", ["far", "near"])
def test_each_box_has_numbers_of_its_own(name: Range):
    anchors = NETWORKS[name].anchors()
    every = np.arange(len(anchors))
    raw = np.arange(16 * len(anchors), dtype=np.float32)
    assert set(anchors.numbers(raw, every).ravel().tolist()) == set(raw.tolist())
    some = np.array([7, 0, 800])
    np.testing.assert_array_equal(anchors.numbers(raw, some), anchors.numbers(raw, every)[some])
