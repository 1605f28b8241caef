"""One daemon for each state directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.daemon.lock import NAME, StateLock
from edge.errors import OutsideError


def test_a_second_daemon_is_refused_until_the_first_has_ended(tmp_path: Path):
    first = StateLock(tmp_path)
    with pytest.raises(OutsideError, match="another instance of this daemon is using it"):
        StateLock(tmp_path)
    first.release()
    StateLock(tmp_path).release()


def test_a_pipe_of_the_lock_s_name_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / NAME)
    first = StateLock(tmp_path)
    with pytest.raises(OutsideError, match="another instance of this daemon is using it"):
        StateLock(tmp_path)
    first.release()
