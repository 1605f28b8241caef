"""The names that a box publishes under."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topics:
    """The names that a box publishes under."""

    prefix: str
    site: str
    box: str

    @property
    def box_status(self) -> str:
        """Retained: online or offline."""
        return f"{self.prefix}/{self.site}/{self.box}/status"

    def camera_status(self, camera: str) -> str:
        """Retained: up, down, frozen or dark."""
        return f"{self.prefix}/{self.site}/{camera}/status"

    def counts(self, camera: str) -> str:
        """Every window, not retained."""
        return f"{self.prefix}/{self.site}/{camera}/counts"

    def latest(self, camera: str) -> str:
        """Retained: the last window."""
        return f"{self.prefix}/{self.site}/{camera}/latest"
