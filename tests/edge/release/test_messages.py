"""The payloads, byte for byte and against their schemas."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from edge.release.messages import (
    COUNTS,
    MODELS,
    Audited,
    LoadedModel,
    StatusEncoder,
    decode_counts,
    number,
    rfc3339,
    schema,
    window_id,
)
from edge.release.schema_files import FOLDER, path_of, text_of
from edge.types import CameraState, CameraStatus, Coverage
from tests.gates import MIDNIGHT, Box, of, rule, window

START = MIDNIGHT + timedelta(hours=8, minutes=25)
COVERAGE = Coverage(seconds=299.9995, analysed=2990, dropped={"overwritten": 12})

GOLDEN = (
    '{"schema":"instore.counts/2","window_id":"b5e97f9d-a6bc-569c-b581-2ba844e3f8c6","sequence":1,'
    '"site":"store","camera":"door","zone":"all","start":"2026-01-31T08:25:00Z","end":"2026-01-31T08:30:00Z",'
    '"seconds":300,"counts":{"0-17":null,"18-64":7,"65+":null},"unclassified":null,'
    '"since":{"18-64":"2026-01-31T08:25:00Z"},"groups":{},"released":7,"other":null,'
    '"coverage":{"seconds":300,"frames_analysed":2990,"frames_dropped":{"overwritten":12}},'
    '"model":{"name":"painted","version":"1"},'
    '"privacy":{"method":"threshold","minimum":5,"release_every":1800,"epsilon":null,"visit_epsilon":null}}'
)


def payloads(*overrides: str) -> list[bytes]:
    """Everything that a window lets out at a release moment, the retained day among it."""
    box = Box(rule(*overrides))
    box.gate.put(window(START, {"0-17": 3, "18-64": 7, "unclassified": 3}, coverage=COVERAGE, last=True))
    return [*box.store.take(), *box.store.retained.values()]


def counts(*overrides: str) -> bytes:
    return next(p for p in payloads(*overrides) if json.loads(p)["schema"] == COUNTS)


def faults(payload: bytes) -> list[str]:
    """What the schema that a payload names finds wrong with it."""
    message = json.loads(payload)
    return [error.message for error in Draft202012Validator(schema(message["schema"])).iter_errors(message)]


def broken(payload: bytes, **changes: Any) -> bytes:
    return json.dumps(json.loads(payload) | changes).encode()


def test_counts_are_stable_to_the_byte() -> None:
    box = Box()
    box.gate.put(window(START, {"0-17": 3, "18-64": 7, "unclassified": 3}, coverage=COVERAGE))
    assert box.store.take()[0].decode() == GOLDEN


def test_counts_hold_nothing_but_what_was_released() -> None:
    one, other = Box(), Box()
    one.gate.put(window(START, {"0-17": 3, "18-64": 7, "unclassified": 3}))
    other.gate.put(window(START, {"0-17": 1, "18-64": 7, "65+": 4}))
    assert of(one.take(), "counts") == of(other.take(), "counts")


def test_ids_differ_by_every_name() -> None:
    names: list[str | datetime] = ["store", "door", "all", START, START + timedelta(minutes=5)]
    others: list[str | datetime] = [
        "shop",
        "till",
        "aisle",
        START - timedelta(minutes=5),
        START + timedelta(minutes=6),
    ]
    changed = [window_id(*names[:i], other, *names[i + 1 :]) for i, other in enumerate(others)]
    assert len({window_id(*names), *changed}) == 6
    assert window_id(*names) == "b5e97f9d-a6bc-569c-b581-2ba844e3f8c6"  # the same in every version


@pytest.mark.parametrize(
    ("moment", "text"),
    [(START, "2026-01-31T08:25:00Z"), (START + timedelta(microseconds=250_900), "2026-01-31T08:25:00.250Z")],
)
def test_times_are_rfc_3339_in_utc(moment: datetime, text: str) -> None:
    assert rfc3339(moment) == text
    assert datetime.fromisoformat(text).utcoffset() == timedelta(0)


@pytest.mark.parametrize("method", ["threshold", "noise"])
def test_every_message_is_valid_against_its_schema(method: str) -> None:
    model = LoadedModel(name="instore-age", version="2", commercial_use="forbidden")
    encoder = StatusEncoder("store", "box", "0.1.0", model)
    status = CameraStatus("door", CameraState.FROZEN, START, "the same picture for 30 s")
    audited = Audited(day=START.date(), visits=30, error=-5, epsilon=1.0)
    messages = [
        *payloads(f"privacy.method={method}"),
        encoder.box("online", START),
        encoder.box("offline", None),
        replace(encoder, model=None).box("offline", None),
        replace(encoder, audits=lambda: {"door": audited}).box("online", START),
        encoder.camera(status),
    ]
    assert {json.loads(message)["schema"] for message in messages} == set(MODELS)
    assert [faults(message) for message in messages] == [[]] * len(messages)


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
        {"released": 1.5},
        {"other": -1},
        {"camera": "a/b"},
        {"track_id": 7},
        {"privacy": {}},
        {"coverage": {"seconds": -1, "frames_analysed": 0, "frames_dropped": {}}},
    ],
)
def test_the_schema_of_counts_refuses(changes: dict[str, Any]) -> None:
    assert len(faults(broken(counts(), **changes))) >= 1


@pytest.mark.parametrize("name", MODELS)
def test_the_schemas_are_schemas_that_explain_and_close_themselves(name: str) -> None:
    described = schema(name)

    Draft202012Validator.check_schema(described)
    assert described["properties"]["schema"]["const"] == name
    assert described["additionalProperties"] is False
    optional = {name for name, field in MODELS[name].model_fields.items() if field.exclude_if}
    assert sorted({*described["required"], *optional}) == sorted(described["properties"])
    assert described["title"] and described["description"]


def test_the_files_are_those_of_the_models() -> None:
    """`make schemas` writes them."""
    assert {path.name for path in FOLDER.iterdir()} == {path_of(name).name for name in MODELS}
    assert [path_of(name).read_text(encoding="utf-8") for name in MODELS] == [text_of(n) for n in MODELS]


def test_an_unknown_schema_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'instore\.counts/1': is unknown; allowed: instore\.counts/2"):
        schema("instore.counts/1")


def test_decoding_gives_back_what_was_encoded() -> None:
    message = decode_counts(counts())

    assert message.counts == {"0-17": None, "18-64": 7, "65+": None}
    assert list(message.counts) == ["0-17", "18-64", "65+"]
    assert (message.start, message.released) == (START, 7)


@pytest.mark.parametrize(
    "payload",
    [
        b"{",
        b"\xff",
        b"[]",
        b'{"schema":"instore.counts/1"}',
        b'{"schema":"instore.counts/2"}',
        b"[" * 100_000,
    ],
)
def test_decoding_refuses_what_is_no_counts_message(payload: bytes) -> None:
    with pytest.raises(ValidationError):
        decode_counts(payload)


@pytest.mark.parametrize(("value", "shown"), [(300.0, 300), (299.9996, 300), (1.5, 1.5), (0.0004, 0)])
def test_numbers_are_short(value: float, shown: float) -> None:
    assert repr(number(value)) == repr(shown)
