"""Cameras on one host may see the same visitors."""

from __future__ import annotations

import pytest

from edge.config import load_settings
from edge.config.views import shared_host_warning, shared_hosts


def shared(*cameras: dict[str, object]) -> dict[str, tuple[str, ...]]:
    named = [{"name": name, **camera} for name, camera in zip("abc", cameras, strict=False)]
    return shared_hosts(load_settings(None, [], {"cameras": named}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rtsp://nvr/1", "rtsp://nvr/2"),
        ("rtsp://nvr/1", "http://NVR:8080/2"),
        ("rtsp://192.0.2.5/1", "rtsp://192.0.2.5:8554/1"),
        ("rtsp://[2001:db8::5]/1", "rtsp://[2001:db8::5]/2"),
    ],
)
def test_one_host_by_any_path_port_and_case(one: str, other: str) -> None:
    (names,) = shared({"source": one}, {"source": other}).values()
    assert names == ("a", "b")


def test_two_regions_of_one_device() -> None:
    left, right = [0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]
    assert shared({"source": "0", "roi": left}, {"source": "0", "roi": right}) == {"0": ("a", "b")}


@pytest.mark.parametrize(
    "cameras",
    [
        [{"source": "rtsp://one/1"}],
        [{"source": "rtsp://one/1"}, {"source": "rtsp://two/1"}],
        [{"source": "0"}, {"source": "1"}],
        [{"source": "one.mp4"}, {"source": "two.mp4"}],
        [{"source": "rtsp://nvr/1", "group": "g"}, {"source": "rtsp://nvr/2", "group": "g", "ages": False}],
    ],
)
def test_other_hosts_and_one_group_are_as_they_should_be(cameras: list[dict[str, object]]) -> None:
    assert shared(*cameras) == {}


def test_a_third_camera_beside_a_group_shows() -> None:
    group = {"group": "g"}
    found = shared(
        {"source": "rtsp://nvr/1", **group},
        {"source": "rtsp://nvr/2", **group, "ages": False},
        {"source": "rtsp://nvr/3"},
    )
    assert found == {"nvr": ("a", "b", "c")}


def test_the_warning_says_what_to_do() -> None:
    assert shared_host_warning("nvr", ("a", "b")) == (
        "cameras a, b are on one host, nvr: if they can see the same visitors, name them in one 'group'"
    )
