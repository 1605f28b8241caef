"""The MQTT topics that a box publishes on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one box. prefix: the first level of each."""

    prefix: str
    site: str
    box: str

    @property
    def client_id(self) -> str:
        """The MQTT client id of the box; every other client of this program adds its name to it."""
        return f"{self.prefix}-{self.site}-{self.box}"

    @property
    def box_status(self) -> str:
        """Retained: online or offline."""
        return self._name(self.box, "status")

    @property
    def box_today(self) -> str:
        """Retained: the released counts of the local day, over all cameras."""
        return self._name(self.box, "today")

    @property
    def box_flow(self) -> str:
        """The visits of every window, hour and day with noise, over all cameras."""
        return self._name(self.box, "flow")

    @property
    def box_periods(self) -> str:
        """The closed local hours and days, over all cameras."""
        return self._name(self.box, "periods")

    def of_site(self, site: str) -> Self:
        """The topics that the box had, or will have, under this name of its site."""
        return replace(self, site=site)

    def camera_status(self, camera: str) -> str:
        """Retained: up, down, frozen or dark."""
        return self._name(camera, "status")

    def flow(self, camera: str) -> str:
        """The visits of every window, hour and day, with noise."""
        return self._name(camera, "flow")

    def counts(self, camera: str, zone: str) -> str:
        """Every closed window."""
        return self._name(camera, zone, "counts")

    def latest(self, camera: str, zone: str) -> str:
        """Retained: the last closed window."""
        return self._name(camera, zone, "latest")

    def today(self, camera: str, zone: str) -> str:
        """Retained: the released counts of the local day."""
        return self._name(camera, zone, "today")

    def periods(self, camera: str, zone: str) -> str:
        """The closed local hours and days."""
        return self._name(camera, zone, "periods")

    def owner(self, topic: str) -> str | None:
        """The camera or box of this site that a topic belongs to; None for a topic of another site."""
        start = f"{self.prefix}/{self.site}/"
        return topic.removeprefix(start).partition("/")[0] if topic.startswith(start) else None

    def _name(self, *levels: str) -> str:
        return "/".join((self.prefix, self.site, *levels))
