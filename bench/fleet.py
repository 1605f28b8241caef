"""`make fleet`: boxes, stores' brokers, bridges, a central broker that restarts, consumer and PostgreSQL.

    .venv/bin/python -m bench.fleet [--boxes 50,100,200] [--windows 24] [--kills 2] [--out FILE]

All of it runs on this machine, with the files of deploy/: the real outbox and publisher of each box, a broker
with a bridge for every ten boxes, the reference consumer, and a PostgreSQL that waits for its disk. The boxes
begin with all their windows waiting, as after an outage of the line. Every window must be in the database
once, or the command fails. Other work of the machine makes the times longer; processor time counts more.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from bench import fleet_boxes
from bench.box import ROOT
from bench.fleet_boxes import Boxes
from bench.provenance import commit, keep, rounded
from bench.servers import SCHEMA, Mosquitto, PostgreSQL
from bench.tables import table

DEPLOY = ROOT / "deploy"
BOXES_A_BROKER = 10
BOXES_A_PROCESS = 50
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
Report = dict[str, Any]


def settings_in(file: Path, names: str) -> list[str]:
    """The lines of a configuration that begin with one of these names (a regular expression)."""
    return [line for line in file.read_text().splitlines() if re.match(names, line)]


def central_settings() -> list[str]:
    """Those of the central broker, but for TLS and passwords."""
    kept = "autosave|max_|persistent|message_size"
    return settings_in(DEPLOY / "mosquitto/instore.conf", kept) + settings_in(
        DEPLOY / "fleet/central.conf", kept
    )


def bridge_settings(number: int, central: int, first: int, last: int) -> list[str]:
    """A bridge to the central broker for the stores of these boxes: without TLS, quick to come back."""
    kept = settings_in(
        DEPLOY / "mosquitto/bridge.conf", "connection|bridge_protocol|cleansession|notif|try_private"
    )
    names = [f"address 127.0.0.1:{central}", f"remote_clientid bridge-{number}", "restart_timeout 1 5"]
    topics = [f"topic instore/{fleet_boxes.site(box)}/# out 1" for box in range(first, last + 1)]
    own = settings_in(DEPLOY / "mosquitto/instore.conf", "autosave|max_|persistent|message_size")
    return [*own, *kept, *names, *topics]


class Processes:
    """Processor time and memory of processes with their children, since they were first seen here."""

    def __init__(self) -> None:
        self._dead: dict[str, float] = {}

    def seconds(self, name: str, *pids: int) -> float:
        """Time of these processes, of their children, and of those that `ended` under the name."""
        return self._dead.get(name, 0.0) + sum(map(_seconds, pids))

    def ended(self, name: str, pid: int) -> None:
        """The process is about to be killed: its time goes on to count."""
        self._dead[name] = self._dead.get(name, 0.0) + _seconds(pid)


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _seconds(pid: int) -> float:
    try:
        fields = _stat(pid)
        live = sum(map(_seconds, _children(pid)))
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS + live


def _resident_mb(pid: int) -> float:
    """Proportional set size with the children, in megabytes: memory that they share counts once."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        own = int(re.findall(r"(?m)^Pss:\s+(\d+) kB", text)[0]) * 1024 / 1e6
        return own + sum(map(_resident_mb, _children(pid)))
    except (OSError, IndexError):
        return 0.0


@contextmanager
def consumer(port: int, database: str) -> Iterator[int]:
    """The reference consumer; its process."""
    command = [sys.executable, str(DEPLOY / "fleet/to_postgres.py"), "--broker", f"mqtt://127.0.0.1:{port}"]
    with subprocess.Popen([*command, "--database", database], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "subscribed to" in line:
                break
        else:
            raise RuntimeError("the consumer does not start")
        log = process.stderr
        reader = threading.Thread(target=lambda: [None for _ in log], daemon=True)
        reader.start()
        yield process.pid
        process.terminate()
        reader.join()  # its end: the log is closed next


STORED = (
    "SELECT (SELECT count(*) FROM instore.counts) + (SELECT count(*) FROM instore.periods)"
    " + (SELECT count(*) FROM instore.flow)"
)


class Run:
    """One run with so many boxes."""

    def __init__(
        self, stack: ExitStack, boxes: int, windows: int, folder: Path, database: PostgreSQL | None = None
    ) -> None:
        self.boxes, self.windows = boxes, windows
        self.processes = Processes()
        self.database = database or stack.enter_context(PostgreSQL(sync=True))
        self.address = self.database.create("instore")
        self.database.run_sql("-f", str(SCHEMA), database="instore")
        self.central = stack.enter_context(Mosquitto(folder / "central", central_settings()))
        self.consumer = stack.enter_context(consumer(self.central.port, self.address))
        self.stores = [
            stack.enter_context(self._store(folder, n, first))
            for n, first in enumerate(range(0, boxes, BOXES_A_BROKER))
        ]
        self.lines = [self._start_boxes(stack, folder, first) for first in range(0, boxes, BOXES_A_PROCESS)]
        self.expected = [key for line in self.lines for _, key in line.recv()]
        self.db = stack.enter_context(psycopg.connect(self.address, autocommit=True))

    def _store(self, folder: Path, number: int, first: int) -> Mosquitto:
        last = min(first + BOXES_A_BROKER, self.boxes) - 1
        return Mosquitto(folder / f"store-{number}", bridge_settings(number, self.central.port, first, last))

    def _start_boxes(self, stack: ExitStack, folder: Path, first: int) -> Any:  # noqa: ANN401 - a pipe's end
        """Boxes of one process; they connect to the brokers of their stores."""
        ours, theirs = multiprocessing.Pipe()
        last = min(first + BOXES_A_PROCESS, self.boxes) - 1
        groups = [
            Boxes(begin, min(begin + BOXES_A_BROKER - 1, last), self.stores[begin // BOXES_A_BROKER].port,
                  self.windows, folder)
            for begin in range(first, last + 1, BOXES_A_BROKER)
        ]  # fmt: skip
        process = multiprocessing.get_context("spawn").Process(target=fleet_boxes.run, args=(groups, theirs))
        process.start()
        theirs.close()  # so that its end is noticed
        stack.callback(process.join)
        stack.callback(ours.close)  # before: what waits for a word then ends
        return ours

    def stored(self) -> int:
        """Rows in the database."""
        with self.db.cursor() as cursor:
            return int(cursor.execute(STORED).fetchone()[0])  # type: ignore[index]

    def wait_for(self, rows: int, within: float) -> None:
        """Wait until so many rows are stored. Raises TimeoutError."""
        until = time.monotonic() + within
        while (found := self.stored()) < rows:
            if time.monotonic() > until:
                raise TimeoutError(f"{found} of {rows} rows after {within:.0f} s")
            time.sleep(0.2)

    def times(self) -> dict[str, float]:
        """Processor seconds so far, by part."""
        return {
            "central broker": self.processes.seconds("central", self.central.pid),
            "stores' brokers": sum(_seconds(store.pid) for store in self.stores),
            "consumer": _seconds(self.consumer),
            "PostgreSQL": _seconds(self.database.pid),
        }

    def memory(self) -> dict[str, float]:
        """Megabytes, by part."""
        return {
            "central broker": _resident_mb(self.central.pid),
            "stores' brokers": sum(_resident_mb(store.pid) for store in self.stores),
            "consumer": _resident_mb(self.consumer),
            "PostgreSQL": _resident_mb(self.database.pid),
        }

    def measure(self, kills: int, within: float, *, crash: bool) -> Report:
        """Let the boxes go, end the central broker at even parts of the rows, and wait for all of them."""
        total, before, begun = len(self.expected), self.times(), time.monotonic()
        for line in self.lines:
            line.send("go")
        undisturbed = 0.0
        for kill in range(1, kills + 1):
            self.wait_for(kill * total // (kills + 1), within)
            undisturbed = undisturbed or self.stored() / (time.monotonic() - begun)
            self.processes.ended("central", self.central.pid)
            (self.central.kill if crash else self.central.stop)()
            self.central.start()
        self.wait_for(total, within)
        took = time.monotonic() - begun
        used = {name: seconds - before[name] for name, seconds in self.times().items()}
        memory = self.memory()
        for line in self.lines:
            line.send("stop")
        boxes, left = zip(*(line.recv() for line in self.lines), strict=True)
        return {
            "boxes": self.boxes, "windows": self.boxes * self.windows, "messages": total, "seconds": took,
            "messages_a_second": total / took, "before_the_first_kill": undisturbed or total / took,
            "cpu_seconds": {**used, "boxes": sum(boxes)}, "memory_mb": memory, "left": sum(left),
        }  # fmt: skip

    def faults(self) -> list[str]:
        """What is not as it must be: each window once, no gap, nothing refused."""
        with self.db.cursor() as cursor:
            found = [
                name
                for kind in ("counts", "periods", "flow")
                for (name,) in cursor.execute(f"SELECT window_id::text FROM instore.{kind}").fetchall()  # noqa: S608
            ]
            gaps = cursor.execute("SELECT * FROM instore.gaps").fetchall()
            refused = cursor.execute("SELECT topic, reason FROM instore.refused").fetchall()
        missing, unknown = set(self.expected) - set(found), set(found) - set(self.expected)
        doubled = len(found) - len(set(found))
        named = {"missing": missing, "unknown": unknown, "gaps": gaps, "refused": refused}
        faults = [f"{len(some)} {name}: {sorted(map(str, some))[:3]}" for name, some in named.items() if some]
        return faults + ([f"{doubled} rows twice"] if doubled else [])


def measure(
    boxes: int,
    windows: int,
    kills: int,
    within: float = 300.0,
    database: PostgreSQL | None = None,
    *,
    crash: bool = False,
) -> Report:
    """One run. database: a server that runs; None: one of its own that waits for its disk.

    crash: the central broker is killed; else it is restarted in order.
    Raises AssertionError or TimeoutError where a window is not in the database once.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        run = Run(stack, boxes, windows, Path(folder), database)
        report = run.measure(kills, within, crash=crash)
        faults = run.faults()
        assert not faults, "; ".join(faults)
        return {**report, "kills": kills}


def main(words: Sequence[str] | None = None) -> int:
    """Measure and write the report; status 1 where a window is missing or doubled."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--boxes", default="50,100,200")
    parser.add_argument("--windows", type=int, default=24, help="of each box, five minutes long")
    parser.add_argument("--kills", type=int, default=2, help="ends of the central broker")
    parser.add_argument("--crash", action="store_true", help="kill it; mosquitto may lose messages then")
    parser.add_argument("--out", type=Path, default=ROOT / "bench/results/fleet")
    arguments = parser.parse_args(words)
    runs = []
    for boxes in map(int, arguments.boxes.split(",")):
        runs.append(measure(boxes, arguments.windows, arguments.kills, crash=arguments.crash))
        print(boxes, "boxes:", rounded(runs[-1]), flush=True)
    report = rounded(
        {
            "taken_at": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(),
            "load": os.getloadavg()[1], "cores": os.cpu_count(), "runs": runs,
        }
    )  # fmt: skip
    keep(report, text(report), arguments.out)
    return 0


PARTS = ("central broker", "stores' brokers", "consumer", "PostgreSQL", "boxes")


def text(report: Report) -> str:
    """The report for people."""
    runs = report["runs"]
    speed = table(
        ["boxes", "windows", "messages", "s", "messages/s", "before the first end", "windows/s"],
        [
            [str(run["boxes"]), str(run["windows"]), str(run["messages"]), f"{run['seconds']:.0f}",
             f"{run['messages_a_second']:.0f}", f"{run['before_the_first_kill']:.0f}",
             f"{run['windows'] / run['seconds']:.0f}"]
            for run in runs
        ],
    )  # fmt: skip
    cpu = table(
        ["boxes", *PARTS],
        [
            [
                str(run["boxes"]),
                *(f"{1000 * run['cpu_seconds'][part] / run['messages']:.2f}" for part in PARTS),
            ]
            for run in runs
        ],
    )
    memory = table(
        ["boxes", *PARTS[:-1]],
        [[str(run["boxes"]), *(f"{run['memory_mb'][part]:.0f}" for part in PARTS[:-1])] for run in runs],
    )
    centre = [
        1000 * sum(run["cpu_seconds"][part] for part in ("central broker", "consumer", "PostgreSQL"))
        / run["messages"]
        for run in runs
    ]  # fmt: skip
    by_size = ", ".join(f"{ms:.2f} with {run['boxes']}" for ms, run in zip(centre, runs, strict=True))
    cameras = 60_000 / centre[-1]
    return f"""# The fleet on one machine

`make fleet`, {report["taken_at"]}, commit {report["commit"]}, {report["cores"]} cores,
load {report["load"]:.0f}. Other work shared the machine, so the times are longer than the parts need;
processor time is the better figure. `bench/fleet.py` says what runs. The central broker was ended
{runs[0]["kills"]} times in each run, and every window was in the database once: no gap, nothing
doubled, nothing refused. A window gives three messages: `counts`, and `flow` of the camera and of the
box. The boxes begin with all of them waiting.

{speed}

Processor milliseconds a message:

{cpu}

Memory at the end, in megabytes:

{memory}

The centre (central broker, consumer, PostgreSQL) takes, in ms of a core a message: {by_size} boxes.
At one message for each camera and minute one core carries {cameras:,.0f} cameras: {cameras / 4:,.0f}
stores of four. With the two `flow` messages of each window it is a third of that.
"""


if __name__ == "__main__":
    sys.exit(main())
