from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import ConfigurationError
from tests.training.train import made_up
from training.train.config import TrainSettings, load_config, validate

CONFIGS = Path(__file__).parents[3] / "training" / "configs"


def fault(**sections: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        validate(TrainSettings, made_up.table(Path("runs"), **sections), "tiny.toml")
    return str(caught.value)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_configuration_that_ships_is_valid(path: Path):
    assert load_config(path).name == path.stem


def test_an_unknown_key_is_named_with_the_allowed_ones():
    message = fault(loss={"sigmas": 3.0})
    assert message == (
        "tiny.toml: loss.sigmas: unknown key; did you mean 'sigma'? allowed: expected, kind, sigma"
    )


def test_an_unknown_table_is_named_with_the_allowed_ones():
    assert "optimizer: unknown key; did you mean 'optimiser'? allowed: augment, data, loop" in fault(
        optimizer={}
    )


@pytest.mark.parametrize(
    ("sections", "wanted"),
    [
        ({"loop": {"batch": 0}}, "loop.batch = 0: must be greater than or equal to 1"),
        ({"loop": {"batch": "many"}}, "loop.batch = 'many': must be a valid integer"),
        (
            {"loss": {"kind": "mse"}},
            "loss.kind = 'mse': must be 'distribution', 'cross_entropy' or 'regression'",
        ),
        ({"model": {"size": 65}}, "model.size = 65: must be a multiple of 16 from 64 to 512"),
        ({"model": {"size": 128}}, "data.size = 64: less than model.size = 128"),
        ({"model": {"backbone": "a", "run": "b"}}, "'backbone' and 'run' are given"),
        ({"merge": [{"share": 0.5}]}, "exactly one of 'run', 'bundle' and 'backbone' is needed"),
        ({"merge": [{"run": "a", "share": 0.5}, {"run": "b", "share": 0.5}]}, "sum to 1 or more"),
        ({"tilt": 0.1}, "tilt = 0.1: must be 0 without merge"),
        (
            {"data": {"folder": None, "sets": [{"folder": "a"}], "terms": {"licence": "CC0"}}},
            "'terms' is given beside 'sets'",
        ),
        ({"seed": 1 << 32}, "seed = 4294967296: must be less than 4294967296"),
        ({"name": "a/b"}, "name = 'a/b': must be a folder's name: 1 to 64 letters a to z or A to Z, digits,"),
        ({"name": "a\n"}, "must be a folder's name"),
        ({"augment": {"rotate": float("nan")}}, "augment.rotate"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(sections, wanted: str):
    assert wanted in fault(**sections)


def test_several_faults_are_told_at_once():
    assert len(fault(loss={"sigma": -1.0}, loop={"epochs": 0}).splitlines()) == 2


@pytest.mark.parametrize("data", ["", 'folder = "a"\nsets = [{folder = "b"}]'])
def test_data_are_one_folder_or_several_sets(data: str, tmp_path: Path):
    path = tmp_path / "a.toml"
    path.write_text(f'name = "a"\n[data]\n{data}\n')
    with pytest.raises(ConfigurationError, match="exactly one of 'folder' and 'sets' is needed"):
        load_config(path)


def test_what_is_no_toml_is_told(tmp_path: Path):
    path = tmp_path / "a.toml"
    path.write_text("name = ")
    with pytest.raises(ConfigurationError, match=r"a\.toml: is not valid TOML"):
        load_config(path)


def test_a_missing_file_is_told(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"a\.toml: cannot be read"):
        load_config(tmp_path / "a.toml")


def test_overrides_replace_keys_and_the_last_one_wins():
    settings = load_config(CONFIGS / "demo.toml", ["loop.epochs=9", "loop.epochs=3", "name=other", "seed=7"])
    assert (settings.loop.epochs, settings.name, settings.seed) == (3, "other", 7)


@pytest.mark.parametrize("override", ["loop.epochs", "=3", "name.epochs=3", "loop.epoch=3"])
def test_a_bad_override_is_told(override: str):
    with pytest.raises(ConfigurationError):
        load_config(CONFIGS / "demo.toml", [override])
