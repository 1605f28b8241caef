"""The command `opinions`, from a file of settings to a file that a run is taught by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training import backbones
from tests.training.opinions import graphs
from tests.training.train import made_up
from training.cli import main
from training.dataset import prepare
from training.demo_data import write_faces
from training.opinions import opine as command
from training.opinions.settings import load_config
from training.train.batches import Examples
from training.train.composites import Composites
from training.train.teacher import Opinions

# Keras 3.15 copies variables in a way that NumPy 2 will not know.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CONFIGS = Path(__file__).parents[3] / "training" / "configs" / "opinions"

TAUGHT = (("opinions", "npz"), ("composites", "composites"))

CONFIG = """
[data]
folder = "{root}/faces"
cache = "{root}/cache"
size = 80

[[networks]]
backbone = "{root}/backbone"
size = 80
source = "a backbone"
terms = "MIT"

[[networks]]
graph = "{root}/colours.onnx"
outputs = ["mean"]
size = 64
face = 48
source = "a network for colours"
terms = "CC0"

[heads]
epochs = 2
hidden = 8
"""


@pytest.fixture
def config(keras, tmp_path: Path) -> Path:
    write_faces(tmp_path / "faces", 60, seed=0)
    backbones.write(tmp_path / "backbone", backbones.weights())
    graphs.write(tmp_path / "colours.onnx", 64)
    path = tmp_path / "opinions.toml"
    path.write_text(CONFIG.format(root=tmp_path))
    return path


def ask(config: Path, *overrides: str) -> int:
    words = [word for pair in overrides for word in ("--set", pair)]
    return main(["opinions", str(config), "--out", str(config.parent / "opinions.npz"), *words])


def test_a_run_is_taught_by_what_the_command_wrote(config: Path, tmp_path: Path, capsys):
    from training.train import load_run

    assert ask(config) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path}/opinions.npz: distributions of 48 pictures, " in said
    told = Opinions.read(tmp_path / "opinions.npz")
    assert told.probs.shape == (48, 101)
    assert told.source.startswith("a head on the features of a backbone and a network for colours")
    assert not told.source.endswith(",")  # its terms follow a colon
    assert told.terms == "MIT; CC0"
    (tmp_path / "tiny.toml").write_text(made_up.CONFIG.format(root=tmp_path))
    taught = f"teacher.opinions={tmp_path}/opinions.npz"
    assert main(["train", str(tmp_path / "tiny.toml"), "--set", taught]) == 0
    (own,) = load_run(tmp_path / "runs" / "tiny").info["teacher"]["terms"]
    assert (own["licence"], own["commercial_use"]) == ("MIT; CC0", "unknown")


def test_the_same_configuration_says_the_same(config: Path, tmp_path: Path):
    ask(config)
    first = Opinions.read(tmp_path / "opinions.npz").probs
    (tmp_path / "opinions.npz").unlink()
    ask(config)
    assert np.array_equal(Opinions.read(tmp_path / "opinions.npz").probs, first)


def test_faces_put_together_teach_a_run_as_well(config: Path, tmp_path: Path, capsys):
    assert ask(config, "composites.count=6") == 0
    made = Composites.read(tmp_path / "opinions.composites")
    assert made.crops.shape == (6, 80, 80, 3)
    assert np.allclose(made.probs.sum(1), 1, atol=1e-4)
    assert set(made.keys.ravel().tolist()) <= set(Opinions.read(tmp_path / "opinions.npz").keys)
    (tmp_path / "tiny.toml").write_text(made_up.CONFIG.format(root=tmp_path))
    taught = [f"--set=teacher.{name}={tmp_path}/opinions.{end}" for name, end in TAUGHT]
    assert main(["train", str(tmp_path / "tiny.toml"), *taught]) == 0
    capsys.readouterr()
    assert main(["train", str(tmp_path / "tiny.toml"), "--set=name=other", taught[1]]) == 2
    assert "'composites' is given without the 'opinions'" in capsys.readouterr().err
    (tmp_path / "opinions.npz").unlink()
    assert ask(config, "composites.count=6") == 2
    assert "opinions.composites: exists already" in capsys.readouterr().err


@pytest.mark.parametrize(("count", "mirror"), [(1, "false"), (2, "true")])
def test_no_picture_is_judged_by_a_head_that_learnt_from_it(
    config: Path, tmp_path: Path, monkeypatch, count: int, mirror: str
):
    learnt: list[set[float]] = []

    def learn(said: np.ndarray, *_: object) -> object:
        number = len(learnt)
        learnt.append({row[0] for row in said.tolist()})
        return lambda asked: np.eye(101, dtype=np.float32)[np.full(len(asked), number)]

    def numbered(_networks: object, examples: Examples, _progress: object, *, mirrored: bool) -> np.ndarray:
        rows = np.arange(len(examples), dtype=np.float32)[:, None]
        return rows + 0.5 if mirrored else rows

    monkeypatch.setattr(command, "learn", learn)
    monkeypatch.setattr(command, "features", numbered)
    settings = load_config(config, [f"heads.count={count}", f"heads.mirror={mirror}"])
    command.opine(settings, tmp_path / "opinions.npz")
    probs = Opinions.read(tmp_path / "opinions.npz").probs
    judge = probs.argmax(1) // count  # the heads of a part follow one another
    assert sorted(set(judge.tolist())) == [0, 1, 2]
    assert len(learnt) == 3 * count
    assert np.allclose(probs.max(1), 1 / count)  # each head of the part has its share
    assert any(row % 1 for row in learnt[0]) == (mirror == "true")
    seen = [{int(row) for own in learnt[n * count :][:count] for row in own} for n in range(3)]
    assert not any(row in seen[part] for row, part in enumerate(judge.tolist()))
    prepared = prepare([tmp_path / "faces"], size=80, scale=1.04, cache=tmp_path / "cache", seed=0)
    groups = prepared.groups[prepared.split == "train"]
    assert all(len(set(judge[groups == group].tolist())) == 1 for group in groups)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("networks=[]", "networks = []: must have at least one entry"),
        ("networks.0.graph=other.onnx", "exactly one of 'backbone', 'resnet' and 'graph' is needed"),
        ("networks.1.outputs=[]", "'outputs' names tensors of a 'graph'; give both or neither"),
        ("networks.1.face=65", "face = 65 is more than size = 64"),
        ("networks.0.size=96", "data.size = 80: less than the 96 px of a network"),
        ("networks.0.backbone=nowhere", "nowhere: is not a folder"),
        ("heads.fold=4", "heads.fold: unknown key; did you mean 'folds'?"),
        ("data.folder=nowhere", "nowhere"),
    ],
)
def test_what_cannot_be_asked_is_status_2_and_leaves_no_file(
    config: Path, tmp_path: Path, capsys, override: str, message: str
):
    assert ask(config, override) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("*.npz"))


def test_a_file_that_is_there_is_kept(config: Path, tmp_path: Path, capsys):
    path = tmp_path / "opinions.npz"
    path.write_text("ours")
    assert ask(config) == 2
    assert "opinions.npz: exists already; give a new file or remove it first" in capsys.readouterr().err
    assert path.read_text() == "ours"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_configurations_that_are_there_can_be_read(path: Path):
    assert load_config(path).networks
