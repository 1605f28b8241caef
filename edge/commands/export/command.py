"""`instore-edge export`: the history of this box as a table."""

from __future__ import annotations

import argparse
import csv
import json
import logging
import sys
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from edge.commands.options import add_common, config_folder, read_settings
from edge.config import Settings
from edge.errors import ConfigurationError
from edge.store_time import StoreTime

if TYPE_CHECKING:
    from edge.commands.export.rows import Row
    from edge.delivery.history import Reader

log = logging.getLogger(__name__)

WHAT = ("counts", "periods", "flow")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = f"{parser.description}\ndocs/dashboard.md explains the columns."
    examples = [
        "instore-edge export > counts.csv",
        "instore-edge export --what periods --from 2026-01-01 --to 2026-01-31 > january.csv",
        "instore-edge export --what flow --camera entrance --json",
    ]
    add_common(parser, examples)
    parser.add_argument(
        "--what",
        choices=WHAT,
        default="counts",
        help="counts: visits by age and hour, also of the day that is open; periods: the hours and days of "
        "days that have ended; flow: numbers without ages, with noise (default: counts)",
    )
    parser.add_argument(
        "--from", type=_day, dest="first", metavar="DAY", help="the store's first day, such as 2026-01-31"
    )
    parser.add_argument("--to", type=_day, dest="last", metavar="DAY", help="the store's last day, included")
    parser.add_argument(
        "--camera",
        action="append",
        default=[],
        metavar="NAME",
        help="only this one; may be given several times",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object a line instead of CSV")
    parser.set_defaults(command=_command)


def _command(arguments: argparse.Namespace) -> int:
    from edge.commands.check.state import state_folder  # it loads what reads the history
    from edge.commands.export.rows import COUNTS, FLOW, PERIODS
    from edge.delivery.history import FILE, Reader

    settings = read_settings(arguments)
    _require_order(arguments.first, arguments.last)
    path = state_folder(settings, config_folder(arguments)) / FILE
    reader = Reader(path)
    if not reader.exists:
        raise ConfigurationError(
            f"{path}: does not exist; the daemon writes it unless history.days = 0, which is "
            f"{settings.history.days} here"
        )
    columns = {"counts": COUNTS, "periods": PERIODS, "flow": FLOW}[arguments.what]
    rows = exported(
        reader, settings, arguments.what, first=arguments.first, last=arguments.last, cameras=arguments.camera
    )
    unknown = {*arguments.camera} - {camera.name for camera in settings.cameras}
    _print(columns, _without_those_found(rows, unknown), as_json=arguments.json)
    for name in sorted(unknown):
        log.warning("--camera %s: no camera has this name, and these days hold nothing of one", name)
    return 0


def _require_order(first: date | None, last: date | None) -> None:
    if first and last and last < first:
        raise ConfigurationError(
            f"--from {first}: is after --to {last}; allowed: the same day or an earlier one"
        )


def _without_those_found(rows: Iterator[Row], names: set[str]) -> Iterator[Row]:
    """The rows; their cameras are taken out of `names`: one that was removed is still in the history."""
    for row in rows:
        names.discard(row["camera"])
        yield row


def exported(
    reader: Reader,
    settings: Settings,
    what: str,
    *,
    first: date | None = None,
    last: date | None = None,
    cameras: Collection[str] = (),
) -> Iterator[Row]:
    """The rows of the store's days from `first` to `last`, in order of time; None: all there are.

    cameras: only theirs; none named: all, and the sums of the box.
    """
    from edge.commands.export.rows import counts_of_day, rows_of_flow, rows_of_period

    time = settings.site.time
    for day in _days(reader, what, time, first, last):
        messages = (
            message
            for message in reader.messages(what, *time.day_bounds(day))
            if not cameras or message.body.get("camera") in cameras
        )
        if what == "counts":
            yield from counts_of_day(messages, day, time)
        else:
            make = rows_of_period if what == "periods" else rows_of_flow
            for message in messages:
                yield from make(message, time)


def _days(
    reader: Reader, what: str, time: StoreTime, first: date | None, last: date | None
) -> Iterator[date]:
    found = reader.span(what)
    if found is None:
        return
    day = max(first or date.min, time.day_of(found[0]))
    end = min(last or date.max, time.day_of(found[1] - timedelta(seconds=1)))
    while day <= end:
        yield day
        day += timedelta(days=1)


def _print(columns: Sequence[str], rows: Iterator[Row], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    table = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day without a zone
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day; an example is 2026-01-31") from None
