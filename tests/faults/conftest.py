# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hybrid_sched.cmd.threads import use_native_threads

use_native_threads()

import statistics  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402

# What starts a broker is the integration suite's.
sys.path.append(str(Path(__file__).parents[1] / "integration"))

from cluster import BUS_OPTIONS, DOORS, Ground, open_transport  # noqa: E402
from engines import forkserver  # noqa: E402
from oslo_config import cfg  # noqa: E402
from proxy import Doors  # noqa: E402
from rabbitmq import Broker, why_not  # noqa: E402

from hybrid_sched.db import Database  # noqa: E402

_BROKER_RESTARTS = 12
_grounds: list[Ground] = []


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("ground")
    options = [f"{name} = {value}" for name, value in BUS_OPTIONS.items()]
    (directory / "bus.conf").write_text("\n".join(["[oslo_messaging_rabbit]", *options]) + "\n")
    cfg.CONF(["--config-file", str(directory / "bus.conf")], project="hybrid-sched")
    database = Database(f"sqlite:///{directory}/empty.sqlite")
    database.sync()
    database.close()
    (directory / "rabbitmq").mkdir()
    broker = Broker(directory / "rabbitmq")
    try:
        broker.start()
        doors = Doors(broker.port, DOORS)
        ground = Ground(
            broker,
            doors,
            forkserver(),
            directory / "empty.sqlite",
            open_transport(doors.url("scheduler")),
            open_transport(doors.url("agents")),
            _BROKER_RESTARTS,
        )
        _grounds.append(ground)
        yield ground
        doors.close()
    finally:
        broker.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for ground in _grounds:
        terminalreporter.section("faults")
        for what, count in sorted(ground.counts.items()):
            terminalreporter.write_line(f"{count:8}  {what}")
        if times := ground.whole_after_s:
            terminalreporter.write_line(
                f"Whole after the end of a leader: median {statistics.median(times):.2f} s, "
                f"longest {max(times):.2f} s ({len(times)} times)"
            )
