"""`make fleet`: boxes, stores' brokers, bridges, a central broker that is killed, consumer and PostgreSQL.

    .venv/bin/python -m bench.fleet [--boxes 50,100,200] [--windows 24] [--kills 2] [--out FILE]
                                    [--ways bridge,direct] [--centre rabbitmq] [--in-order]

All of it runs on this machine, with the files of deploy/: the real outbox and publisher of each box, a broker
for every ten boxes with a bridge for each of them, the central broker, the reference consumer, and a
PostgreSQL that waits for its disk; every connection has TLS, and a user and password of its box. The boxes
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
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from bench import fleet_boxes, fleet_brokers
from bench.fleet_boxes import Boxes
from bench.provenance import add_out, commit, keep, rounded
from bench.servers import SCHEMA, Mosquitto, PostgreSQL
from bench.tables import table

BOXES_A_BROKER = 10
GROUPS_A_PROCESS = 5
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
Report = dict[str, Any]


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
def consumer(port: int, keys: Path, protocol: str, database: str) -> Iterator[int]:
    """The reference consumer; its process."""
    command = [
        sys.executable, str(fleet_brokers.DEPLOY / "fleet/to_postgres.py"),
        "--broker", f"mqtts://localhost:{port}", "--ca", str(keys / "ca.pem"), "--protocol", protocol,
        "--user", fleet_brokers.READER, "--password-file", str(keys / "users" / fleet_brokers.READER),
    ]  # fmt: skip
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
        try:
            yield process.pid
        finally:
            process.terminate()
            reader.join()  # its end: the log is closed next


STORED = (
    "SELECT (SELECT count(*) FROM instore.counts) + (SELECT count(*) FROM instore.periods)"
    " + (SELECT count(*) FROM instore.flow)"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run has. centre: one of CENTRES. direct: the boxes publish to it, without a store's broker.

    kills: ends of the central broker; crash: by SIGKILL, else in order.
    """

    boxes: int
    windows: int
    kills: int
    centre: str = "rabbitmq"
    direct: bool = False
    crash: bool = True

    @property
    def protocol(self) -> str:
        """The newest version of MQTT that the central broker has."""
        return "3.1.1" if self.centre == "rabbitmq" else "5"

    @property
    def groups(self) -> list[range]:
        """The boxes that share a store's broker."""
        return [
            range(first, min(first + BOXES_A_BROKER, self.boxes))
            for first in range(0, self.boxes, BOXES_A_BROKER)
        ]


class Run:
    """One run of a plan."""

    def __init__(
        self, stack: ExitStack, plan: Plan, folder: Path, database: PostgreSQL | None = None
    ) -> None:
        self.plan, self.folder = plan, folder
        self.processes, self.starts = Processes(), 0.0
        self.database = database or stack.enter_context(PostgreSQL(sync=True))
        name = f"fleet-{plan.centre}"
        self.address = self.database.create(name)
        self.database.run_sql("-f", str(SCHEMA), database=name)
        self.keys = fleet_brokers.keys_of(plan.boxes, folder / "keys")
        self.central = stack.enter_context(fleet_brokers.central(plan.centre, folder / "central", self.keys))
        self.consumer = stack.enter_context(
            consumer(self.central.port, self.keys, plan.protocol, self.address)
        )
        self.stores = [] if plan.direct else [stack.enter_context(self._store(of)) for of in plan.groups]
        self.lines = [self._start_boxes(stack, groups) for groups in self._shares()]
        self.expected = [key for line in self.lines for _, key in line.recv()]
        self.db = stack.enter_context(psycopg.connect(self.address, autocommit=True))

    def _store(self, boxes: range) -> Mosquitto:
        return fleet_brokers.store(self.folder / f"store-{boxes[0]}", self.keys, self.central.port, boxes)

    def _boxes(self) -> Iterator[Boxes]:
        """Those of each group, which connect to the broker of their stores, or to the central one."""
        for number, group in enumerate(self.plan.groups):
            port = self.central.port if self.plan.direct else self.stores[number].port
            protocol = self.plan.protocol if self.plan.direct else "5"
            yield Boxes(group[0], group[-1], port, self.plan.windows, self.folder, self.keys, protocol)

    def _shares(self) -> list[list[Boxes]]:
        """The boxes of each process."""
        groups = list(self._boxes())
        return [groups[n : n + GROUPS_A_PROCESS] for n in range(0, len(groups), GROUPS_A_PROCESS)]

    def _start_boxes(self, stack: ExitStack, groups: Sequence[Boxes]) -> Any:  # noqa: ANN401 - a pipe's end
        """Boxes of one process."""
        ours, theirs = multiprocessing.Pipe()
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

    def measure(self, within: float) -> Report:
        """Let the boxes go, end the central broker at even parts of the rows, and wait for all of them."""
        total, before, begun = len(self.expected), self.times(), time.monotonic()
        for line in self.lines:
            line.send("go")
        undisturbed = 0.0
        for kill in range(1, self.plan.kills + 1):
            self.wait_for(kill * total // (self.plan.kills + 1), within)
            undisturbed = undisturbed or self.stored() / (time.monotonic() - begun)
            self.processes.ended("central", self.central.pid)
            (self.central.kill if self.plan.crash else self.central.stop)()
            self.central.start()
            self.starts += _seconds(self.central.pid)
        self.wait_for(total, within)
        took = time.monotonic() - begun
        used = {name: seconds - before[name] for name, seconds in self.times().items()}
        used["central broker"] -= self.starts
        memory = self.memory()
        for line in self.lines:
            line.send("stop")
        boxes, left = zip(*(line.recv() for line in self.lines), strict=True)
        return {
            **asdict(self.plan), "all_windows": self.plan.boxes * self.plan.windows, "messages": total,
            "seconds": took, "messages_a_second": total / took,
            "before_the_first_kill": undisturbed or total / took,
            "cpu_seconds": {**used, "boxes": sum(boxes)}, "cpu_seconds_of_starts": self.starts,
            "memory_mb": memory, "left": sum(left),
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


def measure(plan: Plan, within: float = 300.0, database: PostgreSQL | None = None) -> Report:
    """One run. database: a server that runs; None: one of its own that waits for its disk.

    Raises AssertionError or TimeoutError where a window is not in the database once.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        run = Run(stack, plan, Path(folder), database)
        report = run.measure(within)
        faults = run.faults()
        assert not faults, "; ".join(faults)
        return report


def main(words: Sequence[str] | None = None) -> int:
    """Measure and write the report; status 1 where a window is missing or doubled."""
    arguments = _parser().parse_args(words)
    runs = []
    for boxes in map(int, arguments.boxes.split(",")):
        for way in arguments.ways.split(","):
            plan = Plan(
                boxes, arguments.windows, arguments.kills, arguments.centre, way == "direct",
                not arguments.in_order,
            )  # fmt: skip
            runs.append(measure(plan))
            print(boxes, "boxes:", rounded(runs[-1]), flush=True)
    report = rounded(
        {
            "taken_at": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(),
            "load": os.getloadavg()[1], "cores": os.cpu_count(), "runs": runs,
        }
    )  # fmt: skip
    keep(report, text(report), arguments.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--boxes", default="50,100,200")
    parser.add_argument("--windows", type=int, default=24, help="of each box, five minutes long")
    parser.add_argument("--kills", type=int, default=2, help="ends of the central broker")
    parser.add_argument("--centre", choices=fleet_brokers.CENTRES, default="rabbitmq")
    parser.add_argument(
        "--ways", default="bridge,direct", help="bridge: over stores' brokers; direct: without them"
    )
    parser.add_argument(
        "--in-order", action="store_true", help="end it in order; mosquitto may lose messages in a kill"
    )
    add_out(parser, "fleet")
    return parser


PARTS = ("central broker", "stores' brokers", "consumer", "PostgreSQL", "boxes")


def name_of(run: Report) -> str:
    """A run in a table."""
    return f"{run['boxes']}, {'direct' if run['direct'] else 'bridges'}"


def centre_ms(run: Report) -> float:
    """Milliseconds of a core that a message costs at the centre."""
    parts = ("central broker", "consumer", "PostgreSQL")
    return float(1000 * sum(run["cpu_seconds"][part] for part in parts) / run["messages"])


def speed_table(runs: Sequence[Report]) -> str:
    """How fast the windows came into the database."""
    return table(
        ["boxes", "windows", "messages", "s", "messages/s", "before the first end", "windows/s"],
        [
            [name_of(run), str(run["all_windows"]), str(run["messages"]), f"{run['seconds']:.0f}",
             f"{run['messages_a_second']:.0f}", f"{run['before_the_first_kill']:.0f}",
             f"{run['all_windows'] / run['seconds']:.0f}"]
            for run in runs
        ],
    )  # fmt: skip


def cpu_table(runs: Sequence[Report]) -> str:
    """Processor milliseconds a message of each part."""
    rows = [
        [
            name_of(run),
            *(f"{1000 * run['cpu_seconds'][part] / run['messages']:.2f}" for part in PARTS),
            f"{centre_ms(run):.2f}",
        ]
        for run in runs
    ]
    return table(["boxes", *PARTS, "centre"], rows)


def memory_table(runs: Sequence[Report]) -> str:
    """Megabytes of each part at the end."""
    rows = [[name_of(run), *(f"{run['memory_mb'][part]:.0f}" for part in PARTS[:-1])] for run in runs]
    return table(["boxes", *PARTS[:-1]], rows)


def text(report: Report) -> str:
    """The report for people."""
    runs = report["runs"]
    plan, cameras = runs[0], 60_000 / centre_ms(runs[-1])
    start = plan["cpu_seconds_of_starts"] / max(1, plan["kills"])
    ended = "killed (SIGKILL)" if plan["crash"] else "ended in order"
    return f"""# The fleet on one machine

`make fleet`, {report["taken_at"]}, commit {report["commit"]}, {report["cores"]} cores,
load {report["load"]:.0f}. Other work shared the machine, so the times are longer than the parts need;
processor time is the better figure. `bench/fleet.py` says what runs. The central broker, {plan["centre"]},
was {ended} {plan["kills"]} times in each run, and every window was in the database once: no gap,
nothing doubled, nothing refused. Every connection has TLS and the user of its box. A window gives three
messages: `counts`, and `flow` of the camera and of the box. The boxes begin with all of them waiting.

{speed_table(runs)}

Processor milliseconds a message; the centre is central broker, consumer and PostgreSQL. A start of the
central broker after an end takes {start:.1f} s of a core beside:

{cpu_table(runs)}

Memory at the end, in megabytes:

{memory_table(runs)}

At one message for each camera and minute one core carries {cameras:,.0f} cameras: {cameras / 4:,.0f}
stores of four, by the last row. With the two `flow` messages of each window it is a third of that.
"""


if __name__ == "__main__":
    sys.exit(main())
