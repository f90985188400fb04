# SPDX-License-Identifier: Apache-2.0
"""Response times, analysis times and CPU use of a guest and a container on one host and on one each (figures 8 to 10).

``make experiment-qos`` runs it in the lab. It writes a table, a document and plots, and says what it does meanwhile.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from keystoneauth1.exceptions import ClientException
from openstack.exceptions import SDKException

from benchmarks.qos import facts, plots, results
from benchmarks.qos.experiment import Experiment
from hybrid_sched.simulation.plots import PlotError
from lab.layout import Lab, saved_lab
from lab.processes import StepFailed

#: After which it is given up, so that it is cleaned up after within a quarter of an hour.
_MOST_S = 720
_FAILURES = (
    *(RuntimeError, OSError, StepFailed, subprocess.SubprocessError),
    *(ClientException, SDKException),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write.

    :returns: the exit code.
    """
    options = _parser().parse_args(arguments)
    if options.plots:
        return _draw(json.loads((options.output / "qos.json").read_text()), options.output)
    lab = saved_lab()
    reason = why_not(lab)
    if lab is None or reason:
        print(reason, file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGALRM, _interrupted)
    signal.alarm(_MOST_S)
    started_s = time.monotonic()

    def show(what: str) -> None:
        print(f"  {time.monotonic() - started_s:4.0f} s  {what}", file=sys.stderr, flush=True)

    machine = facts.machine()
    experiment = Experiment(lab, options.repetitions, show)
    try:
        measured = experiment.run()
    except _FAILURES as error:
        print(f"Given up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print(f"Interrupted: {error}", file=sys.stderr)
        return 130
    finally:
        signal.alarm(0)
    order = list(results.ARRANGEMENTS)
    measured.sort(key=lambda each: (order.index(each.arrangement), each.number))
    rows = [each.row(experiment.settings["hosts"]) for each in measured]
    document = results.document(machine, experiment.settings, rows, measured)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "qos.csv").write_text(results.table(rows))
    (options.output / "qos.json").write_text(json.dumps(document, indent=1) + "\n")
    print(results.table(rows), end="")
    show("measured, and cleaned up after")
    return _draw(document, options.output)


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.qos", description=__doc__)
    made.add_argument("--output", type=Path, required=True, help="folder of the results")
    made.add_argument("--repetitions", type=int, default=5, help="of each arrangement (default 5)")
    made.add_argument(
        "--plots", action="store_true", help="measure nothing; draw qos.json of the folder anew"
    )
    return made


def why_not(lab: Lab | None) -> str:
    """Say why it cannot be run in a lab; an empty text when it can."""
    if lab is None:
        return "There is no lab: 'make experiment-qos' starts one."
    if lab.stock or len(lab.hosts) < 2:
        return "It needs a lab with two hosts and the plug-ins: 'make demo-down', then 'make experiment-qos'."
    return ""


def _draw(document: dict[str, object], folder: Path) -> int:
    try:
        paths = plots.draw_all(document, folder)
    except PlotError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Drawn: {', '.join(map(str, paths))}", file=sys.stderr)
    return 0


def _interrupted(number: int, _frame: FrameType | None) -> None:
    if number == signal.SIGALRM:
        raise KeyboardInterrupt(f"it took longer than {_MOST_S} s")
    raise KeyboardInterrupt(signal.Signals(number).name)


if __name__ == "__main__":
    sys.exit(main())
