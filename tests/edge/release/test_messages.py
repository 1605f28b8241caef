"""The payloads, byte for byte and against the shipped schemas."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edge.release.messages import (
    BOX,
    CAMERA,
    COUNTS,
    StatusEncoder,
    decode_counts,
    encode_box_status,
    encode_camera_status,
    encode_counts,
    rfc3339,
    schema,
    window_id,
)
from edge.release.released import ReleasedWindow, release_window
from edge.types import CameraState, CameraStatus, Coverage, WindowCounts

START = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
WINDOW = WindowCounts(
    site="store",
    camera_id="door",
    zone="all",
    start=START,
    end=START + timedelta(minutes=5),
    counts={"0-17": 3, "18-64": 7, "65+": 0},
    unclassified=3,
    coverage=Coverage(seconds=299.9995, analysed=2990, dropped={"queue_full": 3, "overwritten": 12}),
)


GOLDEN = (
    '{"schema":"instore.counts/1","window_id":"GOLDEN_ID","sequence":42,"site":"store","camera":"door","zone":"all",'
    '"start":"2026-01-31T08:00:00Z","end":"2026-01-31T08:05:00Z","seconds":300,'
    '"counts":{"0-17":null,"18-64":7,"65+":0},"total":13,"unclassified":null,'
    '"coverage":{"seconds":300,"frames_analysed":2990,"frames_dropped":{"overwritten":12,"queue_full":3}},'
    '"model":{"name":"faceres","version":"1.0"},"privacy":{"minimum":5}}'
)
GOLDEN_ID = "27695fe3-3117-5ee4-a40c-805ede01322e"


def counts(window: WindowCounts = WINDOW) -> bytes:
    return encode_counts(release_window(window, 5), 42, "faceres", "1.0")


def faults(payload: bytes, name: str) -> list[str]:
    """What the shipped schema has against a payload."""
    return [error.message for error in Draft202012Validator(schema(name)).iter_errors(json.loads(payload))]


def broken(payload: bytes, **changes: Any) -> bytes:
    return json.dumps(json.loads(payload) | changes).encode()


def test_counts_are_stable_to_the_byte() -> None:
    assert counts().decode() == GOLDEN.replace("GOLDEN_ID", GOLDEN_ID)


def test_counts_hold_nothing_but_what_was_released() -> None:
    other = replace(WINDOW, counts={"0-17": 2, "18-64": 7, "65+": 0}, unclassified=4)

    assert counts(other) == counts()


def test_true_counts_cannot_be_encoded() -> None:
    """mypy refuses it: were it allowed, the ignored error would be an unused one."""
    with pytest.raises(AttributeError):
        encode_counts(WINDOW, 42, "faceres", "1.0")  # type: ignore[arg-type]


def test_only_the_gate_makes_a_released_window() -> None:
    released = release_window(WINDOW, 5)
    fields = {name: getattr(released, name) for name in ReleasedWindow.__slots__}
    with pytest.raises(TypeError, match="only release_window"):
        ReleasedWindow(**fields, seal=object())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ReleasedWindow(**fields)
    with pytest.raises(ValueError, match="InitVar 'seal' must be specified"):
        replace(released, zone="elsewhere")  # type: ignore[call-arg]  # that is the fault


def test_a_window_has_one_id_and_others_have_others() -> None:
    def ident(**changes: Any) -> str:
        w = replace(WINDOW, **changes)
        return window_id(w.site, w.camera_id, w.zone, w.start, w.end)

    different = [
        ident(),
        ident(site="shop"),
        ident(camera_id="till"),
        ident(zone="aisle"),
        ident(start=START + timedelta(minutes=1)),
        ident(end=START + timedelta(minutes=1)),
    ]
    assert ident() == GOLDEN_ID
    assert len(set(different)) == len(different)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (START, "2026-01-31T08:00:00Z"),
        (START + timedelta(microseconds=250_900), "2026-01-31T08:00:00.250Z"),
    ],
)
def test_times_are_rfc_3339_in_utc(moment: datetime, text: str) -> None:
    assert rfc3339(moment) == text
    assert datetime.fromisoformat(text).utcoffset() == timedelta(0)


def test_every_message_is_valid_against_its_schema() -> None:
    status = CameraStatus("door", CameraState.FROZEN, START, "the same picture for 30 s")
    online = encode_box_status("store", "box", state="online", since=START, version="0.1.0")
    will = encode_box_status("store", "box", state="offline", since=None, version="0.1.0")

    assert faults(counts(), COUNTS) == []
    assert faults(encode_camera_status("store", status), CAMERA) == []
    assert faults(online, BOX) == []
    assert faults(will, BOX) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"start": "2026-01-31T08:00:00+00:00"},
        {"start": "2026-01-31 08:00:00Z"},
        {"sequence": 0},
        {"sequence": "1"},
        {"window_id": "1"},
        {"counts": {}},
        {"counts": {"young": 1}},
        {"counts": {"0-17": -1}},
        {"total": 1.5},
        {"camera": "a/b"},
        {"track_id": 7},
        {"privacy": {}},
        {"coverage": {"seconds": -1, "frames_analysed": 0, "frames_dropped": {}}},
    ],
)
def test_the_schema_of_counts_refuses(changes: dict[str, Any]) -> None:
    assert len(faults(broken(counts(), **changes), COUNTS)) >= 1


@pytest.mark.parametrize("name", [COUNTS, BOX, CAMERA])
def test_the_schemas_are_schemas_that_explain_and_close_themselves(name: str) -> None:
    described = schema(name)

    Draft202012Validator.check_schema(described)
    assert described["properties"]["schema"]["const"] == name
    assert described["additionalProperties"] is False
    assert sorted(described["required"]) == sorted(described["properties"])
    assert described["title"] and described["description"]


def test_an_unknown_schema_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=re.escape("'instore.counts/2': there are instore.counts/1")):
        schema("instore.counts/2")


def test_decoding_gives_back_what_was_encoded() -> None:
    message = decode_counts(counts())

    assert message["counts"] == {"0-17": None, "18-64": 7, "65+": 0}
    assert list(message["counts"]) == list(WINDOW.counts)


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        (b"{", "delimiter|property name"),
        (b"\xff", "decode"),
        (b"[]", "not a message of schema instore.counts/1"),
        (b'{"schema":"instore.counts/2"}', "not a message of schema instore.counts/1"),
        (b'{"schema":"instore.counts/1"}', "lacks window_id, sequence"),
    ],
)
def test_decoding_refuses_what_is_no_counts_message(payload: bytes, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        decode_counts(payload)


def test_the_status_encoder_knows_its_box() -> None:
    encoder = StatusEncoder("store", "box", "0.1.0")
    status = CameraStatus("door", CameraState.UP, START)

    assert encoder.box("offline", None, "stopped") == encode_box_status(
        "store", "box", state="offline", since=None, version="0.1.0", reason="stopped"
    )
    assert encoder.camera(status) == encode_camera_status("store", status)
