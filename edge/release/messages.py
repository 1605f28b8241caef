"""The versioned JSON that leaves the box: one model for each message encodes, decodes and describes it.

Payloads are compact UTF-8 JSON with keys in a fixed order; times are RFC 3339 in UTC with `Z`. A consumer
that upserts counts, flow and periods by their `window_id` sees each exactly once, however often it is
delivered. `edge/release/schemas/` holds the JSON Schemas, written from these models by `make schemas`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PlainSerializer,
    PositiveInt,
    WithJsonSchema,
)

from edge.types import CameraState, CameraStatus, CommercialUse, Coverage

COUNTS: Final = "instore.counts/2"
TODAY: Final = "instore.today/1"
PERIODS: Final = "instore.periods/1"
FLOW: Final = "instore.flow/1"
BOX: Final = "instore.box/1"
CAMERA: Final = "instore.camera/1"

BoxState = Literal["online", "offline"]
Method = Literal["threshold", "noise", "none"]
Period = Literal["window", "hour", "day"]

_IDS = uuid.UUID("12e50000-7669-4a0b-97e2-0f160180020b")
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z$"


def rfc3339(moment: datetime) -> str:
    """A UTC time such as `2026-01-31T08:00:00Z`, with milliseconds where it is not a whole second."""
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def number(value: float) -> int | float:
    """To the millisecond, whole numbers without a fraction."""
    rounded = round(value, 3)
    return int(rounded) if rounded == int(rounded) else rounded


def window_id(*names: str | datetime) -> str:
    """The UUID (version 5) of a row by the names of its place and time: the same in every run."""
    parts = (rfc3339(name) if isinstance(name, datetime) else name for name in names)
    return str(uuid.uuid5(_IDS, "/".join(parts)))


Time = Annotated[
    AwareDatetime,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": _TIME}),
]
Name = Annotated[str, Field(min_length=1, pattern="^[^/+#]+$")]
Amount = Annotated[
    NonNegativeFloat,
    PlainSerializer(number),
    WithJsonSchema({"type": "number", "minimum": 0}),
]
Seconds = Amount
Cell = Annotated[
    int | None,
    Field(description="Visits; null: nothing of this cell is released here. With noise it may be negative."),
]
Cells = Annotated[
    dict[Annotated[str, Field(pattern=r"^[0-9]{1,3}(-[0-9]{1,3}|\+)$")], Cell],
    Field(
        description="By age bracket in whole years, youngest first.",
        min_length=1,
        json_schema_extra={"additionalProperties": False},
    ),
]
Sequence = Annotated[
    PositiveInt, Field(description="Counts the messages of this topic; a gap means that one was dropped.")
]
RowId = Annotated[
    str,
    Field(
        description="The same row always has the same id: upsert by it.",
        pattern="^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
    ),
]


def _is_empty(value: object) -> bool:
    """Whether a field stays out of the message: a quantity that is not configured is not in it."""
    return not value


class Part(BaseModel):
    """A message or a part of one: frozen, and without fields that are not named here."""

    model_config = ConfigDict(
        defer_build=True,  # each when it is first used, and not all at every start
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        populate_by_name=True,
        json_schema_serialization_defaults_required=True,
    )


class CoverageOf(Part):
    """How much of the time was watched; a window without visitors and an outage differ in it."""

    seconds: Seconds = Field(description="The camera gave usable pictures.")
    frames_analysed: NonNegativeInt = 0
    frames_dropped: dict[str, NonNegativeInt] = Field(default={}, description="By reason.")

    @classmethod
    def of(cls, coverage: Coverage) -> CoverageOf:
        """The same as it is published."""
        dropped = dict(sorted(coverage.dropped.items()))
        return cls(seconds=coverage.seconds, frames_analysed=coverage.analysed, frames_dropped=dropped)


class Model(Part):
    """The age model that assigned the brackets."""

    name: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(min_length=1)]


class LoadedModel(Model):
    """The age model of a box, and whether its terms allow a business to use it."""

    commercial_use: CommercialUse = Field(
        description="By the terms in the manifest of the model's bundle; unknown is no permission."
    )


class Privacy(Part):
    """How the numbers of a message were made safe to publish."""

    method: Method = Field(description="threshold: carried over until enough; noise: discrete Laplace; none.")
    minimum: PositiveInt = Field(description="threshold: each released number is of so many visits or more.")
    release_every: PositiveInt | None = Field(
        default=None, description="threshold: seconds between two releases."
    )
    epsilon: float | None = Field(default=None, description="noise: of each number in this message.")
    visit_epsilon: float | None = Field(
        default=None, description="noise: of one visit, over all its numbers."
    )


class Counts(Part):
    """The visits of one closed window, by age bracket, of one camera and zone.

    A number is in exactly one message: sums over any set of messages are right, and nothing is counted twice.
    """

    schema_: Literal["instore.counts/2"] = Field(default=COUNTS, alias="schema")
    window_id: RowId
    sequence: Sequence
    site: Name
    camera: Name
    zone: Name
    start: Time = Field(description="Start of the window, included.")
    end: Time = Field(description="End of the window, not included.")
    seconds: Seconds = Field(description="Length of the window.")
    counts: Cells
    unclassified: Cell
    since: dict[str, Time] = Field(description="By released cell: its visits came from this time to `end`.")
    groups: dict[str, NonNegativeInt] = Field(
        default={},
        description="At the end of the store's day: neighbouring brackets joined.",
    )
    released: int | None = Field(description="The sum of the released cells; null where none was released.")
    other: NonNegativeInt | None = Field(
        description="At the end of the store's day: visits without a bracket, beside cells and groups."
    )
    coverage: CoverageOf
    model: Model
    privacy: Privacy


class Figures(Part):
    """Released visits of some time, by age bracket: sums of released numbers, each in one of these fields."""

    start: Time
    end: Time
    counts: Cells
    unclassified: Cell
    groups: dict[str, NonNegativeInt] = {}
    other: NonNegativeInt | None = None
    released: int | None = Field(description="All of the above together; null where nothing was released.")
    covered_seconds: Seconds = Field(description="Summed over the cameras.")
    open_seconds: Seconds = Field(description="Of the store's opening hours; all of it where none are set.")


Share = Annotated[
    float,
    Field(ge=0, le=1),
    PlainSerializer(number),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]


class Interval(Part):
    """A share of the visits with an age, and the ends of its interval."""

    share: Share
    low: Share
    high: Share


class CalibrationOf(Part):
    """The age model whose confusions are corrected, and the validation faces on which they were measured."""

    name: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(min_length=1)]
    faces: NonNegativeInt


class Corrected(Part):
    """The shares of the brackets, corrected for the age model's confusions; computed from `total` alone.

    A cell that waits is taken for one with 0 to minimum - 1 visits. docs/measures.md has the formulas.
    """

    method: Literal["mode/2"]
    level: float = Field(description="The probability of an interval.")
    calibration: CalibrationOf
    visits: NonNegativeInt = Field(description="Released visits with a bracket: n.")
    shares: dict[str, Interval] | None = Field(description="By bracket; null: there is no estimate.")
    reason: str | None = Field(description="Why there is no estimate.")


class Today(Part):
    """What was released of the store's day so far, and of its hours. Retained; replaced at every release.

    A released cell is spread over the hours of its span in proportion to time.
    """

    schema_: Literal["instore.today/1"] = Field(default=TODAY, alias="schema")
    site: Name
    box: Name | None = Field(default=None, description="Of the sum over the cameras of a box.")
    camera: Name | None = None
    zone: Name | None = None
    day: date = Field(description="The store's day, by the date on which it starts.")
    timezone: str
    until: Time = Field(description="End of the last window that is in it.")
    total: Figures
    hours: list[Figures]
    basis: Literal["released", "windows"] = Field(
        description="released: sums of released cells. windows: with noise, sums of windows in the open hour."
    )
    corrected: Corrected | None = Field(
        default=None, description="null: the numbers were released without an age model."
    )
    model: Model
    privacy: Privacy


class AgesBy(Part):
    """Visits of a zone by age bracket and by size, in steps; every number has noise of its own."""

    bounds: Annotated[
        list[NonNegativeInt],
        Field(description="Lower bounds of the steps, in seconds; the last step is open.", min_length=1),
    ]
    visits: dict[str, list[int]] = Field(
        description="By bracket, `unclassified` among them: by step; with noise, so a number may be negative."
    )
    epsilon: float = Field(description="Of each number here: a part of privacy.epsilon of the settings.")
    error: float = Field(description="Mean absolute error of each number by the noise.")
    since: Time = Field(description="It was counted from this time on.")


class Periods(Part):
    """A closed local hour or day of a camera and zone, or of the box."""

    schema_: Literal["instore.periods/1"] = Field(default=PERIODS, alias="schema")
    window_id: RowId
    sequence: Sequence
    site: Name
    box: Name | None = Field(default=None, description="Of the sum over the cameras of a box.")
    camera: Name | None = None
    zone: Name | None = None
    period: Literal["hour", "day"]
    day: date = Field(description="The store's day, by the date on which it starts.")
    timezone: str
    figures: Figures
    dwell: Annotated[
        AgesBy | None, Field(description="Of one zone, with `privacy.ages_by`: by the time spent in it.")
    ] = Field(default=None, exclude_if=_is_empty)
    attention: Annotated[
        AgesBy | None, Field(description="Of one zone, with `privacy.ages_by`: by the time of looking.")
    ] = Field(default=None, exclude_if=_is_empty)
    model: Model
    privacy: Privacy


class Passages(Part):
    """Visitors who crossed a line, each at most once in each direction. null: the budget withholds it."""

    in_: int | None = Field(alias="in", description="To the right of the line; with noise.")
    out: int | None = Field(description="To the left of the line; with noise.")
    entrance: bool = Field(description="Whether its passages are the store's footfall.")


class Occupancy(Part):
    """How many are in the store at the end of a period: the published entries less exits of the day so far.

    It is computed from numbers with noise, whose errors add up over the day, and begins with nobody inside.
    """

    inside: NonNegativeInt
    error: Amount = Field(description="Mean absolute error of it by the noise, before it is held at 0.")
    since: Time = Field(description="Entries and exits are summed from here: the day's start, or later.")


class Stated(Part):
    """How exact the numbers of a quantity are in this message."""

    epsilon: float | None = Field(description="noise: of each number of the quantity; null: they are exact.")
    error: float = Field(description="Mean absolute error of each number by the noise, in its own unit.")
    since: Time = Field(description="The quantity was counted from this time on.")


class Histogram(Part):
    """Visits by size: one number for each step, with noise. A visit is in one step."""

    bounds: Annotated[
        list[NonNegativeInt],
        Field(description="Lower bounds of the steps, included; the last step is open.", min_length=1),
    ]
    visits: list[int] = Field(description="By step; with noise, so a number may be negative.")


class QueueFlow(Part):
    """A queue: how long it was, and how long its visits waited."""

    person_seconds: int | None = Field(
        description="Time that visits spent in the zone, each at most 300 s, in the period in which they end."
    )
    mean_length: float | None = Field(
        description="Persons: person_seconds by the watched seconds; null where nothing was watched, or the "
        "camera's queues changed within the period."
    )
    error: float | None = Field(description="Mean absolute error of mean_length by the noise, in persons.")
    waiting: Histogram | None = Field(description="Visits by the time in the zone, in seconds.")


class AttentionFlow(Part):
    """Who looked at the target of a camera. Every visit had the opportunity to see it."""

    min_seconds: PositiveInt = Field(description="A visit that looked for so long is a watcher.")
    watchers: int = Field(description="The sum of the steps from min_seconds on.")
    error: float = Field(description="Mean absolute error of watchers by the noise.")
    time: Histogram = Field(description="Visits by the time that they looked, in seconds.")


class GroupsFlow(Part):
    """How many visits came together, by size; with noise, so numbers may be negative."""

    sizes: Annotated[list[PositiveInt], Field(description="Visits of a group; the last step is open.")]
    groups: list[int] = Field(description="By step; the first one is of visits that came alone.")
    several: int = Field(description="Groups of two visits or more: the sum of the steps from 2 on.")
    error: float = Field(description="Mean absolute error of several by the noise.")


class MissedFlow(Part):
    """Tracks that were no visits, by reason; with noise, so numbers may be negative. Each is in one of them.

    A track may be a thing. One that goes on where another was lost is not counted. The noise is for one
    track: `visit_epsilon` covers a visit and a missed track that go on from each other; each further missed
    track of a person spends the part of `missed` once more.
    """

    brief: int = Field(description="Seen in fewer frames than tracking.confirm_hits.")
    small: int = Field(
        description="Refused, and never larger than 24 pixels, or 1.5 times detection.min_face if larger."
    )
    unclear: int = Field(
        description="In most looks eyes, nose and mouth were found, but too blurred, dark or covered."
    )
    turned: int = Field(
        description="In most looks they were not: a head from behind or from the side, or a thing like one."
    )


class ZoneFlow(Part):
    """What was counted in a zone of a camera; null: the budget withholds it."""

    entries: int | None = Field(
        description="Visits that were in the zone for a second or longer; each counts in three zones at most."
    )
    dwell: Histogram | None = Field(
        description="Visits that spent more time here than in any other zone, by that time, in seconds."
    )
    queue: QueueFlow | None = Field(
        default=None, description="Of a zone with role queue of one camera; the box sums no queues."
    )


class Flow(Part):
    """The visits of a window, a local hour or a day of one camera or box, without ages and with noise.

    Every period has noise of its own: an hour is no sum of its windows.
    """

    schema_: Literal["instore.flow/1"] = Field(default=FLOW, alias="schema")
    window_id: RowId
    sequence: Sequence
    site: Name
    box: Name | None = Field(default=None, description="Of the sum over the cameras of a box.")
    camera: Name | None = None
    period: Period
    start: Time
    end: Time
    seconds: Seconds
    visits: int = Field(description="With noise; may be negative.")
    lines: dict[Name, Passages] = Field(default={}, description="Of one camera: by line.")
    lines_epsilon: float | None = Field(
        default=None, description="noise: of each number in `lines`; of a box: of each that is summed."
    )
    lines_since: Time | None = Field(
        default=None, description="Lines were counted from this time on, which may be after `start`."
    )
    entries: int | None = Field(default=None, description="Of a box: the sum of `in` over entrance lines.")
    exits: int | None = Field(default=None, description="Of a box: the sum of `out` over entrance lines.")
    occupancy: Annotated[
        Occupancy | None,
        Field(description="Of a window or hour of a box with entrance lines: who is inside at `end`."),
    ] = Field(default=None, exclude_if=_is_empty)
    zones: Annotated[
        dict[Name, ZoneFlow],
        Field(description="By hour and day: by zone; of a box: summed over the zones of one name."),
    ] = Field(default={}, exclude_if=_is_empty)
    attention: Annotated[
        AttentionFlow | None,
        Field(description="Of one camera, by hour and day; null: the budget withholds it."),
    ] = Field(default=None, exclude_if=_is_empty)
    groups: Annotated[
        GroupsFlow | None,
        Field(description="Of one camera, by hour and day; null: the budget withholds it."),
    ] = Field(default=None, exclude_if=_is_empty)
    missed: Annotated[
        MissedFlow | None,
        Field(description="Of one camera, by hour and day; null: the budget withholds it."),
    ] = Field(default=None, exclude_if=_is_empty)
    quantities: Annotated[
        dict[str, Stated],
        Field(
            description="By name: every quantity of this message beside visits and lines. Of a box: error is "
            "that of the zone with the most noise, and since is when all its cameras counted it."
        ),
    ] = Field(default={}, exclude_if=_is_empty)
    coverage: CoverageOf
    privacy: Privacy


class Audited(Part):
    """How far a camera's visitors were from those that a person counted in 5 rounds or more; with noise.

    The rounds are in no other result. That 30 visitors or more were counted is exact.
    """

    day: date = Field(description="The store's day on which the audit was finished.")
    visits: int = Field(description="Visitors that the person counted, with noise, to whole tens.", ge=30)
    error: int = Field(
        description="The box's visitors less those, with noise, in whole per cent of `visits` before it was "
        "rounded; -100 and 100 stand for all beyond.",
        ge=-100,
        le=100,
    )
    epsilon: float = Field(
        description="Of this result for each visitor: a half for the visitors, a half for the difference. "
        "It is no part of `visit_epsilon` of other messages."
    )


class BoxStatus(Part):
    """The state of a box. Retained, and its Last Will."""

    schema_: Literal["instore.box/1"] = Field(default=BOX, alias="schema")
    site: Name
    box: Name
    state: BoxState
    since: Time | None = Field(description="null in a Last Will, which the broker sends at a later time.")
    reason: str
    preview: bool = Field(
        default=False,
        description="Whether somebody makes or looks at a setup still or a live picture on the box's page.",
    )
    audits: Annotated[
        dict[Name, Audited], Field(description="By camera: the last audit that was finished.")
    ] = Field(default={}, exclude_if=_is_empty)
    version: str
    model: LoadedModel | None = Field(
        default=None,
        description="null in the Last Will of `instore-edge check`.",
    )


class CameraStatusMessage(Part):
    """The state of a camera. Retained."""

    schema_: Literal["instore.camera/1"] = Field(default=CAMERA, alias="schema")
    site: Name
    camera: Name
    state: CameraState
    since: Time
    reason: str


Message = Counts | Today | Periods | Flow | BoxStatus | CameraStatusMessage
"""Everything that leaves the box over MQTT."""

MODELS: Mapping[str, type[Part]] = {
    COUNTS: Counts,
    TODAY: Today,
    PERIODS: Periods,
    FLOW: Flow,
    BOX: BoxStatus,
    CAMERA: CameraStatusMessage,
}


def encode(message: Message) -> bytes:
    """The payload of a message."""
    return json.dumps(
        message.model_dump(mode="json", by_alias=True), ensure_ascii=False, separators=(",", ":")
    ).encode()


def decode_counts(payload: bytes) -> Counts:
    """Read a counts payload. Raises ValueError unless it is a message of schema `instore.counts/2`."""
    return Counts.model_validate_json(payload)


def decode_flow(payload: bytes) -> Flow:
    """Read a flow payload. Raises ValueError unless it is a message of schema `instore.flow/1`."""
    return Flow.model_validate_json(payload)


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a message, such as `instore.counts/2`. Raises ValueError."""
    if name not in MODELS:
        raise ValueError(f"schema {name!r}: is unknown; allowed: {', '.join(MODELS)}")
    described = MODELS[name].model_json_schema(by_alias=True, mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:" + name.replace(".", ":").replace("/", ":"),
        **described,
        "title": name,
    }


@dataclass(frozen=True, slots=True)
class StatusEncoder:
    """The status payloads of one box, for the publisher, which knows neither its name nor its versions."""

    site: str
    box_name: str
    version: str
    model: LoadedModel | None = None
    audits: Callable[[], Mapping[str, Audited]] = dict

    def box(
        self, state: BoxState, since: datetime | None, reason: str = "", *, preview: bool = False
    ) -> bytes:
        """The `instore.box/1` payload. `since` is None in a Last Will."""
        return encode(
            BoxStatus(
                site=self.site,
                box=self.box_name,
                state=state,
                since=since,
                reason=reason,
                preview=preview,
                audits=dict(self.audits()),
                version=self.version,
                model=self.model,
            )
        )

    def camera(self, status: CameraStatus) -> bytes:
        """The `instore.camera/1` payload."""
        return encode(
            CameraStatusMessage(
                site=self.site,
                camera=status.camera_id,
                state=status.state,
                since=status.since,
                reason=status.reason,
            )
        )
