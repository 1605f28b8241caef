"""`make node-red`: runs the flow in Node-RED against mosquitto. Argument: the folder of node_modules."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.consumers.test_consumers import FOLDER, publish, windows
from tests.mosquitto import Mosquitto, free_port

PATIENCE = 120.0


def main() -> None:
    """Exit status 0: three messages of two windows make two lines of counts.csv."""
    modules = Path(sys.argv[1]).absolute()
    with (
        tempfile.TemporaryDirectory() as name,
        Mosquitto(Path(name) / "broker", extra=["log_type all"]) as broker,
    ):
        folder = Path(name)
        flow = json.loads((FOLDER / "node-red-flow.json").read_text(encoding="utf-8"))
        for node in flow:
            if node["type"] == "mqtt-broker":
                node["port"] = str(broker.port)
        (folder / "flows.json").write_text(json.dumps(flow), encoding="utf-8")
        (folder / "settings.js").write_text(
            "module.exports = { flowFile: 'flows.json', httpAdminRoot: false };\n"
        )
        command = ["node", str(modules / "node-red" / "red.js"), "-u", name, "-p", str(free_port())]
        with subprocess.Popen(command, cwd=name, stdout=subprocess.DEVNULL) as node_red:
            broker.wait_for_log(lambda line: "Sending SUBACK to node-red-instore" in line)
            publish(broker, windows(1, 1, 2))
            found = _lines(folder / "counts.csv", 2)
            node_red.terminate()
    assert [line.split(",")[0] for line in found] == ["window-1", "window-2"], found
    sys.stdout.write(f"Node-RED wrote each window once: {found[0]}\n")


def _lines(path: Path, count: int) -> list[str]:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        if len(lines) >= count:
            time.sleep(1)  # a third line would be wrong
            return path.read_text(encoding="utf-8").splitlines()
        time.sleep(0.2)
    raise SystemExit(f"{path.name} has not {count} lines")


if __name__ == "__main__":
    main()
