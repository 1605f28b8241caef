"""The instrument as a whole: parts alone, what was measured before is kept, the report is whole."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from bench import run
from bench.daemon import configuration
from bench.report import TITLES, expectations, markdown
from edge.config import load_settings

RESULTS = Path(__file__).parents[2] / "bench" / "results"


@pytest.fixture
def kept() -> dict:
    return copy.deepcopy(json.loads((RESULTS / "bench.json").read_text()))


def test_every_part_has_a_title():
    assert list(TITLES) == list(run.SECTIONS)


def test_the_report_that_is_kept_is_the_one_measured(kept: dict):
    assert (RESULTS / "bench.md").read_text() == markdown(kept)
    assert list(kept["sections"]) == list(run.SECTIONS)
    assert {"cpu", "cores", "python"} <= kept["environment"].keys()
    for part in kept["sections"].values():
        assert part["command"].startswith("python -m bench.run --only ")
        assert part["commit"]


def test_a_figure_beyond_its_limit_is_marked(kept: dict):
    kept["sections"]["start"]["found"]["median"]["frame_s"] = 4.5
    first, *_ = expectations(kept)
    assert first == ("first analysed frame, at most", "4.50 s", "0.8 s", "**missed**")


def test_only_the_parts_asked_for_are_measured_and_the_others_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, material: object, kept: dict
):
    (tmp_path / "bench.json").write_text(json.dumps(kept))
    start = {"median": {"age_model_s": 1.0, "ready_s": 2.0, "frame_s": 3.0}, "starts": [{"frame_s": 3.0}]}
    monkeypatch.setitem(run.SECTIONS, "start", lambda material, quick, step: start)
    monkeypatch.setattr(run, "gather", lambda clips, folder: material)
    assert run.main(["--only", "start", "--quick", "--out", str(tmp_path / "bench")]) == 0
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["sections"]["start"]["found"] == start
    assert written["sections"]["start"]["command"] == "python -m bench.run --only start --quick"
    assert list(written["sections"]) == list(kept["sections"])
    assert written["sections"]["floor"] == kept["sections"]["floor"]
    assert (tmp_path / "bench.md").read_text() == markdown(written)


def test_an_unknown_part_is_named(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        run.main(["--only", "floor,colour"])
    assert stopped.value.code == 2
    assert "colour: unknown; allowed: start, floor, cameras" in capsys.readouterr().err


def test_ctrl_c_keeps_the_finished_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(clips: Path, folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "gather", interrupted)
    assert run.main(["--out", str(tmp_path / "bench")]) == 130
    assert list(tmp_path.iterdir()) == []


def test_a_report_of_another_layout_is_replaced(tmp_path: Path):
    (tmp_path / "bench.json").write_text('{"stages": []}')
    assert run.kept(tmp_path / "bench") == {}
    (tmp_path / "bench.json").write_text("{")
    assert run.kept(tmp_path / "bench") == {}


def test_the_daemon_s_configuration_is_valid(tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_text(configuration(Path("a clip.mp4"), 0, 1883, 9108, "state"))
    settings = load_settings(path)
    assert settings.cameras[0].loop
    assert settings.cameras[0].source == str(Path("a clip.mp4").absolute())
    assert settings.windows.length == 10
