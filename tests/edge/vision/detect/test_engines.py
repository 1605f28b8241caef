"""The face networks on each engine: faces of 40 px in a composed 1080p picture are found, and nothing else.

MediaPipe is the reference: the other engines find the same faces in the same places. TensorRT runs with
`make test-gpu`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from typing import get_args

import cv2
import numpy as np
import pytest

from edge.commands.demo.scene import PORTRAITS
from edge.geometry import centres, iou
from edge.vision.detect import FaceDetector, Scanner, detectors_on, engine_of, plan_tiles
from edge.vision.detect.detector import Wanted
from edge.vision.detect.engines import Engine
from edge.vision.detect.networks import FOLDER, Range
from edge.vision.detect.same_faces import difference
from edge.vision.detect.served import BothNetworks, open_faces
from edge.vision.second_opinion import SecondOpinion
from tests.fakes import EPOCH
from tests.patience import PATIENCE

WIDTH, HEIGHT = 1920, 1080
NOBODY = np.zeros((0, 4), np.float32)
# Middles of the faces: in a tile's middle, where four tiles meet, near the corner.
PLACES = {"hopper": (500, 300), "obama": (1140, 700), "biden": (1850, 1000), "collins": (90, 560)}


ON_GPU = pytest.param("tensorrt", marks=pytest.mark.gpu)
Open = Callable[[Range, float], FaceDetector]


@pytest.fixture(scope="module")
def opens() -> Iterator[Callable[[str], Open]]:
    """Opens detectors on the engine of this name; all on the GPU share what is opened there first."""
    shared: list[BothNetworks] = []

    def on(engine: str) -> Open:
        if engine != "tensorrt":
            return detectors_on(engine_of(engine))
        if not shared:
            shared.append(open_faces())
        return detectors_on("onnxruntime", shared[0])

    yield on
    for both in shared:
        both.close()


@pytest.fixture(scope="module", params=[*get_args(Engine), ON_GPU])
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def far(engine: str, opens: Callable[[str], Open]) -> Iterator[FaceDetector]:
    detector = opens(engine)("far", 0.5)
    yield detector
    detector.close()


@pytest.fixture(scope="module")
def near(engine: str, opens: Callable[[str], Open]) -> Iterator[FaceDetector]:
    detector = opens(engine)("near", 0.05)
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
    path = FOLDER.parents[1] / "commands" / "demo" / "portraits" / portrait.file
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    x, y = PLACES[name]
    left, top = round(x - portrait.x * scale), round(y - portrait.y * scale)
    ground = image[max(top, 0) : top + picture.shape[0], max(left, 0) : left + picture.shape[1]]
    picture = picture[max(-top, 0) :, max(-left, 0) :][: ground.shape[0], : ground.shape[1]]
    alpha = picture[..., 3:] / 255.0
    ground[...] = alpha * picture[..., :3] + (1 - alpha) * ground
    return np.array([x - size / 2, y - size / 2, x + size / 2, y + size / 2], np.float32)


def scan(detector: FaceDetector, image: np.ndarray, tile: int) -> np.ndarray:
    scanner = Scanner(detector, tile=tile, full_scan_every=1.0, min_face=20)
    return scanner.scan(image, EPOCH, NOBODY).xyxy


@pytest.mark.parametrize("name", PLACES)
def test_a_face_of_40_px_in_full_hd_is_found_with_tiles_and_seconded(
    far: FaceDetector, near: FaceDetector, name: str
):
    image = backdrop()
    truth = add(image, name, 40)
    found = scan(far, image, 540)
    assert len(found) == 1
    assert iou(found, truth[None])[0, 0] > 0.4
    opinion = SecondOpinion(near).examine(image, found[:1])[0]
    assert opinion.score > 0.5
    assert iou(opinion.xyxy[None], truth[None])[0, 0] > 0.5
    eyes = opinion.keypoints[:2]
    assert (eyes >= truth[:2]).all()
    assert (eyes <= truth[2:]).all()


def test_four_of_them_are_four_and_the_whole_picture_alone_shows_fewer(far: FaceDetector):
    image = backdrop()
    truth = np.array([add(image, name, 40) for name in PLACES])
    found = scan(far, image, 540)
    assert len(found) == 4
    assert (iou(found, truth).max(axis=0) > 0.4).all()
    assert len(scan(far, image, 0)) < 4


def test_none_is_invented_on_an_empty_backdrop(far: FaceDetector):
    assert len(scan(far, backdrop(), 540)) == 0


def test_a_picture_without_a_pattern_holds_nobody(far: FaceDetector, near: FaceDetector):
    for level in (0, 128, 255):
        image = np.full((480, 640, 3), level, np.uint8)
        assert len(far.detect(image)) == len(near.detect(image)) == 0


def test_a_read_only_picture_is_left_alone(far: FaceDetector):
    image = backdrop()
    before = image.copy()
    image.flags.writeable = False
    far.detect(image)
    assert np.array_equal(image, before)


def test_a_box_does_not_load_a_plotting_library_to_find_faces():
    script = (
        "import sys; from edge.vision.detect import detectors_on; "
        "detectors_on('mediapipe')('near', 0.5).close(); print('matplotlib' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert done.stdout.strip() == "False"


def test_onnxruntime_does_not_load_mediapipe():
    script = (
        "import sys; from edge.vision.detect import detectors_on; "
        "detectors_on('onnxruntime')('near', 0.5).close(); print('mediapipe' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert done.stdout.strip() == "False"


def test_auto_is_the_faster_engine_where_it_was_shown_to_find_the_same_faces():
    assert engine_of("auto", "x86_64") == "onnxruntime"
    assert engine_of("auto", "aarch64") == "mediapipe"
    assert engine_of("mediapipe", "x86_64") == "mediapipe"
    assert engine_of("onnxruntime", "aarch64") == "onnxruntime"


def portraits_of_all_sizes() -> list[np.ndarray]:
    """Faces of 12 to 700 px, cut off by each edge, in pictures of odd and even sizes, upright and wide."""
    random = np.random.default_rng(5)
    pictures = []
    for portrait in PORTRAITS.values():
        path = FOLDER.parents[1] / "commands" / "demo" / "portraits" / portrait.file
        face = cv2.imread(str(path))
        for scale in random.uniform(0.1, 2.5, 6):
            picture = cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            rows, columns = picture.shape[:2]
            top, left = random.integers(0, rows // 2), random.integers(0, columns // 2)
            pictures += [picture, picture[top:, left:], picture[: rows - top, : columns - left]]
    return pictures


def at_the_middle(side: float) -> Wanted:
    """Wanted: faces whose middle lies within a quarter of the side of a square picture from its own."""
    return lambda boxes: np.linalg.norm(centres(boxes) - side / 2, axis=1) < side / 4


def test_the_surest_face_that_is_wanted_is_one_of_all(near: FaceDetector):
    found = 0
    for picture in portraits_of_all_sizes():
        side = min(picture.shape[:2])
        square = picture[:side, :side]
        every, (one,) = near.detect(square), near.surest([square], [at_the_middle(side)])
        wanted = every.select(at_the_middle(side)(every.xyxy))
        found += len(one)
        assert len(one) == min(len(wanted), 1)
        for all_of_them, best in zip(astuple(wanted), astuple(one), strict=True):
            assert np.array_equal(all_of_them[wanted.score.argsort()[::-1][:1]], best)
    assert found > 20


def crowded_1080p() -> list[np.ndarray]:
    image = backdrop()
    for size, name in zip((30, 60, 90, 200), PLACES, strict=True):
        add(image, name, size)
    tiles = plan_tiles(WIDTH, HEIGHT, 540).astype(int).tolist()
    return [image, *(image[top:bottom, left:right] for left, top, right, bottom in tiles)]


@pytest.mark.parametrize("other", ["onnxruntime", ON_GPU])
@pytest.mark.parametrize("range_", get_args(Range))
def test_the_other_engines_find_the_faces_that_mediapipe_finds(
    opens: Callable[[str], Open], other: str, range_: Range
):
    """IoU at least 0.98 or a pixel apart, scores within 0.02: the bounds are `same_faces`'s."""
    detectors = [opens(name)(range_, 0.5) for name in ("mediapipe", other)]
    pictures = [*portraits_of_all_sizes(), *crowded_1080p()]
    expected, found = (detector.detect_all(pictures) for detector in detectors)
    apart = difference(found, expected)
    assert apart.is_same, str(apart)
    assert apart.faces > 40
    for detector in detectors:
        detector.close()


@pytest.mark.parametrize("other", ["onnxruntime", ON_GPU])
def test_pictures_together_show_what_each_shows_alone(opens: Callable[[str], Open], other: str):
    detector = opens(other)("far", 0.5)
    pictures = [*portraits_of_all_sizes(), *crowded_1080p()]
    apart = difference(detector.detect_all(pictures), [detector.detect(picture) for picture in pictures])
    assert apart.is_same, str(apart)
    assert apart.score < 1e-3
    detector.close()


@pytest.mark.gpu
def test_looks_of_many_threads_are_answered_each_with_its_own(opens: Callable[[str], Open]):
    detector = opens("tensorrt")("far", 0.5)
    pictures = portraits_of_all_sizes()
    alone = [detector.detect(picture) for picture in pictures]
    with ThreadPoolExecutor(16) as pool:
        for _ in range(10):
            assert difference(list(pool.map(detector.detect, pictures)), alone).is_same
