"""The configuration: the shipped file, every fault with its message, overrides and secrets."""

from __future__ import annotations

import itertools
import os
import string
import subprocess
import sys
import tomllib
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from edge.config import (
    CameraSettings,
    LineSettings,
    Settings,
    SiteSettings,
    ZoneSettings,
    blanks_in_secrets,
    load_settings,
    read_secret,
    secret_path,
    state_directory,
)
from edge.config.redaction import redact, redact_value
from edge.errors import ConfigurationError

SHIPPED = Path(__file__).parents[3] / "config.toml"
PASSWORD = "hunter2"
CAMERA = {"name": "entrance", "source": "rtsp://192.0.2.10/"}


ZONE: dict[str, Any] = {
    "name": "till",
    "role": "staff",
    "polygon": [[0.0, 0.5], [0.3, 0.5], [0.3, 1.0], [0.0, 1.0]],
}
AREA = {**ZONE, "role": "area"}
CROSSED = [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]
LINE: dict[str, Any] = {"name": "door", "from": [0.2, 0.8], "to": [0.8, 0.8]}


def load(*overrides: str, **tables: Any) -> Settings:
    return load_settings(None, overrides, {"cameras": [CAMERA], **tables})


def fault(*overrides: str, **tables: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(*overrides, **tables)
    return str(caught.value)


def camera_fault(**changes: Any) -> str:
    return fault(cameras=[{**CAMERA, **changes}])


def keys(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields)


class TestShippedFile:
    def test_it_is_valid_and_says_the_defaults(self):
        shipped = load_settings(SHIPPED)
        named = shipped.model_copy(
            update={
                "site": SiteSettings(),
                "box": "box",
                "cameras": (CameraSettings(name="a", source="b"),),
            }
        )
        assert named == Settings(cameras=(CameraSettings(name="a", source="b"),))
        (camera,) = shipped.cameras
        assert camera == CameraSettings(name=camera.name, source=camera.source)

    def test_it_writes_out_every_key(self):
        table = tomllib.loads(SHIPPED.read_text())
        assert set(table) == keys(Settings)
        # These have no default that could be written out; they are there as comments.
        assert set(table["cameras"][0]) == keys(CameraSettings) - {"start", "lines", "zones"}
        assert "\n# start = " in SHIPPED.read_text()
        assert set(commented("lines")) == {field.alias or n for n, field in LineSettings.model_fields.items()}
        assert set(commented("zones")) == keys(ZoneSettings)
        for name, field in Settings.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                assert set(table[name]) == keys(field.annotation), name

    def test_its_examples_of_a_line_and_a_zone_are_valid(self):
        line, zone = LineSettings.model_validate(commented("lines")), commented("zones")
        assert line.from_[1] == line.to[1] and line.from_[0] < line.to[0], "in does not lead downwards"
        assert ZoneSettings.model_validate(zone).role == "staff"


def commented(table: str) -> dict[str, Any]:
    """A commented table of a camera in the shipped file, without its comment marks."""
    _, _, rest = SHIPPED.read_text().partition(f"# [[cameras.{table}]]")
    rows = itertools.takewhile(
        lambda row: row.startswith("# ") and "[[" not in row[:5], rest.splitlines()[1:]
    )
    return tomllib.loads("\n".join(row.removeprefix("# ") for row in rows))


class TestFaults:
    """Each names the key, the value, and what is allowed."""

    def test_a_list_in_place_of_a_table_is_not_shown_with_its_passwords(self) -> None:
        said = fault(mqtt=[{"url": "box:hunter2@broker"}])
        assert "mqtt: must be a table" in said
        assert "hunter2" not in said

    @pytest.mark.parametrize(
        ("tables", "says"),
        [
            ({"windows": {"lenght": 60}}, ["windows.lenght", "unknown key", "'length'", "lateness"]),
            ({"sites": "a"}, ["sites", "unknown key", "'site'", "privacy"]),
            ({"cameras": [{**CAMERA, "fps": 5}]}, ["cameras[0].fps", "unknown key", "max_fps"]),
            ({"windows": {"length": "300"}}, ["windows.length = '300'", "must be a valid integer"]),
            ({"windows": {"length": True}}, ["windows.length = True", "must be a valid integer"]),
            ({"mqtt": {"tls": "yes"}}, ["mqtt.tls = 'yes'", "true or false"]),
            ({"site": 7}, ["site = 7", "must be a string, in quotes"]),
            ({"mqtt": 5}, ["mqtt = 5", "must be a table"]),
            ({"cameras": {"name": "a"}}, ["cameras: must be a list"]),
            ({"cameras": []}, ["cameras = []", "at least one entry"]),
            ({"cameras": [{"name": "a"}]}, ["cameras[0].source: is missing"]),
            ({"windows": {"length": 7}}, ["windows.length = 7", "must divide 900 seconds", "300"]),
            ({"windows": {"length": 0}}, ["windows.length = 0", "must divide 900 seconds"]),
            ({"windows": {"length": -300}}, ["windows.length = -300", "must divide 900 seconds"]),
            ({"windows": {"length": 2 * 86_400}}, ["windows.length = 172800", "must divide 900 seconds"]),
            ({"windows": {"brackets": ["0-12", "14+"]}}, ["windows.brackets", "gap", "'14+'", "age 13"]),
            ({"windows": {"brackets": ["0-12", "12+"]}}, ["windows.brackets", "overlap", "age 12"]),
            ({"windows": {"brackets": []}}, ["windows.brackets", "age 0 is in no bracket"]),
            ({"windows": {"share_brackets": ["0-12", "14+"]}}, ["windows.share_brackets", "gap", "age 13"]),
            ({"windows": {"lateness": 1.0}}, ["windows.lateness = 1.0", "lost_after = 3.0", "8 or more"]),
            ({"privacy": {"minimum": 0}}, ["privacy.minimum = 0", "greater than or equal to 1"]),
            ({"model": {"backend": "cuda"}}, ["model.backend = 'cuda'", "onnxruntime", "tensorrt"]),
            ({"mqtt": {"port": 70_000}}, ["mqtt.port = 70000", "65535"]),
            ({"mqtt": {"host": "mqtt://broker"}}, ["mqtt.host = 'mqtt://broker'", "alone"]),
            ({"mqtt": {"host": "[::1]"}}, ["mqtt.host = '[::1]'", "IPv6 without brackets"]),
            ({"mqtt": {"host": "broker:1883"}}, ["mqtt.host = 'broker:1883'", "port"]),
            ({"metrics": {"host": "[::]"}}, ["metrics.host = '[::]'", "IPv6 without brackets"]),
            ({"metrics": {"host": ""}}, ["metrics.host = ''", "alone"]),
            ({"mqtt": {"protocol": 5}}, ["mqtt.protocol = 5", "'5' or '3.1.1'"]),
            ({"mqtt": {"password_file": "x"}}, ["mqtt", "'password_file' needs a 'username'"]),
            ({"mqtt": {"cert_file": "x", "tls": True}}, ["'cert_file' and 'key_file' go together"]),
            ({"mqtt": {"ca_file": "x"}}, ["mqtt", "need 'tls = true'"]),
            ({"metrics": {"port": -1}}, ["metrics.port = -1", "greater than or equal to 0"]),
            ({"box": "entrance"}, ["box", "camera", "'entrance'"]),
            ({"attention": {"min_seconds": 3}}, ["attention.min_seconds = 3", "1, 2, 5, 10, 30"]),
            ({"attention": {"angle": 90.0}}, ["attention.angle = 90.0", "less than or equal to 60"]),
            ({"tracking": {"lost_after": float("nan")}}, ["tracking.lost_after = nan"]),
        ],
    )  # fmt: skip
    def test_of_a_table(self, tables: dict[str, Any], says: list[str]):
        message = fault(**tables)
        assert [part for part in says if part not in message] == [], message

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"rotation": 45}, ["cameras[0].rotation = 45", "0, 90, 180 or 270"]),
            ({"roi": [0.5, 0.0, 0.5, 1.0]}, ["cameras[0].roi", "left < right"]),
            ({"roi": [0.0, 0.0, 1.0]}, ["cameras[0].roi[3]", "is missing"]),
            ({"max_fps": 0.5}, ["cameras[0].max_fps = 0.5", "greater than or equal to 1"]),
            ({"max_fps": float("nan")}, ["cameras[0].max_fps = nan"]),
            ({"tile": 1}, ["cameras[0].tile = 1", "0 for no tiles, or 192 to 4096"]),
            ({"source": ""}, ["cameras[0].source", "a URL, a device, a file or a folder"]),
            ({"source": 0}, ["cameras[0].source = 0", "in quotes"]),
            ({"source": "rtsp://[::1/"}, ["cameras[0].source", "IPv6"]),
            ({"password_file": "x"}, ["cameras[0]", "'password_file' needs a 'username'"]),
            ({"insecure": True}, ["cameras[0]", "need a source of https:// or rtsps://"]),
            (
                {"source": "rtsps://h/", "insecure": True, "ca_file": "a"},
                ["cameras[0]", "of 'ca_file', 'fingerprint' and 'insecure' one is allowed"],
            ),
            ({"source": "rtsps://h/", "fingerprint": "ab:cd"}, ["fingerprint", "64 hexadecimal digits"]),
            ({"source": "rtsps://h/", "transport": "udp"}, ["'transport' needs a source of rtsp://"]),
            ({"transport": "multicast"}, ["transport", "auto"]),
            ({"anchor": -1.0}, ["cameras[0].anchor = -1.0", "greater than or equal to 0"]),
            ({"target": [0.0, 90.0]}, ["cameras[0].target = [0.0, 90.0]", "[right, down] in degrees"]),
            ({"target": [0.0]}, ["cameras[0].target[1]", "is missing"]),
            ({"lines": [{"name": "a"}]}, ["cameras[0].lines[0].from: is missing"]),
            ({"lines": [LINE | {"form": 1}]}, ["cameras[0].lines[0].form", "did you mean 'from'?"]),
            ({"lines": [LINE | {"to": [0.1, 1.2]}]}, ["lines[0].to = [0.1, 1.2]", "from 0 to 1"]),
            ({"lines": [LINE | {"to": [0.1, float("nan")]}]}, ["lines[0].to", "from 0 to 1"]),
            ({"lines": [LINE | {"to": LINE["from"]}]}, ["cameras[0].lines[0]", "at least 0.01"]),
            ({"lines": [LINE | {"name": "a/b"}]}, ["lines[0].name = 'a/b'", "one MQTT topic level"]),
            ({"lines": [LINE, LINE]}, ["cameras[0]", "two lines are named 'door'"]),
            ({"zones": [ZONE, ZONE]}, ["cameras[0]", "two zones are named 'till'"]),
            ({"zones": [ZONE | {"role": "door"}]}, ["zones[0].role = 'door'", "'area', 'queue', 'staff'"]),
            ({"zones": [AREA | {"name": "rest"}]}, ["cameras[0]", "a zone is named 'rest'"]),
            ({"zones": [AREA], "zone": "hall"}, ["cameras[0]", "zone = 'hall': names the whole picture"]),
            (
                {"zones": [ZONE | {"polygon": [[0.0, 0.0], [1.0, 1.0]]}]},
                ["polygon", "at least 3 entries"],
            ),
            ({"zones": [ZONE | {"polygon": CROSSED}]}, ["zones[0].polygon", "crosses itself"]),
            ({"zones": [ZONE | {"polygon": [[0, 0], [1, 1.1], [1, 0]]}]}, ["zones[0].polygon[1]", "0 to 1"]),
            ({"zones": [ZONE | {"polygon": [[0, 0], [0.01, 0], [0, 0.01]]}]}, ["encloses less than 0.0001"]),
            (
                {"lines": [LINE | {"name": f"{n}"} for n in range(9)]},
                ["lines", "at most 8 entries"],
            ),
            ({"start": datetime(2026, 1, 1)}, ["cameras[0].start", "UTC"]),  # noqa: DTZ001
            ({"start": datetime(1, 1, 1, tzinfo=UTC)}, ["cameras[0].start", "of the years 1970 to 9998"]),
            ({"start": datetime(9999, 12, 31, tzinfo=UTC)}, ["of the years 1970 to 9998"]),
            ({"start": "2026-01-01"}, ["cameras[0].start = '2026-01-01'", "2026-01-31T08:00:00Z"]),
        ],
    )
    def test_of_a_camera(self, changes: dict[str, Any], says: list[str]):
        message = camera_fault(**changes)
        assert [part for part in says if part not in message] == [], message

    @pytest.mark.parametrize("name", ["", "a/b", "a+", "#", "$SYS", "a\n", "x" * 65, "ä" * 33])
    def test_of_a_name_that_is_no_topic_level(self, name: str):
        message = camera_fault(name=name)
        assert f"cameras[0].name = {name!r}" in message
        assert "'/', '+', '#'" in message

    @pytest.mark.parametrize("key", ["name", "transport", "zones"])
    def test_of_a_value_of_any_length_is_a_line_that_can_be_read(self, key: str):
        message = camera_fault(**{key: "ab" * 50_000})
        assert f"cameras[0].{key} = 'ababab" in message
        assert " ... " in message
        assert len(message) < 1000

    @pytest.mark.parametrize("character", "\x96\x9f\u2028\ufdd0\ufffe\U0001ffff\ud800")
    def test_of_a_character_for_which_a_broker_closes_the_connection(self, character: str):
        name = f"Halle {character} Nord"
        assert f"cameras[0].name = {name!r}: must be one MQTT topic level" in camera_fault(name=name)

    @pytest.mark.parametrize("name", ["a", "Eingang 2", "ä" * 32, "a.b-c_d", "Halle \u2013 Nord", "商店 😀"])
    def test_not_of_a_name_that_is_one(self, name: str):
        assert load(cameras=[{**CAMERA, "name": name}]).cameras[0].name == name

    @pytest.mark.parametrize(
        ("one", "other", "overlap"),
        [
            ({}, {}, True),
            ({"roi": [0.0, 0.0, 0.5, 1.0]}, {"roi": [0.4, 0.0, 1.0, 1.0]}, True),
            ({"roi": [0.0, 0.0, 0.5, 1.0]}, {"roi": [0.5, 0.0, 1.0, 1.0]}, False),
            # The right half of a picture that is turned round is its left half, and so is the upper half of
            # one that is turned clockwise.
            ({"roi": [0.0, 0.0, 0.5, 1.0]}, {"roi": [0.5, 0.0, 1.0, 1.0], "rotation": 180}, True),
            ({"roi": [0.0, 0.0, 0.5, 1.0]}, {"roi": [0.0, 0.0, 0.5, 1.0], "rotation": 180}, False),
            ({"roi": [0.0, 0.0, 0.5, 1.0]}, {"roi": [0.0, 0.0, 1.0, 0.5], "rotation": 90}, True),
            ({"roi": [0.0, 0.0, 0.5, 1.0]}, {"roi": [0.0, 0.5, 1.0, 1.0], "rotation": 270}, True),
            ({"roi": [0.0, 0.0, 0.5, 1.0]}, {"roi": [0.0, 0.5, 1.0, 1.0], "rotation": 90}, False),
            ({"roi": [0.0, 0.0, 0.1, 1.0]}, {"roi": [0.0, 0.0, 0.9, 1.0], "rotation": 180}, False),
            ({"roi": [0.0, 0.05, 1.0, 1.0]}, {"roi": [0.95, 0.0, 1.0, 1.0], "rotation": 90}, False),
        ],
    )
    def test_of_two_cameras_that_show_one_part_of_one_source(
        self, one: dict[str, Any], other: dict[str, Any], overlap: bool
    ):
        cameras = [{**CAMERA, **one}, {**CAMERA, **other, "name": "again"}]
        if overlap:
            assert "have the same source and overlapping regions" in fault(cameras=cameras)
        else:
            Settings.model_validate({"cameras": cameras})

    def test_of_two_cameras_with_one_name(self):
        assert "two cameras are named 'entrance'" in fault(cameras=[CAMERA, CAMERA])

    def test_all_are_told_at_once_each_in_a_line(self):
        message = fault(site="", privacy={"minimum": 0}, windows={"length": 7})
        assert len(message.splitlines()) == 3

    def test_of_syntax_names_the_file_and_the_line(self, tmp_path: Path):
        path = tmp_path / "c.toml"
        path.write_text('site = "a"\nbox = \n')
        with pytest.raises(ConfigurationError, match=r"c\.toml: is not valid TOML: .*line 2"):
            load_settings(path)

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"site = '\xff'", "is not UTF-8 text: invalid start byte at byte 8"),
            ("site = 'a'".encode("utf-16"), "is UTF-16; save it as UTF-8"),
            ("site = 'a'".encode("utf-16-be"), "is UTF-16; save it as UTF-8"),
        ],
    )
    def test_of_bytes_that_are_no_text(self, tmp_path: Path, content: bytes, says: str):
        path = tmp_path / "c.toml"
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=rf"c\.toml: {says}"):
            load_settings(path)

    @pytest.mark.parametrize(("name", "says"), [("no.toml", "No such file"), (".", "directory")])
    def test_of_a_file_that_cannot_be_read(self, tmp_path: Path, name: str, says: str):
        with pytest.raises(ConfigurationError, match=f"cannot be read: .*{says}"):
            load_settings(tmp_path / name)

    def test_name_the_file(self, tmp_path: Path):
        path = tmp_path / "c.toml"
        path.write_text("site = 7\n[[cameras]]\nname = 'a'\nsource = '0'\n")
        with pytest.raises(ConfigurationError, match=r"c\.toml:1: site = 7: must be"):
            load_settings(path)


class TestCredentials:
    """They never stand in the source, and no message repeats them."""

    @pytest.mark.parametrize(
        "userinfo",
        ["u:hunter2", "u:hunter2/x", "u:hunter2?x", "u:hunter2#x", "u:a@hunter2", "u:hunter2 x",
         "u:hunter2\nx", "hunter2", ":hunter2"],
    )  # fmt: skip
    def test_in_a_url_are_refused_and_not_echoed(self, userinfo: str):
        message = camera_fault(source=f"rtsp://{userinfo}@192.0.2.10:554/stream")
        assert "holds credentials" in message
        assert "'username'" in message
        assert PASSWORD not in message

    @pytest.mark.parametrize(
        "source",
        [
            "rtsp:/admin:hunter2@h/",
            "rtsp:admin:hunter2@h/",
            "rtsp//admin:hunter2@h/",
            "//admin:hunter2@h/",
            "admin:hunter2@h/x",
            "admin:hunter2/x@h",
            "rtsp:/h/video?password=hunter2",
            "rtsp:h/video?password=hunter2",
        ],
    )
    def test_in_a_mistyped_url_are_not_echoed(self, source: str):
        message = camera_fault(source=source)
        assert "cameras[0].source = '***': looks like a URL; write it as scheme://host/path" in message
        assert PASSWORD not in message
        assert PASSWORD not in fault(mqtt={"host": source})

    def test_cut_short_by_a_sign_are_refused(self):
        assert "holds credentials" in camera_fault(source="rtsp://admin:12#3@192.0.2.10/")

    @pytest.mark.parametrize(
        "source",
        [
            "rtsp://192.0.2.10:554/stream@1",
            "rtsp://camera/a@b",
            "http://[2001:db8::1]:80/video?a=1@2",
            "./a@b.mp4",
            "./12:30@door.mp4",
            "/videos/12:30@door.mp4",
            "a@b.mp4",
            "concat:n.avi",
        ],
    )
    def test_an_at_sign_elsewhere_is_none(self, source: str):
        assert load(cameras=[{**CAMERA, "source": source}]).cameras[0].source == source

    @pytest.mark.parametrize(
        "tables",
        [
            {"cameras": "rtsp://admin:hunter2@h/"},
            {"cameras": ["rtsp://admin:hunter2@h/"]},
            {"cameras": [["rtsp://admin:hunter2 x@h/"]]},
            {"cameras": [{**CAMERA, "password": PASSWORD}]},
            {"mqtt": {"password": PASSWORD}},
            {"mqtt": {"host": "mqtt://u:hunter2@broker"}},
            {"rtsp://admin:hunter2@h/": 1},
        ],
    )
    def test_elsewhere_are_not_echoed(self, tables: dict[str, Any]):
        assert PASSWORD not in fault(**tables)

    @pytest.mark.parametrize(
        "override",
        [
            "cameras.entrance.source=rtsp://admin:hunter2@h/",
            "mqtt.password=hunter2",
            "rtsp://admin:hunter2@h/",
        ],
    )
    def test_in_an_override_are_not_echoed(self, override: str):
        assert PASSWORD not in fault(override)

    @pytest.mark.parametrize(
        ("text", "masked"),
        [
            ("rtsp://u:p@h/x", "rtsp://***@h/x"),
            ("from rtsp://u:p@h/ to mqtts://v:q@b", "from rtsp://***@h/ to mqtts://***@b"),
            ("rtsp://u:a/b@h", "rtsp://***@h"),
            ("rtsp://h:554/x and a@b", "rtsp://h:554/x and a@b"),
        ],
    )
    def test_are_masked_in_text(self, text: str, masked: str):
        assert redact(text) == masked

    @pytest.mark.parametrize(
        ("value", "masked"),
        [("rtsp://u:p q@h/x", "rtsp://***@h/x"), ("u:p@h/x", "***"), ("entrance", "entrance")],
    )
    def test_are_masked_in_a_value(self, value: str, masked: str):
        assert redact_value(value) == masked


class TestOverrides:
    def test_of_nested_keys_and_of_cameras_by_name_and_number(self):
        settings = load(
            "privacy.minimum=1",
            "site=store-7",
            'windows.brackets=["0-17", "18+"]',
            "cameras.entrance.max_fps=5",
            "cameras.1.source='0'",
            "cameras.exit.loop=true",
            cameras=[CAMERA, {"name": "exit", "source": "x.mp4"}],
        )
        assert settings.privacy.minimum == 1
        assert settings.site.name == "store-7"
        assert settings.windows.brackets == ("0-17", "18+")
        assert settings.cameras[0].max_fps == 5
        assert (settings.cameras[1].source, settings.cameras[1].loop) == ("0", True)

    def test_the_last_one_wins_and_the_file_is_left_alone(self, tmp_path: Path):
        path = tmp_path / "c.toml"
        path.write_text(SHIPPED.read_text())
        assert load_settings(path, ["privacy.minimum=1", "privacy.minimum=3"]).privacy.minimum == 3
        assert path.read_text() == SHIPPED.read_text()

    def test_what_stands_instead_is_not_changed_by_them(self):
        cameras = [dict(CAMERA)]
        load("cameras.0.max_fps=5", cameras=cameras)
        assert cameras == [CAMERA]

    def test_a_name_may_be_overridden_by_another(self):
        assert load("cameras.entrance.name=door").cameras[0].name == "door"

    def test_a_value_may_hold_an_equals_sign(self):
        assert load("cameras.0.source=http://h/?a=b").cameras[0].source == "http://h/?a=b"

    @pytest.mark.parametrize(
        ("override", "says"),
        [
            ("privacy.minimum", "allowed: KEY=VALUE"),
            ("=5", "allowed: KEY=VALUE"),
            ("privacy.minimun=1", "did you mean 'minimum'"),
            ("privacy.minimum=many", "privacy.minimum = 'many'"),
            ("cameras.exit.max_fps=5", "there is no entry 'exit'"),
            ("cameras.1.max_fps=5", "there is no entry '1'"),
            ("cameras.0=5", "cameras.0.name"),
            ("site.x=5", "'site' is a value, not a table"),
            ("site..x=5", "'site' is a value, not a table"),
            ("windows.brackets.0=0-17", "a list is set as a whole, such as 'windows.brackets=[..., ...]'"),
            ("cameras.entrance.roi.0=0.1", "such as 'cameras.entrance.roi=[..., ...]'"),
            ("privacy.minimum=1\nsite='b'", "--set privacy.minimum: more follows after the value"),
            ("site=" + "[" * 5000, "nested too deeply"),
            ("..=1", "unknown key"),
        ],
    )
    def test_that_cannot_be(self, override: str, says: str):
        message = fault(override, site="a", windows={"brackets": ["0+"]})
        assert says in message, message


class TestLayers:
    """Tables under the file, the file, tables over it, overrides."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "c.toml"
        path.write_text(
            "[privacy]\nminimum = 5\n[mqtt]\nhost = 'a'\nprefix = 'p'\n[[cameras]]\nname = 'x'\nsource = '0'"
        )
        return path

    def test_the_file_wins_over_what_lies_beneath(self, path: Path):
        beneath = {"privacy": {"minimum": 1}, "windows": {"length": 100}}
        settings = load_settings(path, beneath=beneath)
        assert (settings.privacy.minimum, settings.windows.length) == (5, 100)
        assert load_settings(path, ["privacy.minimum=2"], beneath=beneath).privacy.minimum == 2
        assert beneath == {"privacy": {"minimum": 1}, "windows": {"length": 100}}

    def test_what_stands_instead_replaces_keys_of_tables_and_lists_as_a_whole(self, path: Path):
        settings = load_settings(path, ["mqtt.port=1"], {"mqtt": {"host": "b"}, "cameras": [CAMERA]})
        assert (settings.mqtt.host, settings.mqtt.prefix, settings.mqtt.port) == ("b", "p", 1)
        assert [camera.name for camera in settings.cameras] == ["entrance"]

    def test_a_byte_order_mark_belongs_to_no_key(self, path: Path):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert load_settings(path).mqtt.host == "a"

    def test_nested_too_deeply_are_refused(self, path: Path):
        path.write_text("site = " + "[" * 5000)
        with pytest.raises(ConfigurationError, match=r"c\.toml: .*nested too deeply"):
            load_settings(path)


class TestSecrets:
    def test_is_the_first_line_of_a_file_beside_the_configuration(self, tmp_path: Path):
        (tmp_path / "secret").write_bytes(b"pass word\r\nnot this\n")
        assert read_secret("k", "secret", tmp_path) == "pass word"
        assert read_secret("k", str(tmp_path / "secret"), Path("/nonexistent")) == "pass word"

    def test_comes_from_systemd_s_credentials_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        credentials = tmp_path / "credentials"
        credentials.mkdir()
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
        assert secret_path("secret", tmp_path) == tmp_path / "secret"
        (credentials / "secret").write_text("theirs")
        (tmp_path / "secret").write_text("ours")
        assert read_secret("k", "secret", tmp_path) == "theirs"

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (None, "cannot be read"),
            (b"", "is empty"),
            (b"\nx", "is empty"),
            (b"\xef\xbb\xbf", "is empty"),
            (b"\xff", "not UTF-8"),
            ("hunter2".encode("utf-16"), "is UTF-16; save it as UTF-8; allowed"),
            (b"x" * 65537, "is larger than 65536 bytes; allowed"),
        ],
    )
    def test_that_is_none(self, tmp_path: Path, content: bytes | None, says: str):
        if content is not None:
            (tmp_path / "secret").write_bytes(content)
        with pytest.raises(ConfigurationError, match=rf"mqtt\.password_file = 'secret': .*secret.*{says}"):
            read_secret("mqtt.password_file", "secret", tmp_path)

    def test_comes_out_of_a_pipe(self, tmp_path: Path):
        reading, writing = os.pipe()
        os.write(writing, b"hunter2\n")
        os.close(writing)
        assert read_secret("k", f"/dev/fd/{reading}", tmp_path) == "hunter2"
        os.close(reading)

    def test_does_not_begin_with_a_byte_order_mark(self, tmp_path: Path):
        (tmp_path / "secret").write_bytes(b"\xef\xbb\xbfhunter2\n")
        assert read_secret("k", "secret", tmp_path) == "hunter2"

    def test_that_begins_or_ends_with_a_blank_is_named_and_used_as_it_is(self, tmp_path: Path):
        camera = {**CAMERA, "username": "viewer", "password_file": "camera"}
        mqtt = {"username": "box", "password_file": "broker"}
        settings = load(cameras=[camera], mqtt=mqtt)
        (tmp_path / "broker").write_text("hunter2 \n")
        assert blanks_in_secrets(settings, tmp_path) == [
            f"mqtt.password_file = 'broker': {tmp_path}/broker begins or ends with a blank, which is used "
            "as part of the secret; remove it if it does not belong there"
        ]
        assert read_secret("k", "broker", tmp_path) == "hunter2 "
        (tmp_path / "broker").write_text("pass word\n")
        (tmp_path / "camera").write_text("\thunter2\n")
        (found,) = blanks_in_secrets(settings, tmp_path)
        assert found.startswith("camera 'entrance': password_file = 'camera': ")

    @pytest.mark.parametrize("name", [".", "a\0b", "x" * 5000])
    def test_with_a_name_that_is_no_file(self, tmp_path: Path, name: str):
        with pytest.raises(ConfigurationError, match="k = "):
            read_secret("k", name, tmp_path)


def test_the_outbox_lies_where_the_service_manager_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")
    assert state_directory(load()) == Path("/var/lib/a")
    assert state_directory(load("outbox.directory=/data"), Path("/etc/x")) == Path("/data")
    assert state_directory(load("outbox.directory=state"), Path("/etc/x")) == Path("/etc/x/state")
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", "/home/x/state")
    assert state_directory(load()) == Path("/home/x/state/instore")


def test_a_user_without_a_home_must_name_the_folder_of_the_outbox(monkeypatch: pytest.MonkeyPatch):
    for variable in ("STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # KeyError: no entry for this user
    with pytest.raises(ConfigurationError, match=r"outbox\.directory = '': this user has no home folder"):
        state_directory(load())


@pytest.mark.parametrize(
    ("redirection", "says"), [("", "3 3\n"), ("<&-", "standard input: cannot be read: Bad file descriptor\n")]
)
def test_standard_input_is_read_once_and_given_again(redirection: str, says: str):
    program = """
import pathlib, edge.config.tables.toml as toml
try:
    print(*(toml.read_toml(pathlib.Path("-"))["n"] for _ in range(2)))
except Exception as error:
    print(error)
"""
    command = f'exec "$0" -c "$1" {redirection}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, program],
        input="n = 3",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == says


def names() -> st.SearchStrategy[str]:
    """Keys that mean something, at every depth, and others."""
    known = {*keys(Settings), *keys(CameraSettings)}
    for field in Settings.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            known |= keys(field.annotation)
    return st.sampled_from(sorted(known)) | st.text(string.printable, max_size=5)


LEAVES = (
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["rtsp://u:hunter2@h/", "rtsp://u:hunter2 /@h/", "0-12", "13+", "far", "a"])
    | st.sampled_from([datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1), time(8)])
)
VALUES = st.recursive(LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(names(), v, max_size=4))
SECTIONS = [name for name in Settings.model_fields if name not in ("site", "box", "cameras")]


@given(
    tables=st.dictionaries(names(), VALUES, max_size=4),
    camera=st.dictionaries(st.sampled_from(sorted(keys(CameraSettings))), VALUES, max_size=6),
    section=st.sampled_from(SECTIONS),
    table=st.dictionaries(names(), VALUES, max_size=4),
)
def test_any_table_is_settings_or_a_fault_that_keeps_the_password(
    tables: dict[str, Any], camera: dict[str, Any], section: str, table: dict[str, Any]
):
    try:
        load_settings(None, [], {"cameras": [{**CAMERA, **camera}], section: table, **tables})
    except ConfigurationError as error:
        assert PASSWORD not in str(error)


@given(path=st.lists(names() | st.sampled_from(["0", "entrance"]), max_size=4), value=st.text(max_size=12))
def test_any_override_is_taken_or_refused(path: list[str], value: str):
    try:
        load_settings(SHIPPED, [f"{'.'.join(path)}={value}"])
    except ConfigurationError as error:
        assert str(error)


def test_the_zones_that_visits_are_counted_in() -> None:
    """Areas and queues in their order, and one for the others; without any, the camera's own name."""
    staff = ZONE | {"name": "desk"}
    queue = AREA | {"name": "queue", "role": "queue"}
    (camera,) = load(cameras=[CAMERA | {"zones": [AREA, staff, queue]}]).cameras
    assert camera.counted_zones == ("till", "queue", "rest")
    assert camera.cells["zones"] == ("till", "queue")
    assert camera.cells["queue"] == ("queue",)
    (plain,) = load(cameras=[CAMERA | {"zone": "hall", "zones": [staff]}]).cameras
    assert (plain.counted_zones, plain.cells) == (("hall",), {})
