from __future__ import annotations

import numpy as np
import pytest

from edge.capture import RateLimit


def kept(max_fps: float, times: np.ndarray, own: float | None = None) -> list[float]:
    limit = RateLimit(max_fps, own)
    return [float(at) for at in times if limit.keep(float(at))]


@pytest.mark.parametrize("fps", [10.0, 12.0, 12.5, 15.0, 25.0, 29.97, 60.0])
def test_keeps_max_fps_a_second_without_drift(fps: float) -> None:
    seconds = 60
    times = kept(10.0, np.arange(round(fps * seconds)) / fps)
    assert len(times) == pytest.approx(10 * seconds, abs=1)
    assert np.abs(np.array(times) - np.arange(len(times)) / 10).max() <= 0.5 / fps + 0.051


def test_thins_25_a_second_to_10_evenly() -> None:
    times = kept(10.0, np.arange(250) / 25)
    assert len(times) == pytest.approx(100, abs=1)
    assert set(np.diff(times).round(3)) == {0.08, 0.12}


@pytest.mark.parametrize("fps", [5.0, 24.0, 25.0])
def test_keeps_all_of_a_slower_or_equal_source(fps: float) -> None:
    assert len(kept(25.0, np.arange(100) / fps)) == 100


def test_jitter_of_arrival_costs_no_frame_at_an_equal_rate() -> None:
    jitter = np.random.default_rng(1).uniform(-0.012, 0.012, 1000)
    assert len(kept(25.0, np.arange(1000) / 25 + jitter)) == 1000


def test_times_rounded_to_milliseconds_cost_no_frame() -> None:
    assert len(kept(30.0, (np.arange(300) / 30).round(3))) == 300


def test_no_burst_follows_a_pause() -> None:
    burst = 60 + np.arange(25) / 1000
    assert len(kept(10.0, np.concatenate([[0.0, 0.1, 0.2], burst]))) <= 5


def stream(fps: float, seconds: float, *, begin: float = 0.0, jitter: float = 0.0) -> np.ndarray:
    """When the pictures of a camera arrive."""
    times = begin + np.arange(round(fps * seconds)) / fps
    return np.sort(times + np.random.default_rng(1).uniform(0, jitter, len(times)))


NEAR = 0.2 / 16 + 2e-6


def after_own(times: list[float], own: float) -> np.ndarray:
    """How much later than half a period before they are due pictures come, in seconds: 5 a second at most."""
    return (np.array(times) - (own - 0.1) + 1e-6) % 0.2


@pytest.mark.parametrize("own", [0.0, 0.05, 0.1, 0.15])
@pytest.mark.parametrize("begin", [0.0, 0.033, 0.11, 50_000.19])
@pytest.mark.parametrize(
    ("fps", "jitter"), [(10.0, 0.0), (12.5, 0.01), (25.0, 0.0), (25.003, 0.03), (30.0, 0.03), (100.0, 0.0)]
)
def test_a_faster_source_comes_to_be_due_at_its_own_time_and_stays(
    fps: float, jitter: float, begin: float, own: float
) -> None:
    arrivals = stream(fps, 60, begin=begin, jitter=jitter)
    times, without = kept(5.0, arrivals, own), kept(5.0, arrivals)
    assert all(own >= free for own, free in zip(times, without, strict=False))
    assert len(times) >= len(without) - 2
    settled = [at for at in times if at > begin + 2]
    assert after_own(settled, own).max() <= 1 / fps + jitter + NEAR
    assert len(settled) == pytest.approx(5 * 58, abs=1)
    assert np.diff(times).max() <= 0.25 + 1 / fps + jitter + 1e-6
    assert np.diff(settled).min() >= 0.2 - 1 / fps - jitter - 1e-6


def test_it_does_so_again_after_a_pause_without_a_burst() -> None:
    before, after = stream(25, 10), stream(25, 10, begin=14.21)
    burst = 14.2 + np.arange(90) / 10_000
    times = kept(5.0, np.concatenate([before, burst, after]), 0.15)
    assert after_own([at for at in times if 2 < at < 10 or at > 17], 0.15).max() <= 1 / 25 + NEAR
    assert len([at for at in times if 14 < at < 14.5]) <= 4


@pytest.mark.parametrize(("fps", "jitter"), [(4.0, 0.1), (5.0, 0.09), (5.1, 0.09), (6.0, 0.0), (7.5, 0.0)])
@pytest.mark.parametrize("own", [0.0, 0.07, 0.15])
def test_a_source_that_is_hardly_faster_is_left_as_it_is(fps: float, jitter: float, own: float) -> None:
    times = stream(fps, 600, begin=0.03, jitter=jitter)
    assert kept(5.0, times, own) == kept(5.0, times)


@pytest.mark.parametrize("own", [0.0, 0.05, 0.1, 0.15])
def test_pictures_that_come_in_bursts_are_no_spare_ones(own: float) -> None:
    bursts = np.repeat(stream(5, 600, begin=0.05, jitter=0.02), 5) + np.tile(np.arange(5) / 200, 3000)
    assert kept(5.0, bursts, own) == kept(5.0, bursts)


@pytest.mark.parametrize("own", [0.0, 0.05, 0.1, 0.15])
def test_one_that_becomes_slow_loses_no_more_than_without(own: float) -> None:
    night = stream(5, 600, begin=30.01, jitter=0.02)
    times = kept(5.0, np.concatenate([stream(25, 30), night]), own)
    assert len([at for at in times if at >= 30.01]) >= len(night) - 1
