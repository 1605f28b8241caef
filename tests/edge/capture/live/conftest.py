"""What several tests of live sources use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mosquitto import make_certificates


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, server.pem and server.key for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder
