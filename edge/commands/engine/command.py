"""`instore-edge engine build`: compiles the age model and the face networks for GPUs."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import get_args

from edge.commands.options import add_common, add_json, config_folder
from edge.config import PrecisionSetting, load_settings, state_directory
from edge.ops.terminal import progress_bars

PRECISIONS: tuple[str, ...] = get_args(PrecisionSetting)

EXAMPLES = (
    "instore-edge engine build                                # for the GPU of this machine",
    "instore-edge engine build --for sm86,sm89 --out engines  # for other machines' GPUs",
    "instore-edge engine build --for sm86 --precision fp16,int8 --json",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add `build` and its options."""
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    summary = (
        "Compile the age model and the face networks for this machine's GPU or, without one, for GPUs named "
        "with --for."
    )
    build = commands.add_parser("build", help=summary, description=summary)
    add_common(build, EXAMPLES)
    build.add_argument(
        "--for",
        dest="capabilities",
        type=_capabilities,
        default=[],
        metavar="SM,...",
        help="compute capabilities of the GPUs, such as sm86 (default: this machine's)",
    )
    build.add_argument(
        "--precision",
        type=_precisions,
        default=[],
        metavar="NAME,...",
        help=f"of the age model: one or more of {', '.join(PRECISIONS)} (default: model.precision)",
    )
    build.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where to store the engines (default: the daemon's own folder)",
    )
    add_json(build)
    build.set_defaults(command=_command)


def _command(arguments: argparse.Namespace) -> int:
    from edge.bundle import bundle_folder, load_bundle  # their libraries take half a second to load
    from edge.commands.engine.build import build_engines
    from edge.commands.engine.report import render
    from edge.inference.engine_store import EngineStore

    folder = config_folder(arguments)
    # An engine depends on the model alone: a configuration without cameras will do.
    no_camera = {"cameras": [{"name": "none", "source": "0"}]}
    settings = load_settings(arguments.config, arguments.set, beneath=no_camera, environment=os.environ)
    own = state_directory(settings, folder) / "engines"
    # The daemon's own folder keeps the newest few; a folder that is named keeps every engine.
    store = EngineStore(arguments.out, kept=None, for_others=True) if arguments.out else EngineStore(own)
    with progress_bars("%") as progress:
        built = build_engines(
            load_bundle(bundle_folder(settings.model.bundle, folder)),
            store,
            capabilities=arguments.capabilities,
            precisions=arguments.precision or [settings.model.precision],
            max_batch=settings.model.max_batch,
            on_progress=progress,
        )
    if arguments.json:
        sys.stdout.write(json.dumps([engine.as_dict() for engine in built], indent=2) + "\n")
    else:
        render(built)
    return 0


def _capabilities(text: str) -> list[str]:
    names = [name.strip().lower() for name in text.split(",")]
    for name in names:
        if not re.fullmatch(r"sm[0-9]{2,3}", name):
            raise argparse.ArgumentTypeError(
                f"{name!r} is not a compute capability; separate several with commas, such as sm86,sm89"
            )
    return names


def _precisions(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in PRECISIONS:
            raise argparse.ArgumentTypeError(f"{name!r} is not a precision; allowed: {', '.join(PRECISIONS)}")
    return names
