"""Tiny material: a second of a scene with nobody, small."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.material import Material, write_idle


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_idle(tmp_path_factory.mktemp("bench") / "tiny.mp4", size=(320, 180), seconds=1)


@pytest.fixture(scope="session")
def material(clip: Path) -> Material:
    return Material(clip, clip, clip, clip, (), composed=True)
