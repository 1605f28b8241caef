"""What Prometheus sees: every series from the start, few labels, nothing by age, a text that parses."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import pytest
from prometheus_client import Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from edge.brackets import DEFAULT_BRACKETS
from edge.ops.metrics import (
    EXPORTED_STAGES,
    RELEASE_EVERY,
    Metrics,
)
from edge.ops.reasons import (
    BackendFault,
    CropDrop,
    EngineFault,
    FrameDrop,
    MqttFailure,
    OutboxFault,
    ReloadResult,
    TrackEnd,
)
from edge.types import CameraState, CameraStatus
from tests.fakes import EPOCH, ManualClock

CAMERAS = ("door", 'a "quoted" one\\')
MECHANICS = {"le"}  # a histogram's own label


def families(metrics: Metrics) -> list[Metric]:
    return list(text_string_to_metric_families(metrics.exposition()[1].decode()))


def ours(metrics: Metrics) -> list[Metric]:
    """Without those that every program has."""
    return [family for family in families(metrics) if not family.name.startswith("process_")]


def made() -> Metrics:
    return Metrics(ManualClock(), CAMERAS)


def labels(metrics: Metrics, name: str) -> list[dict[str, str]]:
    return [s.labels for f in families(metrics) for s in f.samples if s.name == name]


def test_every_series_is_there_before_anything_happens():
    metrics = made()
    for name in (
        "frames_captured_total", "frames_analysed_total", "windows_closed_total", "window_visits",
        "last_frame_timestamp_seconds", "camera_up", "camera_frozen", "camera_dark",
    ):  # fmt: skip
        assert [found["camera"] for found in labels(metrics, f"instore_{name}")] == list(CAMERAS), name
    found = [(x["camera"], x["reason"]) for x in labels(metrics, "instore_frames_dropped_total")]
    assert sorted(found) == sorted((camera, reason) for camera in CAMERAS for reason in FrameDrop)
    assert {x["stage"] for x in labels(metrics, "instore_stage_seconds_count")} == set(EXPORTED_STAGES)
    for name in (
        "messages_published_total", "mqtt_connected", "publish_lag_seconds_count",
        "last_publish_timestamp_seconds", "outbox_rows",
        "outbox_bytes", "outbox_failures_total", "history_failures_total", "preview_failures_total",
    ):  # fmt: skip
        assert labels(metrics, f"instore_{name}") == [{}], name


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("mqtt_failures", MqttFailure),
        ("outbox_set_aside", OutboxFault),
        ("history_set_aside", OutboxFault),
        ("reloads", ReloadResult),
        ("model_fallbacks", BackendFault),
        ("engines_refused", EngineFault),
    ],
)
def test_every_reason_is_there_before_anything_happens(name: str, reasons: Iterable[str]):
    found = [x["reason"] for x in labels(made(), f"instore_{name}_total")]
    assert found == [str(reason) for reason in reasons]


def test_what_visitors_drive_is_measured_and_never_exported():
    metrics = made()
    for camera in CAMERAS:
        metrics.faces.labels(camera).inc()
        metrics.tracks.labels(camera, TrackEnd.VISITOR).inc()
    metrics.late.inc()
    metrics.batch.observe(3)
    metrics.crops_dropped.labels(CropDrop.QUEUE_FULL).inc()
    metrics.decided(0.1)
    hidden = {f.name for f in metrics.private.collect()} - {"instore_stage_seconds"}
    assert len(hidden) == 6
    assert not hidden & {f.name for f in families(metrics)}


def test_timings_change_once_in_a_release_period():
    clock = ManualClock()
    metrics = Metrics(clock, CAMERAS, release_every=900)
    shown = []
    for _ in range(3):
        with metrics.timed("detect"), metrics.timed("crops"):
            clock.advance(450)
        found = {
            s.name: s.value for f in families(metrics) for s in f.samples if s.labels == {"stage": "detect"}
        }
        shown.append(found["instore_stage_seconds_count"])
    assert shown == [1, 1, 3]


def test_the_visits_of_a_window_are_those_that_were_published():
    metrics = made()
    metrics.window_closed("door", -1)
    metrics.window_closed("gone", 3)
    assert labels(metrics, "instore_window_visits") == [{"camera": camera} for camera in CAMERAS]
    assert metrics.registry.get_sample_value("instore_window_visits", {"camera": "door"}) == -1


def test_all_begin_at_0():
    for family in ours(made()):
        for sample in family.samples:
            if not sample.name.endswith("_info"):
                assert sample.value == 0, sample


def test_a_camera_that_is_removed_has_no_series_and_the_others_keep_theirs():
    metrics = made()
    metrics.captured.labels("door").inc()
    metrics.follow(["door"])
    with_camera = [s for f in families(metrics) for s in f.samples if "camera" in s.labels]
    assert {s.labels["camera"] for s in with_camera} == {"door"}
    assert metrics.registry.get_sample_value("instore_frames_captured_total", {"camera": "door"}) == 1


def test_names_are_ours_and_say_their_kind():
    for family in ours(made()):
        assert family.name.startswith("instore_")
        assert family.documentation.endswith(".")
        assert not any(unit in family.name for unit in ("percent", "_ms", "milli", "_age"))
        if family.type == "counter":
            assert any(s.name.endswith("_total") for s in family.samples)


def test_labels_are_camera_stage_and_reason_only():
    for family in families(made()):
        if family.name.endswith("_info") or family.type == "info":
            continue
        for sample in family.samples:
            assert set(sample.labels) <= {"camera", "stage", "reason"} | MECHANICS, sample


def test_nothing_is_broken_down_by_age():
    metrics = made()
    metrics.describe(build={"version": "1"}, model={"name": "m"}, config={"site": "s"})
    for family in families(metrics):
        for sample in family.samples:
            words = [
                sample.name,
                *sample.labels,
                *(v for k, v in sample.labels.items() if k not in MECHANICS),
            ]
            for word in words:
                assert word not in DEFAULT_BRACKETS
                assert "bracket" not in word
                assert "age" not in word.split("_")


def test_a_camera_is_in_one_state():
    metrics = made()
    read = metrics.registry.get_sample_value
    for state in CameraState:
        metrics.camera_status(CameraStatus("door", state, EPOCH))
        found = {s for s in ("up", "frozen", "dark") if read(f"instore_camera_{s}", {"camera": "door"})}
        assert found == ({state.value} - {"down"})


def test_a_stage_is_timed_also_where_it_fails():
    clock = ManualClock()
    metrics = Metrics(clock)
    try:
        with metrics.timed("detect"):
            clock.advance(0.2)
            raise RuntimeError
    except RuntimeError:
        pass
    read = metrics.private.get_sample_value
    assert read("instore_stage_seconds_sum", {"stage": "detect"}) == 0.2
    assert read("instore_stage_seconds_bucket", {"stage": "detect", "le": "0.1"}) == 0


def test_an_acknowledged_message_leaves_its_time():
    clock = ManualClock()
    metrics = Metrics(clock)
    clock.advance(100)
    metrics.message_published(2.5)
    read = metrics.registry.get_sample_value
    assert read("instore_messages_published_total") == 1
    assert read("instore_publish_lag_seconds_sum") == 2.5
    assert read("instore_last_publish_timestamp_seconds") == 100


def test_info_says_what_runs():
    metrics = made()
    metrics.describe(build={"version": "1.2"}, model={"name": "m", "device": "CPU"}, config={"site": "s"})
    assert labels(metrics, "instore_build_info") == [{"version": "1.2"}]
    assert labels(metrics, "instore_model_info") == [{"name": "m", "device": "CPU"}]
    assert labels(metrics, "instore_config_info") == [{"site": "s"}]


def test_two_daemons_in_one_process_do_not_share_series():
    first, second = made(), made()
    first.late.inc()
    assert second.private.get_sample_value("instore_visits_late_total") == 0


OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
"""What Prometheus sends as `Accept`."""


def test_openmetrics_is_given_to_those_who_ask_for_it():
    kind, text = made().exposition(OPENMETRICS)
    names = {family.name for family in openmetrics(text.decode())}
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    # In Prometheus' own format the suffix is a part of an info's name.
    assert names == {family.name.removesuffix("_info") for family in families(made())}
    plain, _ = made().exposition("text/html, */*")
    assert plain.startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_no_series_says_when_another_began(accept: str):
    assert b"_created" not in made().exposition(accept)[1]


def test_the_process_is_there_and_read_again_once_in_a_release_period(monkeypatch: pytest.MonkeyPatch):
    clock = ManualClock()
    read = [float(n) for n in range(1, 4)]
    monkeypatch.setattr(
        ProcessCollector,
        "collect",
        lambda _: [CounterMetricFamily("process_cpu_seconds_total", "Processor time.", read.pop(0))],
    )
    metrics = Metrics(clock)
    cpu = partial(metrics.registry.get_sample_value, "process_cpu_seconds_total")
    assert [cpu(), cpu()] == [1, 1]
    clock.advance(RELEASE_EVERY - 1)
    assert cpu() == 1
    clock.advance(1)
    assert [cpu(), cpu()] == [2, 2]


def test_a_process_has_memory_descriptors_and_a_start():
    metrics = made()
    for name in (
        "resident_memory_bytes",
        "virtual_memory_bytes",
        "open_fds",
        "max_fds",
        "start_time_seconds",
    ):
        assert (metrics.registry.get_sample_value(f"process_{name}") or 0) > 0, name
