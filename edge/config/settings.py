"""TOML to validated settings: an error names every unknown key and bad value, with what is allowed.

Relative paths start from the folder of the configuration file. The TOML holds no secrets: settings name their
files, which are searched in `$CREDENTIALS_DIRECTORY` first where systemd provides one.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import ip_address
from itertools import combinations
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from edge.brackets import DEFAULT_BRACKETS, Bracket, parse_brackets
from edge.config.fields import DAY, Host, Seconds, Section, TopicLevel, host_and_port, is_address, split_url
from edge.config.mqtt import MqttSettings
from edge.config.polygons import area, crosses_itself
from edge.config.redaction import holds_credentials, is_mistyped_url
from edge.quantities import (
    ATTENTION,
    CROSSED,
    DWELL,
    GROUPS,
    LOOKED,
    MEMBERS,
    MISSED,
    QUANTITIES,
    QUEUE,
    UNCLASSIFIED,
    WAITING,
    ZONES,
    Missed,
)
from edge.store_time import (
    ALWAYS_OPEN,
    YEARS,
    OpeningHours,
    StoreTime,
    parse_day_starts,
    parse_opening_hours,
    parse_timezone,
)

Precision = Literal["fp32", "fp16", "int8"]
"""The number format of a graph: `model.onnx` of a bundle, or one of its variants."""

PrecisionSetting = Literal["auto", Precision]
"""What `model.precision` may be."""

BackendSetting = Literal["auto", "onnxruntime", "openvino", "tensorrt"]
"""What `model.backend` may be: a library that runs the age model, or the best one that works."""

QUARTER = 900
"""Seconds: every local hour of every time zone starts on a quarter of an hour in UTC."""

SHORTEST_WINDOW = 60
"""Seconds of the shortest window, unless true counts are published (`privacy.minimum = 1`)."""

SHORTEST_LINE = 0.01
"""Of the picture: a line that is shorter is a slip of the hand."""

SMALLEST_AREA = 1e-4
"""Of the picture: about 20 x 10 pixels of 1080p."""

REST = "rest"
"""The zone of the visits that were in no area and no queue, where a camera has any."""

MOST_ZONES = 16
MOST_CORNERS = 32

MOST_BESIDE = 60
"""Degrees from the camera: a head turned further away shows too little of its face."""

MOST_LINES = 8
"""Lines of a camera: they share the noise of its entries and exits."""


def _divides_quarter_hour(seconds: int) -> int:
    if seconds < 1 or QUARTER % seconds:
        raise ValueError(f"must divide {QUARTER} seconds evenly, such as 60, 300 or 900")
    return seconds


def _quarter_hours(seconds: int) -> int:
    if seconds < QUARTER or seconds % QUARTER or DAY % seconds:
        raise ValueError(
            f"must be a multiple of {QUARTER} seconds that divides the day, such as 1800 or 3600"
        )
    return seconds


def _without_password(source: str) -> str:
    if not source:
        raise ValueError("must be a URL, a device, a file or a folder")
    if is_mistyped_url(source):
        raise ValueError("looks like a URL; write it as scheme://host/path, a file as ./name")
    if "://" in source and holds_credentials(urlsplit(source)):
        raise ValueError(
            "holds credentials: put the name into 'username' and the password into 'password_file'"
        )
    return source


def _webhook(url: str) -> str:
    if not url:
        return url
    parts = split_url(url, "the webhook knows the box by the signature of 'secret_file'")
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[^\x21-\x7e]", url):
        raise ValueError("must be a URL in ASCII: https://host[:port][/path], or http:// in your own network")
    return url


def _fingerprint(text: str) -> str:
    if text and not re.fullmatch(r"[0-9a-fA-F]{64}|[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){31}", text):
        raise ValueError("must be the SHA-256 of the certificate: 64 hexadecimal digits, colons allowed")
    return text


def _whole_brackets(texts: tuple[str, ...]) -> tuple[str, ...]:
    parse_brackets(texts)
    return texts


def _whole_or_no_brackets(texts: tuple[str, ...]) -> tuple[str, ...]:
    return _whole_brackets(texts) if texts else texts


def _region(roi: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = roi
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError(
            "must be [left, top, right, bottom] as fractions of the picture, 0 <= left < right <= 1"
        )
    return roi


def _point(point: tuple[float, float]) -> tuple[float, float]:
    if not all(0 <= coordinate <= 1 for coordinate in point):
        raise ValueError("must be [x, y] as fractions of the picture, from 0 to 1")
    return point


def _outline(polygon: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    if crosses_itself(polygon):
        raise ValueError("crosses itself; allowed: corners in order round an area, each once")
    if area(polygon) < SMALLEST_AREA:
        raise ValueError(f"encloses less than {SMALLEST_AREA:g} of the picture")
    return polygon


def _require_own_names(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two {what} are named {name!r}: every one needs a name of its own")


def _tile(side: int | Literal["auto"]) -> int | Literal["auto"]:
    # Tiles smaller than the detector's own input show no more detail; thousands would stop the camera.
    if side not in ("auto", 0) and not 192 <= int(side) <= 4096:
        raise ValueError('must be "auto", 0 for no tiles, or 192 to 4096 pixels')
    return side


def _target(degrees: tuple[float, float]) -> tuple[float, float]:
    if not all(abs(angle) <= MOST_BESIDE for angle in degrees):
        raise ValueError(
            f"must be [right, down] in degrees from the camera, each from -{MOST_BESIDE} to {MOST_BESIDE}"
        )
    return degrees


def _utc(moment: datetime) -> datetime:
    if moment.utcoffset() != timedelta(0):
        raise ValueError("must be a time in UTC, such as 2026-01-31T08:00:00Z")
    if moment.year not in YEARS:
        raise ValueError(f"must be a time in one of the years {YEARS[0]} to {YEARS[-1]}")
    return moment


def _checked(parse: Callable[[str], object]) -> Callable[[str], str]:
    """Check the text with `parse` and keep it as it is: settings show the text of the file."""

    def check(text: str) -> str:
        parse(text)
        return text

    return check


def _opening_hours(value: str | dict[str, str]) -> str | dict[str, str]:
    if value:
        parse_opening_hours(value)
    return value


Ratio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Point = Annotated[tuple[float, float], Field(strict=False), AfterValidator(_point)]
Polygon = Annotated[
    tuple[Point, ...],
    Field(strict=False, min_length=3, max_length=MOST_CORNERS),
    AfterValidator(_outline),
]
Region = Annotated[tuple[float, float, float, float], Field(strict=False), AfterValidator(_region)]


class LineSettings(Section):
    """A line across the picture that visitors cross; "in" is to the right of `from` -> `to`.

    Points are fractions of the whole picture after the rotation. entrance: its "in" is the store's footfall.
    uturn_within: seconds within which a return over the line undoes the crossing.
    """

    model_config = ConfigDict(populate_by_name=True)

    name: TopicLevel
    from_: Annotated[Point, Field(alias="from")]
    to: Point
    entrance: bool = False
    uturn_within: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 5.0

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if math.dist(self.from_, self.to) < SHORTEST_LINE:
            raise ValueError(f"'from' and 'to' must be at least {SHORTEST_LINE} of the picture apart")
        return self


class ZoneSettings(Section):
    """A polygon on the picture, in fractions of the whole picture after the rotation.

    role: "staff": who is first seen there, or is there for longer than `staff_after` seconds, is not counted.
    "ignore": that part of the picture is made black before anything looks at it. "area": a visit belongs to
    the area where it spent longest. "queue": the same, and its length and waiting time are measured.
    """

    name: TopicLevel
    polygon: Polygon
    role: Literal["area", "queue", "staff", "ignore"]
    staff_after: Seconds = 60.0


class CameraSettings(Section):
    """One camera: its source, how its pictures are searched, and its lines.

    target: where visitors should look, in degrees beside the camera, to the picture's right and down. anchor:
    how many face heights below the middle of the face a visitor is taken to be where lines are drawn.
    """

    name: TopicLevel
    source: Annotated[str, AfterValidator(_without_password)]
    username: str = ""
    password_file: str = ""
    transport: Literal["auto", "tcp", "udp"] = "auto"
    ca_file: str = ""
    fingerprint: Annotated[str, AfterValidator(_fingerprint)] = ""
    insecure: bool = False
    zone: TopicLevel = "all"
    group: str = ""
    ages: bool = True
    max_fps: Annotated[float, Field(ge=1, le=120)] = 10.0
    rotation: Literal[0, 90, 180, 270] = 0
    roi: Region = (0.0, 0.0, 1.0, 1.0)
    range: Literal["far", "near"] = "far"
    tile: Annotated[int | Literal["auto"], AfterValidator(_tile)] = "auto"
    decoder: Literal["software", "nvdec"] = "software"
    decoder_threads: Annotated[int, Field(ge=1, le=16)] = 1
    open_timeout: Seconds = 10.0
    read_timeout: Seconds = 10.0
    frozen_after: Seconds = 30.0
    dark_after: Seconds = 10.0
    pace: Literal["real", "full"] = "real"
    loop: bool = False
    start: Annotated[datetime, AfterValidator(_utc)] | None = None
    anchor: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.0
    target: Annotated[tuple[float, float], Field(strict=False), AfterValidator(_target)] = (0.0, 0.0)
    lines: Annotated[tuple[LineSettings, ...], Field(strict=False, max_length=MOST_LINES)] = ()
    zones: Annotated[tuple[ZoneSettings, ...], Field(strict=False, max_length=MOST_ZONES)] = ()

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.password_file and not self.username:
            raise ValueError("'password_file' needs a 'username'")
        if sum(map(bool, (self.ca_file, self.fingerprint, self.insecure))) > 1:
            raise ValueError("of 'ca_file', 'fingerprint' and 'insecure' one is allowed")
        if (self.ca_file or self.fingerprint or self.insecure) and not self._is_encrypted:
            raise ValueError("'ca_file', 'fingerprint' and 'insecure' need a source of https:// or rtsps://")
        if self.transport != "auto" and not self.source.startswith("rtsp://"):
            raise ValueError("'transport' needs a source of rtsp://; rtsps:// is carried by TCP")
        if not self.ages and not self.group:
            raise ValueError("'ages = false' needs a 'group', one of whose cameras has ages")
        _require_own_names("lines", [line.name for line in self.lines])
        _require_own_names("zones", [zone.name for zone in self.zones])
        if any(zone.name == REST for zone in self.areas):
            raise ValueError(f"a zone is named {REST!r}, which is the zone of visits in no other")
        if self.areas and self.zone != CameraSettings.model_fields["zone"].default:
            raise ValueError(
                f"zone = {self.zone!r}: names the whole picture; leave it out where zones are areas or queues"
            )
        return self

    @property
    def areas(self) -> list[ZoneSettings]:
        """The zones that a visit may belong to."""
        return [zone for zone in self.zones if zone.role in ("area", "queue")]

    @property
    def counted_zones(self) -> tuple[str, ...]:
        """The names of the zones that visits are counted in; the last takes the visits of no other."""
        return (*(zone.name for zone in self.areas), REST) if self.areas else (self.zone,)

    @property
    def cells(self) -> dict[str, tuple[str, ...]]:
        """By quantity, the cells that the camera counts beside visits and lines."""
        areas = [zone.name for zone in self.areas]
        queues = [zone.name for zone in self.areas if zone.role == "queue"]
        parts = {ZONES: areas, DWELL: areas, QUEUE: queues, WAITING: queues}
        return {name: QUANTITIES[name].cells(names) for name, names in parts.items() if names}

    @property
    def ignored(self) -> list[tuple[tuple[float, float], ...]]:
        """The polygons that nothing looks at."""
        return [zone.polygon for zone in self.zones if zone.role == "ignore"]

    @property
    def _is_encrypted(self) -> bool:
        return self.source.startswith(("https://", "rtsps://"))


class DetectionSettings(Section):
    """Which library looks for faces, which boxes are faces, and how often the whole picture is searched."""

    engine: Literal["auto", "mediapipe", "onnxruntime", "tensorrt"] = "mediapipe"
    min_score: Ratio = 0.5
    min_face: Annotated[int, Field(ge=8, le=1000)] = 16
    full_scan_every: Seconds = 1.0
    still_scan_every: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 10.0
    second_opinion: Ratio = 0.7


class TrackingSettings(Section):
    """How long a visitor may be out of sight, and when a track is counted at the latest.

    reentry: seconds within which a visitor who left and is back at the same place is not counted again.
    """

    confirm_hits: Annotated[int, Field(ge=1, le=100)] = 3
    lost_after: Seconds = 3.0
    max_age: Seconds = 1800.0
    reentry: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)] = 0.0


def _step(seconds: int) -> int:
    steps = QUANTITIES[ATTENTION].bounds[1:]
    if seconds not in steps:
        raise ValueError(f"must be one of the steps that are published: {', '.join(map(str, steps))}")
    return seconds


class AttentionSettings(Section):
    """Who looks at a camera, or at its `target`.

    angle: degrees by which a head may point beside the target. min_seconds: a visit that looked for so long
    in all is a watcher.
    """

    enabled: bool = False
    angle: Annotated[float, Field(ge=10, le=60, allow_inf_nan=False)] = 30.0
    min_seconds: Annotated[int, AfterValidator(_step)] = 1


class GroupSettings(Section):
    """How many visitors came together."""

    enabled: bool = False


class MissedSettings(Section):
    """How many tracks were no visits, by reason."""

    enabled: bool = False


class CropSettings(Section):
    """How many pictures of a visitor the age model gets, and how far apart in time."""

    per_visitor: Annotated[int, Field(ge=1, le=32)] = 4
    spacing: Seconds = 0.5
    min_quality: Ratio = 0.05


class ModelSettings(Section):
    """The age model: its bundle, the backend that runs it, and how it is batched."""

    bundle: str = "builtin"
    backend: BackendSetting = "auto"
    precision: PrecisionSetting = "auto"
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    max_batch: Annotated[int, Field(ge=1, le=256)] = 8
    max_delay: Seconds = 0.02
    max_spread: Annotated[float, Field(gt=0, le=50)] = 15.0
    queue: Annotated[int, Field(ge=1, le=100_000)] = 256


class WindowSettings(Section):
    """The time windows and the age brackets that visitors are counted in.

    lateness: seconds for which a window waits for late visits. A visit ends up to `tracking.lost_after` after
    it was seen last, and up to 8 s where somebody nearer hides it (`edge.vision.track.HIDDEN_FOR`).
    share_brackets: those of the corrected shares; empty: the same. Finer `brackets` make the shares better.
    """

    length: Annotated[int, AfterValidator(_divides_quarter_hour)] = 300
    lateness: Annotated[float, Field(ge=0, le=3600)] = 8.0
    brackets: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_whole_brackets)] = (
        DEFAULT_BRACKETS
    )
    share_brackets: Annotated[
        tuple[str, ...], Field(strict=False), AfterValidator(_whole_or_no_brackets)
    ] = ()

    @property
    def parsed_brackets(self) -> tuple[Bracket, ...]:
        """The brackets in order of age, holding every age from 0 up exactly once."""
        return parse_brackets(self.brackets)


class PrivacySettings(Section):
    """What may leave the box: `edge.release` states the rule of each method.

    epsilon: of one visit over all cells with ages, with method "noise". flow_epsilon: of one visit over all
    numbers without ages. ages_by: what is published by age as well, with method "noise".
    """

    method: Literal["threshold", "noise"] = "threshold"
    minimum: Annotated[int, Field(ge=1, le=1000)] = 5
    release_every: Annotated[int, AfterValidator(_quarter_hours)] = 1800
    epsilon: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    flow_epsilon: Annotated[float, Field(ge=0.01, le=100)] = 4.0
    ages_by: Annotated[tuple[Literal["dwell", "attention"], ...], Field(strict=False, max_length=2)] = ()

    @model_validator(mode="after")
    def _is_hidden(self) -> Self:
        if self.ages_by and self.method != "noise":
            raise ValueError(
                f"ages_by = {json.dumps(self.ages_by)}: ages are crossed under noise alone; "
                'needs method = "noise", or ages_by = []'
            )
        return self

    @property
    def is_off(self) -> bool:
        """Whether true counts leave the box: for demonstrations and tests."""
        return self.method == "threshold" and self.minimum == 1


class HomeAssistantSettings(Section):
    """Whether the box and its cameras are announced to Home Assistant. prefix: its discovery prefix."""

    enabled: bool = False
    prefix: TopicLevel = "homeassistant"


class WebhookSettings(Section):
    """Where each message is posted, signed, beside the broker or instead of it. url: empty: nowhere."""

    url: Annotated[str, AfterValidator(_webhook)] = ""
    secret_file: str = ""
    ca_file: str = ""
    timeout: Annotated[float, Field(gt=0, le=30, allow_inf_nan=False)] = 10.0

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if bool(self.url) != bool(self.secret_file):
            raise ValueError("'url' and 'secret_file' go together: one is missing")
        if self.ca_file and not self.url.startswith("https://"):
            raise ValueError("'ca_file' needs a 'url' of https://")
        return self


class OutboxSettings(Section):
    """Where messages wait for the broker's acknowledgement."""

    directory: str = ""
    max_rows: Annotated[int, Field(ge=1)] = 1_500_000
    max_bytes: Annotated[int, Field(ge=65_536)] = 1 << 30


class HistorySettings(Section):
    """The messages of the last days, as they were published, for the page and for exports. 0 days: none."""

    days: Annotated[int, Field(ge=0, le=3660)] = 400
    max_bytes: Annotated[int, Field(ge=1 << 20)] = 1 << 30


class ListeningSettings(Section):
    """Where a server of the box listens."""

    enabled: bool = False
    host: Host = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)]

    @property
    def address(self) -> str:
        """Host and port, for messages."""
        return host_and_port(self.host, self.port)


class MetricsSettings(ListeningSettings):
    """The address for Prometheus and health checks. Port 0 takes a free one."""

    enabled: bool = True
    port: Annotated[int, Field(ge=0, le=65535)] = 9108


class WebSettings(ListeningSettings):
    """The page of the box. Beyond this machine it needs a password and TLS.

    names: host names by which browsers reach it, beside addresses and localhost. setup: whether lines and
    zones can be drawn on it, audit: whether visitors can be counted on a masked live picture; both need the
    password.
    """

    port: Annotated[int, Field(ge=0, le=65535)] = 9109
    names: Annotated[tuple[Host, ...], Field(strict=False)] = ()
    password_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    setup: bool = False
    audit: bool = False

    @property
    def is_private(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host == "localhost" or (is_address(self.host) and ip_address(self.host).is_loopback)

    @model_validator(mode="after")
    def _is_protected(self) -> Self:
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("'cert_file' and 'key_file' go together: one is missing")
        if self.setup and not self.password_file:
            raise ValueError("setup = true: Set up needs 'password_file'")
        if self.audit and not self.password_file:
            raise ValueError("audit = true: the audit needs 'password_file'")
        if not self.is_private and not (self.password_file and self.cert_file):
            raise ValueError(
                f"host = {self.host!r} can be reached from other machines: needs 'password_file', "
                "'cert_file' and 'key_file'; allowed without them: 127.0.0.1, ::1, localhost"
            )
        return self


class LogSettings(Section):
    """What the daemon logs; `--log-level` overrides it."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class SiteSettings(Section):
    """The store: its name, and its time.

    timezone: an IANA name. day_starts: local time on a quarter of an hour, at which the store's day starts.
    opening_hours: see `edge.store_time.parse_opening_hours`; without it the store is always open.
    """

    name: TopicLevel = "store"
    timezone: Annotated[str, AfterValidator(_checked(parse_timezone))] = "UTC"
    day_starts: Annotated[str, AfterValidator(_checked(parse_day_starts))] = "00:00"
    opening_hours: Annotated[str | dict[str, str], AfterValidator(_opening_hours)] = ""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        """`site = "store-7"` is short for the name alone."""
        if not isinstance(value, str | dict | SiteSettings):
            raise ValueError("must be a string, in quotes, or a table")  # noqa: TRY004 - pydantic's protocol
        return {"name": value} if isinstance(value, str) else value

    @property
    def time(self) -> StoreTime:
        """The store's days, hours and release moments."""
        return StoreTime(parse_timezone(self.timezone), parse_day_starts(self.day_starts))

    @property
    def opening(self) -> OpeningHours:
        """When the store is open."""
        return parse_opening_hours(self.opening_hours) if self.opening_hours else ALWAYS_OPEN


class Settings(Section):
    """The whole configuration."""

    site: SiteSettings = SiteSettings()
    box: TopicLevel = "box"
    cameras: Annotated[tuple[CameraSettings, ...], Field(strict=False, min_length=1)]
    detection: DetectionSettings = DetectionSettings()
    tracking: TrackingSettings = TrackingSettings()
    attention: AttentionSettings = AttentionSettings()
    groups: GroupSettings = GroupSettings()
    missed: MissedSettings = MissedSettings()
    crops: CropSettings = CropSettings()
    model: ModelSettings = ModelSettings()
    windows: WindowSettings = WindowSettings()
    privacy: PrivacySettings = PrivacySettings()
    mqtt: MqttSettings = MqttSettings()
    home_assistant: HomeAssistantSettings = HomeAssistantSettings()
    webhook: WebhookSettings = WebhookSettings()
    outbox: OutboxSettings = OutboxSettings()
    history: HistorySettings = HistorySettings()
    metrics: MetricsSettings = MetricsSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()

    def cells_of(self, camera: CameraSettings) -> dict[str, tuple[str, ...]]:
        """By quantity, the cells that a camera counts beside visits and lines."""
        parts = {ATTENTION: (LOOKED, self.attention.enabled), GROUPS: (MEMBERS, self.groups.enabled)}
        more = {name: QUANTITIES[name].cells([part]) for name, (part, enabled) in parts.items() if enabled}
        missed = {MISSED: tuple(Missed)} if self.missed.enabled else {}
        return camera.cells | more | missed

    def crossed_cells_of(self, camera: CameraSettings) -> dict[str, tuple[str, ...]]:
        """By quantity, the cells of a camera's visits by zone, bracket and step: of `privacy.ages_by`."""
        zones = {DWELL: [zone.name for zone in camera.areas], ATTENTION: camera.counted_zones}
        found: dict[str, tuple[str, ...]] = {}
        for name in self.privacy.ages_by if camera.ages else ():
            parts = [
                f"{zone}/{age}" for zone in zones[name] for age in (*self.windows.brackets, UNCLASSIFIED)
            ]
            found |= {CROSSED[name]: QUANTITIES[name].cells(parts)} if parts else {}
        return found

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self._check_names()
        self._check_groups()
        self._check_shared_sources()
        self._check_ages_by()
        if self.home_assistant.enabled and not self.mqtt.enabled:
            raise ValueError("home_assistant.enabled = true needs mqtt.enabled = true")
        if self.web.enabled and not self.history.days:
            raise ValueError(
                "web.enabled = true: the page shows the history; needs history.days of 1 or more"
            )
        if self.windows.lateness < self.tracking.lost_after:
            raise ValueError(
                f"windows.lateness = {self.windows.lateness} is less than tracking.lost_after = "
                f"{self.tracking.lost_after}: a visitor's end is known only after that time, and after up "
                "to 8 seconds where somebody hides them; 8 or more is best"
            )
        if self.windows.length < SHORTEST_WINDOW and not self.privacy.is_off:
            raise ValueError(
                f"windows.length = {self.windows.length}: must be {SHORTEST_WINDOW} to {QUARTER} seconds, "
                "unless privacy.minimum = 1"
            )
        return self

    def _check_names(self) -> None:
        names = [camera.name for camera in self.cameras]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two cameras are named {name!r}: every camera needs a name of its own")
        if self.box in names:
            raise ValueError(
                f"box and a camera are both named {self.box!r}: they share a level of the topics"
            )

    def _check_groups(self) -> None:
        """One view of each visitor carries ages; it is fixed, also while that camera is down."""
        for group in sorted({camera.group for camera in self.cameras if camera.group}):
            members = [camera for camera in self.cameras if camera.group == group]
            if sum(camera.ages for camera in members) != 1:
                names = ", ".join(camera.name for camera in members)
                raise ValueError(
                    f"group {group!r} ({names}): exactly one of its cameras must have ages = true"
                )

    def _check_ages_by(self) -> None:
        asked = self.privacy.ages_by
        if ATTENTION in asked and not self.attention.enabled:
            raise ValueError('privacy.ages_by: "attention" needs attention.enabled = true')
        if DWELL in asked and not any(camera.ages and camera.areas for camera in self.cameras):
            raise ValueError(
                'privacy.ages_by: "dwell" needs a zone with role = "area" or "queue" on a camera with ages'
            )

    def _check_shared_sources(self) -> None:
        if self.privacy.is_off:
            return
        for one, other in combinations(self.cameras, 2):
            same_group = one.group == other.group != ""
            if one.source == other.source and not same_group and _overlap(_as_sent(one), _as_sent(other)):
                raise ValueError(
                    f"cameras {one.name!r} and {other.name!r} have the same source and overlapping regions: "
                    "single visitors would show as the difference; name both in one 'group'"
                )


_Roi = tuple[float, float, float, float]


def _as_sent(camera: CameraSettings) -> _Roi:
    """The region of a camera in the picture as its source sends it, before the rotation."""
    left, top, right, bottom = camera.roi
    for _ in range(camera.rotation // 90):
        left, top, right, bottom = top, 1 - right, bottom, 1 - left
    # 1 - 0.9 is a little less than 0.1: two parts that only touch would overlap.
    return round(left, 9), round(top, 9), round(right, 9), round(bottom, 9)


def _overlap(one: _Roi, other: _Roi) -> bool:
    left, top = max(one[0], other[0]), max(one[1], other[1])
    return left < min(one[2], other[2]) and top < min(one[3], other[3])
