# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-simulate export`` and ``replay``: what happened, and what would have under another policy."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from oslo_config import cfg
from rich.console import Console
from rich.progress import Progress

from hybrid_sched.cmd.simulate_output import add_format, rows_of, show_figures, write
from hybrid_sched.conf import database as options_of_database
from hybrid_sched.core.cluster import DEFAULT_POOL, FRAMEWORKS
from hybrid_sched.core.resources import Number, exact
from hybrid_sched.db import Database
from hybrid_sched.db.decisions import DecisionStore
from hybrid_sched.db.errors import DatabaseError
from hybrid_sched.db.moves import MoveStore
from hybrid_sched.db.tasks import TaskStore
from hybrid_sched.db.weights import WeightStore
from hybrid_sched.rpc.messages import BadMessage, decision_from_wire
from hybrid_sched.simulation import policies
from hybrid_sched.simulation.optimum import MOST_TASKS, optimum_s
from hybrid_sched.simulation.recorded import Records, recorded_trace
from hybrid_sched.simulation.replay import RECORDED, Comparison, compare, replay
from hybrid_sched.simulation.trace import Trace, read_trace, write_trace
from hybrid_sched.simulation.workload import WorkloadError, check_room, read_hosts

_PATIENCE_S = 60.0
_EFFORT = 60.0


def add_to(commands: Any) -> None:
    """Add the sub-commands to a parser's."""
    export = commands.add_parser(
        "export",
        help="write what really happened as a trace, without names of tasks or their owners",
    )
    time = "Unix time, or as 2026-11-27T14:00:00+00:00; UTC without an offset"
    export.add_argument("--from", required=True, dest="begin", metavar="TIME", help=time)
    export.add_argument("--to", required=True, dest="end", metavar="TIME", help=time)
    export.add_argument(
        "--hosts",
        required=True,
        metavar="FILE",
        help="what the hosts had, as for run; their ids are the names that Nova and Zun know them by",
    )
    export.add_argument(
        "--host-names", action="store_true", help="keep the names of hosts; else they are numbered"
    )
    export.add_argument(
        "--config-file",
        action="append",
        metavar="PATH",
        help="configuration file that names the database; by default that of the services",
    )
    export.add_argument("--output", default="-", metavar="FILE", help="- is standard output")
    export.set_defaults(run=_export)
    again = commands.add_parser(
        "replay", help="say what would have been different in a trace under other policies"
    )
    again.add_argument("trace", metavar="TRACE", help="what export wrote")
    again.add_argument(
        "--policy", nargs="+", default=[], metavar="P", help="as for run; none shows what happened"
    )
    again.add_argument(
        "--weights",
        metavar="H:C",
        help="weights of guests and containers that policies share by and shares are judged by; the trace's if not given",
    )
    again.add_argument(
        "--patience",
        type=float,
        default=_PATIENCE_S,
        metavar="SECONDS",
        help=f"a task that starts so soon counts as not refused; {_PATIENCE_S:g} if not given",
    )
    again.add_argument(
        "--exact",
        action="store_true",
        help=f"look for the smallest possible makespan too, of {MOST_TASKS} tasks at most; needs OR-tools",
    )
    again.add_argument(
        "--effort",
        type=float,
        default=_EFFORT,
        metavar="N",
        help=f"about seconds after which --exact gives up; {_EFFORT:g} if not given",
    )
    add_format(again)
    again.set_defaults(run=_replay)


def _export(options: argparse.Namespace) -> None:
    from_s, to_s = _moment("--from", options.begin), _moment("--to", options.end)
    hosts = read_hosts(options.hosts)
    database = _database(options.config_file or ())
    decisions = []
    for stored in DecisionStore(database, 1).between(from_s, to_s):
        try:
            decisions.append(decision_from_wire(json.loads(stored.document)))
        except (BadMessage, ValueError) as error:
            print(
                f"hybrid-sched-simulate: a decision of {stored.decided_at_s:.0f} is left out: {error}",
                file=sys.stderr,
            )
    records = Records(
        TaskStore(database).between(from_s, to_s),
        decisions,
        sorted(MoveStore(database).since(from_s), key=lambda move: move.ended_at_s),
    )
    kept = WeightStore(database).all().get(DEFAULT_POOL, {})
    weights = [kept.get(name, 1) for name in FRAMEWORKS]
    trace = recorded_trace(records, hosts, weights, from_s, to_s, host_names=options.host_names)
    text = write_trace(trace)
    if options.output == "-":
        sys.stdout.write(text)
        return
    try:
        Path(options.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise WorkloadError(
            f"cannot write {options.output}: {error.strerror}; name another file"
        ) from None


def _database(files: Sequence[str]) -> Database:
    conf = cfg.ConfigOpts()
    options_of_database.register(conf)
    try:
        conf([f"--config-file={path}" for path in files], project="hybrid-sched")
        parameters = options_of_database.parameters(conf)
    except (cfg.Error, ValueError) as error:
        raise DatabaseError(f"The database is not known: {error}; see --config-file.") from None
    # What is not there is not to be made, and nobody waits for what is away.
    database = Database(**{**parameters, "create_missing": False, "max_retries": 0})
    database.check()
    return database


def _moment(option: str, text: str) -> float:
    """Read a time as Unix time."""
    try:
        return float(exact(text))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise WorkloadError(
            f"{option}: {text!r} is no time; write Unix time, or 2026-11-27T14:00:00+00:00"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _replay(options: argparse.Namespace) -> None:
    trace = read_trace(options.trace)
    weights = _weights(options.weights) if options.weights else trace.weights
    if not options.patience >= 0:
        raise WorkloadError(f"--patience: {options.patience} is not 0 or more seconds")
    if not options.effort > 0:
        raise WorkloadError(f"--effort: {options.effort} is not above 0")
    chosen = [policies.policy(name, len(trace.hosts)) for name in dict.fromkeys(options.policy)]
    check_room(trace.workload, trace.hosts, options.trace)
    best_s = optimum_s(trace.workload, trace.hosts, options.effort) if options.exact else None
    if options.exact and best_s is None:
        print("hybrid-sched-simulate: no optimum was proved; give more --effort", file=sys.stderr)
    shown = [_compared(RECORDED, trace, weights, options.patience, best_s)]
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for policy in chosen:
            progress.add_task(policy.name, total=None)
            again = replay(trace, policy, weights)
            shown.append(_compared(policy.name, again, weights, 0.0, best_s))
    write(rows_of(shown), options.format, lambda rows: show_figures(rows, "policy"))


def _compared(
    name: str, trace: Trace, weights: Sequence[Number], patience_s: float, best_s: float | None
) -> Comparison:
    return compare(name, trace, weights, patience_s=patience_s, optimum_s=best_s)


def _weights(text: str) -> tuple[Number, ...]:
    parts = text.split(":")
    try:
        weights = tuple(exact(part.strip()) for part in parts)
    except ValueError as error:
        raise WorkloadError(f"--weights: {error}") from None
    if len(weights) != len(FRAMEWORKS) or min(weights) <= 0:
        raise WorkloadError(f"--weights: {text!r} is not two numbers above 0; write 1:2")
    return weights
