"""What a new configuration changes while the daemon runs, and which keys it names as needing a restart."""

from __future__ import annotations

from typing import Any

import pytest

from edge.config import Settings, load_settings
from edge.daemon.changes import compare
from edge.errors import ConfigurationError

DOOR = {"name": "door", "source": "rtsp://192.0.2.10/"}
TILL = {"name": "till", "source": "rtsp://192.0.2.11/"}


def settings(*cameras: dict[str, Any], **tables: Any) -> Settings:
    return load_settings(None, instead={"cameras": list(cameras or (DOOR, TILL)), **tables})


def test_nothing_new_changes_nothing() -> None:
    change = compare(settings(), settings())
    assert (change.gone, change.changed, change.new, change.needs_restart) == ((), (), (), ())
    assert change.settings == settings()
    assert str(change) == "nothing changed"


def test_cameras_come_go_and_change() -> None:
    exit_camera = {"name": "exit", "source": "0"}
    change = compare(settings(), settings({**DOOR, "max_fps": 5.0}, exit_camera))
    assert (change.gone, change.changed, change.new) == (("till",), ("door",), ("exit",))
    assert str(change) == "cameras gone: till; new cameras: exit; changed: max_fps of door"


def test_a_line_changes_its_camera() -> None:
    line = {"name": "door", "from": [0.2, 0.8], "to": [0.8, 0.8]}
    change = compare(settings(), settings({**DOOR, "lines": [line]}, TILL))
    assert (change.changed, str(change)) == (("door",), "changed: lines of door")
    assert change.settings.cameras[0].lines[0].from_ == (0.2, 0.8)


def test_a_zone_a_bracket_or_a_threshold_of_privacy_leaves_the_cameras_alone() -> None:
    new = settings({**DOOR, "zone": "entry"}, TILL, windows={"brackets": ["0+"]}, privacy={"minimum": 9})
    change = compare(settings(), new)
    assert (change.changed, change.needs_restart) == ((), ())
    assert str(change) == "changed: zone of door, windows.brackets, privacy.minimum"
    assert change.settings == new


@pytest.mark.parametrize(
    "table",
    [
        {"detection": {"min_face": 30}},
        {"tracking": {"confirm_hits": 5}},
        {"crops": {"per_visitor": 2}},
        {"attention": {"enabled": True}},
        {"groups": {"enabled": True}},
    ],
)
def test_tables_that_all_cameras_depend_on_change_all_cameras(table: dict[str, Any]) -> None:
    assert compare(settings(), settings(**table)).changed == ("door", "till")


def test_keys_that_need_a_restart_are_named_and_keep_their_values() -> None:
    old = settings()
    new = settings(
        DOOR,
        site="other",
        windows={"length": 60, "lateness": 4.0},
        mqtt={"host": "elsewhere", "port": 8883},
        model={"max_batch": 2},
        outbox={"max_rows": 9},
        history={"days": 9},
        metrics={"port": 0},
        detection={"engine": "tensorrt"},
    )
    change = compare(old, new)
    assert " ".join(change.needs_restart) == (
        "site.name windows.length model.max_batch detection.engine mqtt.host mqtt.port outbox.max_rows "
        "history.days metrics.port"
    )
    kept = change.settings
    assert (kept.site.name, kept.mqtt, kept.model, kept.windows.length) == ("store", old.mqtt, old.model, 300)
    assert kept.windows.lateness == 4.0
    assert kept.detection.engine == old.detection.engine
    assert (change.gone, change.changed) == (("till",), ())
    # And named again at the next reload: it is still not so.
    assert compare(kept, new).needs_restart == change.needs_restart


def test_a_camera_named_as_the_box_is_called_until_the_restart_is_refused() -> None:
    new = settings({**DOOR, "name": "box"}, box="other")
    with pytest.raises(ConfigurationError, match="box and a camera are both named 'box'"):
        compare(settings(), new)
