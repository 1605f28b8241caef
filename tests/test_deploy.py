"""What is installed beside the program."""

from __future__ import annotations

from pathlib import Path

UNIT = Path(__file__).parents[1] / "deploy" / "systemd" / "instore-edge.service"


def test_the_service_keeps_pictures_off_the_disk_and_does_not_repeat_a_bad_configuration() -> None:
    lines = UNIT.read_text().splitlines()
    assert {"LimitCORE=0", "MemorySwapMax=0", "RestartPreventExitStatus=2"} <= set(lines)
    assert "After=network-online.target time-sync.target" in lines
    assert "Wants=network-online.target time-sync.target" in lines
