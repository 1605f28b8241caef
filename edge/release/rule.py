"""What the gate releases by, as configured; a reload replaces it as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from edge.config import Settings
from edge.quantities import AGES, CROSSED, VISITS
from edge.release.messages import Model, Privacy
from edge.release.noise.ledger import Shares, age_shares, epsilon_of_visit, flow_shares
from edge.store_time import OpeningHours, StoreTime


class Topics(Protocol):
    """The topics that the gate's messages go to (`edge.delivery.topics`)."""

    def of_site(self, site: str) -> Topics: ...
    @property
    def box_today(self) -> str: ...
    @property
    def box_flow(self) -> str: ...
    @property
    def box_periods(self) -> str: ...
    def flow(self, camera: str) -> str: ...
    def counts(self, camera: str, zone: str) -> str: ...
    def latest(self, camera: str, zone: str) -> str: ...
    def today(self, camera: str, zone: str) -> str: ...
    def periods(self, camera: str, zone: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Rule:
    """What may leave, when, and for which cameras.

    with_ages: cameras whose visits are released by age. in_box: cameras that the box's sums count, one of
    each group of views. flow_epsilon: of a visit over all numbers without ages; None where the gate is off.
    reach: the visits that one visit more or less changes, itself included: 2 with re-entry, as another at its
    place may be taken for it and not be counted. Every share of noise is divided by it.
    ages: the epsilon of each number by age; empty where the threshold releases them.
    entrances: the lines whose passages are the store's footfall, by camera.
    watching_from: seconds of looking that make a visit a watcher.
    share_brackets: of the corrected shares; empty: those that visits are counted in.
    """

    site: str
    box: str
    time: StoreTime
    opening: OpeningHours
    with_ages: frozenset[str]
    in_box: frozenset[str]
    minimum: int
    release_every: int
    flow_epsilon: Fraction | None
    reach: int
    ages: Shares
    entrances: Mapping[str, frozenset[str]]
    watching_from: int
    share_brackets: tuple[str, ...]
    model: Model

    @classmethod
    def of(cls, settings: Settings, model: Model) -> Rule:
        """The rule of these settings, for an age model."""
        privacy, cameras = settings.privacy, settings.cameras
        noise, epsilon = privacy.method == "noise", exact(privacy.flow_epsilon)
        reach = 2 if settings.tracking.reentry else 1
        with_age = {AGES, *(CROSSED[name] for name in privacy.ages_by)}
        aged = frozenset(camera.name for camera in cameras if camera.ages)
        return cls(
            site=settings.site.name,
            box=settings.box,
            time=settings.site.time,
            opening=settings.site.opening,
            with_ages=aged,
            in_box=aged,  # of the views that can see the same visitor, the one with ages stands for all
            minimum=privacy.minimum,
            release_every=privacy.release_every,
            flow_epsilon=None if privacy.is_off else epsilon,
            reach=reach,
            ages=age_shares(exact(privacy.epsilon) / reach, with_age) if noise else {},
            entrances={
                camera.name: frozenset(line.name for line in camera.lines if line.entrance)
                for camera in cameras
                if any(line.entrance for line in camera.lines)
            },
            watching_from=settings.attention.min_seconds,
            share_brackets=settings.windows.share_brackets,
            model=model,
        )

    @property
    def is_off(self) -> bool:
        """Whether true counts leave the box."""
        return self.flow_epsilon is None

    @property
    def visit_epsilon(self) -> Fraction:
        """The whole epsilon of one visit, over all numbers with noise."""
        return self.reach * epsilon_of_visit(self.flow_shares(), self.ages)

    def flow_shares(self, beside: Iterable[str] = ()) -> Shares:
        """The epsilon of each number without ages. beside: the camera's quantities beside the visits."""
        if self.flow_epsilon is None:
            return {}
        return flow_shares(self.flow_epsilon / self.reach, {VISITS, *beside})

    @property
    def summed(self) -> frozenset[str]:
        """The cameras that the box's sums wait for."""
        return self.in_box | self.entrances.keys()

    def privacy(self, epsilon: Fraction | None = None) -> Privacy:
        """How a message's numbers were made safe. epsilon: of each number with noise; None: the threshold."""
        if self.is_off:
            return Privacy(method="none", minimum=1)
        if epsilon is None:
            return Privacy(method="threshold", minimum=self.minimum, release_every=self.release_every)
        visit = float(self.visit_epsilon)
        return Privacy(method="noise", minimum=1, epsilon=float(epsilon), visit_epsilon=visit)


def exact(epsilon: float) -> Fraction:
    """The decimal that a person wrote: 0.1 is one tenth."""
    return Fraction(str(epsilon))
