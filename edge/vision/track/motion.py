"""Where visitors are: a Kalman filter for each track.

People keep their speed for a second or two and then do something else, so velocity is an Ornstein-Uhlenbeck
process: correlated over `PERSISTENCE` seconds, of known spread. It makes the prediction exact for any time
step, and a visitor out of sight slows down instead of moving on at full speed. Lengths are measured in face
sizes: one set of numbers is right for near and far and for every resolution.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.geometry import centres
from edge.types import Boxes

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]

PERSISTENCE = 2.0
"""Seconds over which a visitor's velocity stays correlated."""

SPEED = np.array([4.0, 4.0, 0.5, 0.5])
"""Standard deviation of velocity: x and y in face sizes per second, growth in e-folds per second.

A face is about 0.16 m wide and people walk at 1.4 m/s: 8.75 face sizes per second across the view, 0 straight
towards the camera. At that speed a face 3 m away grows by 0.47 e-folds per second.
"""

NOISE = np.array([0.1, 0.1, 0.1, 0.1])
"""Standard deviation of a measurement: x and y in face sizes, sides in e-folds. Boxes jitter, heads turn."""


class Motion:
    """The Kalman filters of all tracks, one row each, advanced together.

    A row's four coordinates are independent: centre x, y in pixels, log of width, log of height in pixels.
    """

    def __init__(self) -> None:
        # Of every track and coordinate: position, velocity, and position's variance, their covariance,
        # velocity's variance, these three with lengths in face sizes.
        self._state = np.empty((5, 0, 4))
        self._seen = np.empty((0, 4))  # the last measurement of every track

    def start(self, measured: Floats) -> None:
        """Add rows that rest at these measurements (N, 4), their velocity unknown."""
        fresh = np.zeros((5, len(measured), 4))
        fresh[0] = measured
        fresh[2] = NOISE**2
        fresh[4] = SPEED**2
        self._state = np.concatenate([self._state, fresh], axis=1)
        self._seen = np.concatenate([self._seen, measured])

    def copy(self, row: int, to: int) -> None:
        """Let another row move as this one."""
        self._state[:, to], self._seen[to] = self._state[:, row], self._seen[row]

    def keep(self, rows: Bools) -> None:
        """Forget all other rows."""
        self._state, self._seen = self._state[:, rows], self._seen[rows]

    def predict(self, seconds: Floats) -> None:
        """Let `seconds` (N,) pass for each row: the exact moments of an Ornstein-Uhlenbeck process."""
        position, velocity, spread, link, drift = self._state
        seconds = seconds[:, None]
        kept = np.exp(-seconds / PERSISTENCE)
        reach = PERSISTENCE * (1 - kept)
        position += reach * velocity
        velocity *= kept
        spread += reach * (2 * link + reach * drift)
        spread += SPEED**2 * PERSISTENCE * (2 * (seconds - reach) - reach**2 / PERSISTENCE)
        link += reach * drift
        link *= kept
        link += SPEED**2 * reach**2 / PERSISTENCE
        drift *= kept**2
        drift += SPEED**2 * (1 - kept**2)

    def surprise(self, measured: Floats, noise: Floats) -> Floats:
        """-2 log likelihood of each of M measurements under each of N tracks, (N, M), up to a constant.

        noise: (M, 4), the standard deviation of each measurement.
        """
        position, _, spread, _, _ = self._state
        variance = np.ascontiguousarray(spread.T)[:, :, None] + np.ascontiguousarray(noise.T)[:, None] ** 2
        each = self._errors(measured, position) ** 2 / variance + np.log(variance)
        return np.asarray(each[0] + each[1] + each[2] + each[3])

    def apart(self, measured: Floats, most: float = np.inf) -> Floats:
        """Distances in face sizes of M measurements from where N tracks were seen last, (N, M).

        most: E-folds from which on, if their sides differ by so much, it is infinite.
        """
        x, y, width, height = self._errors(measured, self._seen)
        growth = np.maximum(np.abs(width), np.abs(height))
        return np.where(growth < most, np.hypot(x, y), np.inf)

    def correct(self, rows: Indices, measured: Floats, noise: Floats) -> None:
        """Kalman update of these rows, each with its measurement and the standard deviation of that."""
        position, velocity, spread, link, drift = self._state[:, rows]
        self._seen[rows] = measured
        error = measured - position
        gain, push = spread / (spread + noise**2), link / (spread + noise**2)
        self._state[:, rows] = (
            position + gain * error,
            velocity + push * error,
            spread * (1 - gain),
            link * (1 - gain),
            drift - push * link,
        )

    def boxes(self) -> Boxes:
        """The present boxes, float32 (N, 4)."""
        position = self._state[0]
        half = np.exp(position[:, 2:]) / 2
        return np.concatenate([position[:, :2] - half, position[:, :2] + half], axis=1).astype(np.float32)

    def _errors(self, measured: Floats, places: Floats) -> Floats:
        """Of M measurements from the places of N tracks, (4, N, M): x and y in face sizes, sides in e-folds.

        Each coordinate lies together in memory: of 100 tracks that takes a seventh of the time.
        """
        measured, places = np.ascontiguousarray(measured.T), np.ascontiguousarray(places.T)
        error = measured[:, None] - places[:, :, None]
        error[:2] /= np.exp(self._state[0, :, 2:].mean(axis=1))[:, None]
        return error


def measure(boxes: Boxes) -> Floats:
    """Boxes as the filter's coordinates, (N, 4); a side shorter than a pixel counts as one."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    return np.concatenate([centres(boxes), np.log(sides)], axis=1, dtype=np.float64)
