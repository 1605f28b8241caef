"""The shipped face models on a composed 1080p picture: faces of 40 px are found, and nothing else is."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.commands.demo.scene import PORTRAITS
from edge.errors import ConfigurationError
from edge.geometry import areas, intersections
from edge.vision.detect import Scanner
from edge.vision.detect import mediapipe as adapter
from edge.vision.detect.mediapipe import FOLDER, MODELS, MediaPipeDetector, Range
from edge.vision.second_opinion import SecondOpinion
from tests.fakes import EPOCH
from tests.patience import PATIENCE

WIDTH, HEIGHT = 1920, 1080
NOBODY = np.zeros((0, 4), np.float32)
# Middles of the faces: in a tile's middle, where four tiles meet, near the corner.
PLACES = {"hopper": (500, 300), "obama": (1140, 700), "biden": (1850, 1000), "collins": (90, 560)}


@pytest.fixture(scope="module")
def far() -> Iterator[MediaPipeDetector]:
    detector = MediaPipeDetector("far", 0.5)
    yield detector
    detector.close()


@pytest.fixture(scope="module")
def near() -> Iterator[MediaPipeDetector]:
    detector = MediaPipeDetector("near", 0.05)
    yield detector
    detector.close()


def backdrop() -> np.ndarray:
    """A room without people: light falls off to the right, a shelf, a sensor's noise."""
    image = np.full((HEIGHT, WIDTH, 3), (170, 180, 190), np.float32)
    image *= np.linspace(1.0, 0.7, WIDTH, dtype=np.float32)[None, :, None]
    image[640:700, 200:1500] *= 0.5
    image += np.random.default_rng(3).normal(0, 4, image.shape).astype(np.float32)
    return image.clip(0, 255).astype(np.uint8)


def add(image: np.ndarray, name: str, size: int) -> np.ndarray:
    """Lay a portrait over `image`, its face `size` px wide at its place; the face's box, float32 (4,)."""
    portrait = PORTRAITS[name]
    scale = size / portrait.width
    path = adapter.FOLDER.parents[1] / "commands" / "demo" / "portraits" / portrait.file
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    x, y = PLACES[name]
    left, top = round(x - portrait.x * scale), round(y - portrait.y * scale)
    ground = image[max(top, 0) : top + picture.shape[0], max(left, 0) : left + picture.shape[1]]
    picture = picture[max(-top, 0) :, max(-left, 0) :][: ground.shape[0], : ground.shape[1]]
    alpha = picture[..., 3:] / 255.0
    ground[...] = alpha * picture[..., :3] + (1 - alpha) * ground
    return np.array([x - size / 2, y - size / 2, x + size / 2, y + size / 2], np.float32)


def scan(detector: MediaPipeDetector, image: np.ndarray, tile: int) -> np.ndarray:
    scanner = Scanner(detector, tile=tile, full_scan_every=1.0, min_face=20)
    return scanner.scan(image, EPOCH, NOBODY).xyxy


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair of boxes, (N, M)."""
    shared = intersections(a, b)
    return shared / (areas(a)[:, None] + areas(b)[None] - shared)


@pytest.mark.parametrize("name", PLACES)
def test_a_face_of_40_px_in_full_hd_is_found_with_tiles_and_seconded(
    far: MediaPipeDetector, near: MediaPipeDetector, name: str
):
    image = backdrop()
    truth = add(image, name, 40)
    found = scan(far, image, 540)
    assert len(found) == 1
    assert iou(found, truth[None])[0, 0] > 0.4
    opinion = SecondOpinion(near).examine(image, found[0])
    assert opinion.score > 0.5
    assert iou(opinion.xyxy[None], truth[None])[0, 0] > 0.5
    eyes = opinion.keypoints[:2]
    assert (eyes >= truth[:2]).all()
    assert (eyes <= truth[2:]).all()


def test_four_of_them_are_four_and_the_whole_picture_alone_shows_fewer(far: MediaPipeDetector):
    image = backdrop()
    truth = np.array([add(image, name, 40) for name in PLACES])
    found = scan(far, image, 540)
    assert len(found) == 4
    assert (iou(found, truth).max(axis=0) > 0.4).all()
    assert len(scan(far, image, 0)) < 4


def test_none_is_invented_on_an_empty_backdrop(far: MediaPipeDetector):
    assert len(scan(far, backdrop(), 540)) == 0


def test_a_picture_without_a_pattern_holds_nobody(far: MediaPipeDetector, near: MediaPipeDetector):
    for level in (0, 128, 255):
        image = np.full((480, 640, 3), level, np.uint8)
        assert len(far.detect(image)) == len(near.detect(image)) == 0


def test_a_read_only_picture_is_left_alone(far: MediaPipeDetector):
    image = backdrop()
    before = image.copy()
    image.flags.writeable = False
    far.detect(image)
    assert np.array_equal(image, before)


@pytest.mark.parametrize("range_", MODELS)
def test_the_shipped_models_are_the_named_ones(range_: Range):
    name, sha256 = MODELS[range_]
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == sha256
    assert (FOLDER / "LICENSE").is_file()


def test_another_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(adapter, "FOLDER", tmp_path)
    with pytest.raises(ConfigurationError, match=r"full_range.*cannot be read.*install the package again"):
        MediaPipeDetector("far", 0.5)
    (tmp_path / MODELS["far"][0]).write_bytes(b"no model")
    with pytest.raises(ConfigurationError, match=r"full_range.*SHA-256 is .*, expected 2c3728e6"):
        MediaPipeDetector("far", 0.5)


def test_a_box_does_not_load_a_plotting_library_to_find_faces():
    script = (
        "import sys; from edge.vision.detect.mediapipe import MediaPipeDetector; "
        "MediaPipeDetector('near', 0.5).close(); print('matplotlib' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert done.stdout.strip() == "False"
