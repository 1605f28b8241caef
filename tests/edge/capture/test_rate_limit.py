from __future__ import annotations

import numpy as np
import pytest

from edge.capture import RateLimit


def kept(max_fps: float, times: np.ndarray) -> list[float]:
    limit = RateLimit(max_fps)
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
