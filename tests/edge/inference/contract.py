"""What every backend must do: subclass `BackendContract` and give it a `backend` fixture."""

from __future__ import annotations

import numpy as np
import pytest

from edge.inference.backend import AgeBackend

MAX_BATCH = 4
"""The fixture opens its backend with this."""


def pictures(count: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


class BackendContract:
    """`backend` must be open on a bundle whose input size is `size`, with max_batch `MAX_BATCH`."""

    alike = 1e-4
    """By how much a probability may differ between batches of different sizes."""

    @pytest.fixture
    def backend(self) -> AgeBackend:
        pytest.fail("a suite of this contract opens its backend here")

    @pytest.fixture
    def size(self) -> int:
        pytest.fail("a suite of this contract names its input size here")

    def test_says_what_it_is(self, backend: AgeBackend):
        assert backend.name
        assert backend.device
        assert backend.max_batch == MAX_BATCH

    @pytest.mark.parametrize("count", range(1, MAX_BATCH + 1))
    def test_gives_one_distribution_a_crop(self, backend: AgeBackend, size: int, count: int):
        probs = backend.infer(pictures(count, size))
        assert probs.dtype == np.float32
        assert probs.shape == (count, 101)
        assert np.all(probs >= 0)
        assert np.allclose(probs.sum(axis=1), 1, atol=1e-3)

    def test_a_batch_gives_what_its_crops_give_alone(self, backend: AgeBackend, size: int):
        batch = pictures(MAX_BATCH, size)
        alone = np.concatenate([backend.infer(one[None]) for one in batch])
        assert np.allclose(backend.infer(batch), alone, atol=self.alike)

    def test_different_pictures_give_different_distributions(self, backend: AgeBackend, size: int):
        dark, light = np.zeros((1, size, size, 3), np.uint8), np.full((1, size, size, 3), 200, np.uint8)
        assert not np.allclose(backend.infer(dark), backend.infer(light), atol=1e-3)

    def test_the_output_belongs_to_the_caller(self, backend: AgeBackend, size: int):
        first = backend.infer(pictures(2, size))
        kept = first.copy()
        second = backend.infer(pictures(2, size, seed=1))
        assert np.array_equal(first, kept)
        assert not np.shares_memory(first, second)
        first[:] = 0
        assert np.allclose(second.sum(axis=1), 1, atol=1e-3)

    def test_the_input_is_left_alone(self, backend: AgeBackend, size: int):
        batch = pictures(2, size)
        batch.flags.writeable = False
        before = batch.copy()
        backend.infer(batch)
        assert np.array_equal(batch, before)

    def test_a_view_with_strides_is_read_as_what_it_shows(self, backend: AgeBackend, size: int):
        mirrored = pictures(2, size)[:, :, ::-1]
        assert np.allclose(backend.infer(mirrored), backend.infer(np.ascontiguousarray(mirrored)), atol=1e-6)

    @pytest.mark.parametrize("count", [0, MAX_BATCH + 1])
    def test_refuses_too_few_and_too_many(self, backend: AgeBackend, size: int, count: int):
        with pytest.raises(ValueError, match=rf"1\.\.{MAX_BATCH} crops, not {count}"):
            backend.infer(pictures(count, size))

    def test_refuses_another_type(self, backend: AgeBackend, size: int):
        with pytest.raises(ValueError, match="uint8"):
            backend.infer(pictures(1, size).astype(np.float32))

    def test_names_a_crop_that_holds_no_numbers(self, backend: AgeBackend, size: int):
        crops = pictures(2, size).astype(np.float32)
        crops[1, 0, 0, 0] = np.nan
        with pytest.raises(ValueError, match=r"float32 with NaN; must be uint8 0\.\.255"):
            backend.infer(crops)  # type: ignore[arg-type]  # that is the fault

    def test_refuses_another_shape(self, backend: AgeBackend, size: int):
        for wrong in (pictures(1, size - 1), pictures(1, size)[0], pictures(1, size)[..., :1]):
            with pytest.raises(ValueError, match="uint8"):
                backend.infer(wrong)

    def test_works_on_after_a_refusal(self, backend: AgeBackend, size: int):
        with pytest.raises(ValueError, match="crops"):
            backend.infer(pictures(0, size))
        assert backend.infer(pictures(1, size)).shape == (1, 101)

    def test_closes_once_and_for_all(self, backend: AgeBackend, size: int):
        backend.close()
        backend.close()
        with pytest.raises(RuntimeError, match="closed"):
            backend.infer(pictures(1, size))
