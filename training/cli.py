"""The workstation's command: `instore-training`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from edge import __version__
from edge.brackets import parse_brackets
from edge.errors import ConfigurationError, InstoreError

if TYPE_CHECKING:
    from edge.brackets import Bracket
    from edge.bundle import Bundle, Manifest
    from training.evaluation.command import Request

CACHE = Path("runs/cache")
"""Where what was seen in pictures is kept, unless a command is told otherwise."""

SPLITS = ("test", "validation", "train", "all")
PRECISIONS = ("fp32", "fp16", "int8")
MOST_SEED = 2**32 - 1
"""Keras and numpy take no larger one."""

EXAMPLES = """examples:
  instore-training explore faces --out runs/explored
  instore-training train ours.toml --set loop.epochs=3
  instore-training export runs/ours --out runs/bundle --terms "our own pictures, for our own use"
  instore-training evaluate runs/bundle faces --out runs/evaluated
  instore-training compare builtin runs/bundle faces
"""

SIZES = range(64, 513, 16)
"""Input sizes in px; the last layers of a smaller one would see a single point."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 when done, 2 on bad usage or input and when interrupted, 1 on anything else."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
    arguments = _parser().parse_args(argv)
    try:
        with _terminated_as_interrupted():
            arguments.run(arguments)
    except InstoreError as error:
        _say(f"instore-training: {error}", sys.stderr)
        return 2 if isinstance(error, ConfigurationError) else 1
    except KeyboardInterrupt:
        _say(f"instore-training: interrupted; {arguments.interrupted(arguments)}", sys.stderr)
        return 2
    return 0


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM, which schedulers and `timeout` send, ends a command as Ctrl-C does, with nothing half-made."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="instore-training",
        description="Make age models for instore-edge: from labelled faces to a bundle for the boxes.",
        epilog=EXAMPLES,
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"instore-training {__version__}")
    parser.set_defaults(interrupted=lambda _: "nothing half-made was left as a result")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_explore(commands)
    _add_train(commands)
    _add_opinions(commands)
    _add_evaluate(commands)
    _add_compare(commands)
    _add_export(commands)
    _add_convert(commands)
    _add_demo_data(commands)
    return parser


class _Help(argparse.HelpFormatter):
    """Wraps all but the examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("example") else super()._fill_text(text, width, indent)


def _example(command: str) -> dict[str, Any]:
    """What shows a command at work below its help."""
    return {
        "epilog": f"example:\n  {command}\n",
        "formatter_class": _Help,
    }


def _add_explore(commands: Any) -> None:  # noqa: ANN401 (argparse gives the type no public name)
    explore = commands.add_parser(
        "explore",
        help="see what a data set holds, and what is wrong with it",
        description="Look at labelled faces: a report to read before a model is trained on them, and a list "
        "of every fault. Reads labels.csv beside final_files/, FairFace's tables, UTKFace's file names.",
        **_example("instore-training explore faces --out runs/explored"),
    )
    explore.add_argument("data", type=Path, metavar="DATA", help="the folder of labelled faces")
    explore.add_argument("--out", type=Path, required=True, help="the report's folder; must not exist")
    explore.add_argument("--seed", type=_seed, default=0, help="of the split and the samples (%(default)s)")
    explore.add_argument(
        "--cache", type=Path, default=CACHE, help="keeps what was seen and cut (%(default)s)"
    )
    explore.set_defaults(
        run=_explore, interrupted=lambda _: "the same command goes on with what was not seen yet"
    )


def _explore(arguments: argparse.Namespace) -> None:
    from training.explore import explore
    from training.progress import bars

    with bars() as progress:
        found = explore(
            arguments.data, arguments.out, cache=arguments.cache, seed=arguments.seed, progress=progress
        )
    _say(
        f"{arguments.out / 'report.html'}: {len(found.seen):,} of {found.labelled:,} labelled pictures are "
        f"usable; {len(found.faults):,} faults found",
        sys.stdout,
    )


def _add_train(commands: Any) -> None:  # noqa: ANN401 (argparse gives the type no public name)
    train = commands.add_parser(
        "train",
        help="train an age model as a configuration says",
        description="Train an age model as a configuration says. The same command goes on with an "
        "interrupted run. With TF_CONFIG set, several workers train one model together.",
        **_example("instore-training train ours.toml --set name=shorter --set loop.epochs=3"),
    )
    _add_config(train, "loop.epochs=3")
    train.set_defaults(run=_train, interrupted=_how_to_go_on)


def _add_config(command: argparse.ArgumentParser, assignment: str) -> None:
    """The configuration of a command, and what stands in place of a key of it, such as `assignment`."""
    command.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file; see training/configs")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help=f"in place of a key of the configuration, such as {assignment}; repeatable",
    )


def _train(arguments: argparse.Namespace) -> None:
    from training.train.config import load_config

    settings = load_config(arguments.config, arguments.overrides)  # told before TensorFlow takes its time

    _load_keras()
    from training.progress import bars
    from training.train.job import train
    from training.train.runs import read_info
    from training.train.workers import is_chief

    with bars() as progress:
        folder = train(settings, progress)
    if not is_chief():
        return
    info = read_info(folder)
    after = f" after epoch {info['best_epoch']} of {info['epochs']}" if info["epochs"] else ""
    error = info["validation"].get("mae")  # not known of merged networks where age groups overlap
    told = "done" if error is None else f"mean absolute error on validation {error:.2f} years{after}"
    _say(f"{folder}: {told}", sys.stdout)


def _how_to_go_on(arguments: argparse.Namespace) -> str:
    """What an interrupted training left, and how to go on with it."""
    from training.train.config import load_config

    folder = load_config(arguments.config, arguments.overrides).folder
    return f"the same command goes on after the last whole epoch in {folder}"


def _add_opinions(commands: Any) -> None:  # noqa: ANN401
    opinions = commands.add_parser(
        "opinions",
        help="write down what other networks say of each face, to train by",
        description="Ask networks that were trained elsewhere what they know of an age. A small head learns "
        "ages from what they say, each time from other faces than those it judges. `train` is taught by the "
        "file as teacher.opinions.",
        **_example("instore-training opinions training/configs/opinions/others.toml --out runs/opinions.npz"),
    )
    _add_config(opinions, "heads.epochs=20")
    opinions.add_argument("--out", type=Path, required=True, help="the .npz file to make; must not exist")
    opinions.set_defaults(run=_opinions)


def _opinions(arguments: argparse.Namespace) -> None:
    from training.opinions.settings import load_config

    settings = load_config(arguments.config, arguments.overrides)
    _load_keras()
    from training.opinions.opine import opine
    from training.progress import bars

    with bars() as progress:
        told = opine(settings, arguments.out, progress)
    _say(
        f"{arguments.out}: opinions of {told.pictures:,} pictures, {told.learnt:.2f} years off in the mean; "
        f"{told.held_out:.2f} on the validation part",
        sys.stdout,
    )


def _add_demo_data(commands: Any) -> None:  # noqa: ANN401
    demo = commands.add_parser(
        "demo-data",
        help="draw labelled faces to try the commands on",
        description="Draw faces whose age shows: a data set to try the commands on, and nothing more.",
        **_example("instore-training demo-data --out runs/drawn --count 200"),
    )
    demo.add_argument("--out", type=Path, required=True, help="the folder to make; must not exist")
    demo.add_argument("--count", type=_count, default=400, help="pictures (%(default)s)")
    demo.add_argument("--seed", type=_seed, default=0, help="of the drawings (%(default)s)")
    demo.set_defaults(run=_demo_data)


def _demo_data(arguments: argparse.Namespace) -> None:
    from training.demo_data import write_faces

    write_faces(arguments.out, arguments.count, arguments.seed)
    _say(f"{arguments.out}: {arguments.count} drawn faces", sys.stdout)


def _add_evaluate(commands: Any) -> None:  # noqa: ANN401
    evaluate = commands.add_parser(
        "evaluate",
        help="measure a model bundle on labelled faces",
        description="Measure a model bundle on labelled faces, cut and judged as a store box does it: "
        "a report, and the figures as JSON.",
        **_example(
            "instore-training evaluate runs/bundle faces --out runs/evaluated --json runs/figures.json"
        ),
    )
    evaluate.add_argument("bundle", metavar="BUNDLE", help="a bundle's folder, or builtin")
    evaluate.add_argument("data", type=Path, metavar="DATA", help="the folder of labelled faces")
    evaluate.add_argument("--out", type=Path, help="the report's folder; must not exist")
    evaluate.add_argument("--json", help="file for the figures; - is the standard output")
    evaluate.add_argument(
        "--precision", choices=PRECISIONS, default="fp32", help="the graph to run (%(default)s)"
    )
    _add_judging(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> None:
    from training.evaluation.command import run_evaluate
    from training.progress import bars

    if not arguments.out and not arguments.json:
        raise ConfigurationError("evaluate: wants --out DIR, --json FILE or both")
    with bars() as progress:
        said = run_evaluate(
            _bundle(arguments.bundle), arguments.precision, _request(arguments), arguments.out, progress
        )
    _say(said, sys.stderr if arguments.json == "-" else sys.stdout)


def _add_compare(commands: Any) -> None:  # noqa: ANN401
    compare = commands.add_parser(
        "compare",
        help="set two model bundles side by side on the same faces",
        description="Set two model bundles side by side on the same faces, and say which is better by more "
        "than noise: intervals of the differences, 95 % together, from a paired bootstrap.",
        **_example("instore-training compare builtin runs/bundle faces"),
    )
    compare.add_argument("a", metavar="BUNDLE", help="a bundle's folder, or builtin")
    compare.add_argument("b", metavar="BUNDLE", help="the other")
    compare.add_argument("data", type=Path, metavar="DATA", help="the folder of labelled faces")
    compare.add_argument("--json", help="file for the figures; - is the standard output")
    _add_judging(compare)
    compare.set_defaults(run=_compare)


def _compare(arguments: argparse.Namespace) -> None:
    from training.evaluation.command import run_compare
    from training.progress import bars

    with bars() as progress:
        said = run_compare(_bundle(arguments.a), _bundle(arguments.b), _request(arguments), progress)
    _say(said, sys.stderr if arguments.json == "-" else sys.stdout)


def _add_judging(command: argparse.ArgumentParser) -> None:
    """The options of every command that judges bundles by faces."""
    command.add_argument(
        "--split",
        choices=SPLITS,
        help="the part of the data; by default the test part where a bundle was trained on them, else all",
    )
    _add_brackets(command)
    command.add_argument("--seed", type=_seed, default=0, help="of the draws (%(default)s)")
    command.add_argument(
        "--cache", type=Path, default=CACHE, help="keeps what was seen and cut (%(default)s)"
    )


def _add_brackets(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--brackets",
        nargs="+",
        metavar="BRACKET",
        help="to judge in, such as 0-17 18+; by default the data's own age groups, or the daemon's brackets",
    )


def _brackets(arguments: argparse.Namespace) -> tuple[Bracket, ...] | None:
    try:
        return tuple(parse_brackets(arguments.brackets)) if arguments.brackets else None
    except ValueError as error:
        raise ConfigurationError(f"--brackets: {error}") from error


def _request(arguments: argparse.Namespace) -> Request:
    from training.evaluation.command import Request
    from training.evaluation.evaluate import Options

    options = Options(_brackets(arguments), arguments.seed)
    return Request(arguments.data, arguments.split, arguments.cache, options, arguments.json)


def _bundle(name: str) -> Bundle:
    from edge.bundle import load_bundle

    return load_bundle(_bundle_folder(name))


def _bundle_folder(name: str) -> Path:
    from edge.bundle import bundle_folder

    return bundle_folder(name, Path())


def _add_export(commands: Any) -> None:  # noqa: ANN401
    export = commands.add_parser(
        "export",
        help="make a model bundle from a finished run",
        description="Make a model bundle from a finished run: temperature from its validation part, figures "
        "from its test part, FP16 and INT8 variants, and the model card.",
        **_example("instore-training export runs/ours --out runs/bundle --version 3 --against builtin"),
    )
    export.add_argument("training_run", type=Path, metavar="RUN", help="the folder of a finished run")
    export.add_argument("--out", type=Path, required=True, help="the bundle to make; must not exist")
    export.add_argument("--name", default="", help="of the bundle; by default the run's")
    export.add_argument("--version", default="1", help="of the bundle (%(default)s)")
    export.add_argument(
        "--terms", default="", help="of the run's data, for the licence; by default those in their terms.txt"
    )
    export.add_argument("--data", type=Path, help="the run's data, where they lie elsewhere now")
    _add_measuring(export)
    export.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> None:
    brackets = _brackets(arguments)  # told before TensorFlow takes its time
    _load_keras()
    from training.export import Plan, export
    from training.progress import bars

    plan = Plan(
        run=arguments.training_run,
        out=arguments.out,
        name=arguments.name,
        version=arguments.version,
        terms=arguments.terms,
        data=arguments.data,
        also=arguments.also,
        against=[_bundle_folder(name) for name in arguments.against],
        brackets=brackets,
    )
    with bars() as progress:
        manifest = export(plan, progress)
    _say(_made(arguments.out, manifest), sys.stdout)


def _add_convert(commands: Any) -> None:  # noqa: ANN401
    convert = commands.add_parser(
        "convert",
        help="make a model bundle from the published backbone",
        description="Make a model bundle from the published backbone, and measure it.",
        **_example("instore-training convert --backbone backbone --out runs/faceres-deep --data faces"),
    )
    convert.add_argument(
        "--backbone", type=Path, required=True, help="folder of the TensorFlow.js graph model"
    )
    convert.add_argument("--out", type=Path, required=True, help="the bundle to make; must not exist")
    convert.add_argument(
        "--size", type=_size, default=160, help="side of the model's input in px (%(default)s)"
    )
    convert.add_argument("--data", type=Path, help="labelled faces to fit the temperature and to measure on")
    convert.add_argument("--seed", type=_seed, default=0, help="of the split of --data (%(default)s)")
    convert.add_argument(
        "--cache", type=Path, default=CACHE, help="keeps what was seen and cut (%(default)s)"
    )
    _add_measuring(convert)
    convert.set_defaults(run=_convert)


def _convert(arguments: argparse.Namespace) -> None:
    from training.convert import Plan, convert
    from training.progress import bars

    if (arguments.also or arguments.against) and not arguments.data:
        raise ConfigurationError("--also and --against: want --data to measure on as well")
    plan = Plan(
        backbone=arguments.backbone,
        out=arguments.out,
        size=arguments.size,
        data=arguments.data,
        also=arguments.also,
        against=[_bundle_folder(name) for name in arguments.against],
        brackets=_brackets(arguments),
        cache=arguments.cache,
        seed=arguments.seed,
    )
    _load_keras()
    with bars() as progress:
        manifest = convert(plan, progress)
    _say(_made(arguments.out, manifest), sys.stdout)


def _add_measuring(command: argparse.ArgumentParser) -> None:
    """The options of every command that makes a bundle."""
    command.add_argument(
        "--also", type=Path, nargs="+", default=[], metavar="DATA", help="further data to measure it on"
    )
    command.add_argument(
        "--against", nargs="+", default=[], metavar="BUNDLE", help="bundles to set beside it in the card"
    )
    _add_brackets(command)


def _made(out: Path, manifest: Manifest) -> str:
    return f"{out}: {manifest.name} {manifest.version}, {manifest.input.size} px, see MODEL_CARD.md"


def _size(text: str) -> int:
    if text.isdigit() and int(text) in SIZES:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: wants a multiple of 16 from {SIZES[0]} to {SIZES[-1]}")


def _count(text: str) -> int:
    if text.isdigit() and int(text) >= 2:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: wants a number of at least 2")


def _seed(text: str) -> int:
    if text.isdecimal() and int(text) <= MOST_SEED:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: wants a whole number from 0 to {MOST_SEED}")


def _load_keras() -> None:
    """Import Keras without the lines that TensorFlow writes past every setting of its log."""
    from training.dataset.looks import native_silence

    with native_silence():
        import keras  # noqa: F401 (for its effect)


def _say(text: str, file: TextIO) -> None:
    print(text, file=file)
