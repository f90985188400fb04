# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-status upgrade check`` with a real database and engine; the bus is in memory."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import oslo_messaging
import pytest
from oslo_config import cfg

from hybrid_sched.cmd import status
from hybrid_sched.conf import quota as quota_options
from hybrid_sched.conf.files import complaints
from hybrid_sched.core.hardware import Hardware, ScoreRow
from hybrid_sched.core.resources import Resources
from hybrid_sched.db import Database, migrations
from hybrid_sched.quota.endpoint import EngineEndpoint
from hybrid_sched.quota.engine import Engine
from hybrid_sched.quota.inputs import CycleInputs
from hybrid_sched.rpc import bus
from hybrid_sched.rpc.messages import HostReport
from hybrid_sched.version import version_string

NOW_S = 1_700_000_000.0
OPTIONS = "Options"
FILES = "Options that are unknown or deprecated"
SCHEMA = "Schema of the database"
VERSIONS = "Version of the quota service and the agents"
SCORES = "Scores of the hardware"
SETTINGS = "Settings of Nova and Zun"
POLICY = "Policy file is not JSON"
READY = {OPTIONS, FILES, SCHEMA, VERSIONS, SCORES, SETTINGS, POLICY}

NOVA = """
[filter_scheduler]
available_filters = nova.scheduler.filters.all_filters
available_filters = hybrid_sched.filters.nova.HybridShareFilter
enabled_filters = {filters}
weight_classes = hybrid_sched.weighers.nova.CrossFillWeigher
"""


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def checks(self) -> dict[str, tuple[int, str]]:
        return {
            each["check"]: (each["result"], each["details"] or "")
            for each in json.loads(self.out)["checks"]
        }

    @property
    def ready(self) -> set[str]:
        return {name for name, (result, _) in self.checks.items() if result == 0}


class Site:
    """A configuration, a database, and an engine that answers."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capsys = capsys
        self.database = Database(f"sqlite:///{folder / 'test.sqlite'}")
        self.lines: list[str] = []
        self.nova = folder / "nova.conf"
        options = cfg.ConfigOpts()
        options.register_opts(quota_options.OPTIONS, group=cfg.OptGroup("quota"))
        options([], default_config_files=[])
        self._transport: Any = None
        self._server: Any = None
        self._scores = (ScoreRow("*Known*", "*", 1),)
        self.engine = Engine(options, clock_s=lambda: NOW_S)

    def report(self, host: str, cpu_model: str = "A Known CPU", version: str = "") -> None:
        self.engine.take_report(
            HostReport(
                *(host, "boot", 1, NOW_S, Resources(vcpu=8, memory_mb=100), 8, 100),
                hardware=Hardware(cpu_model, "DDR4"),
                version=version or version_string(),
            )
        )

    def serve(self, version: str = bus.VERSION) -> None:
        self.engine.run_cycle(CycleInputs(score_rows=self._scores))
        self._transport = bus.transport(cfg.CONF, "fake:/")
        endpoint = EngineEndpoint(self.engine, lambda *_: None)
        endpoint.target = oslo_messaging.Target(version=version)
        self._server = bus.server(self._transport, bus.ENGINE_TOPIC, "engine", endpoint)
        self._server.start()

    def __call__(self, *arguments: str) -> Said:
        file = self._folder / "hybrid-sched.conf"
        url = f"sqlite:///{self._folder / 'test.sqlite'}"
        lines = ["[DEFAULT]", "transport_url = fake:/", "[database]", f"connection = {url}"]
        file.write_text("\n".join([*lines, *self.lines, ""]))
        files = ("--config-file", str(file), "--nova-conf", str(self.nova))
        code = status.main(
            [*files, "--zun-conf", str(self._folder / "zun.conf"), "--timeout", "2", *arguments]
        )
        return Said(code, *self._capsys.readouterr())

    def check(self) -> Said:
        return self("upgrade", "check", "--json")

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()
        self.database.close()


@pytest.fixture
def site(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    monkeypatch.setattr(bus, "EXCHANGE", str(uuid.uuid4()))
    made = Site(tmp_path, capsys)
    before = {option["opt"].name for option in cfg.CONF._opts.values()}
    yield made
    made.close()
    cfg.CONF.reset()
    cfg.CONF.unregister_opts(
        [each["opt"] for each in cfg.CONF._opts.values() if each["opt"].name not in before]
    )


def test_where_all_is_ready_the_exit_code_is_0(site: Site) -> None:
    site.database.sync()
    site.report("one")
    site.nova.write_text(NOVA.format(filters="HybridShareFilter"))
    site.serve()
    said = site.check()
    assert said.ready == READY, said.out
    assert (said.code, said.err) == (0, "")


def test_people_get_a_table(site: Site) -> None:
    site.database.sync()
    site.serve()
    said = site("upgrade", "check")
    assert said.code == 0, said.out
    assert "| Check: Schema of the database" in said.out


@pytest.mark.parametrize("revision", [None, "0001"])
def test_a_schema_that_is_not_of_this_release_stops_the_upgrade(
    site: Site, revision: str | None
) -> None:
    if revision is not None:
        site.database.sync(revision)
    site.serve()
    said = site.check()
    assert said.code == 2
    assert said.ready == READY - {SCHEMA}
    assert "Run `hybrid-sched-manage db sync`." in said.checks[SCHEMA][1]
    # It only looks.
    assert site.database.version() == revision
    assert revision != migrations.newest()


@pytest.mark.parametrize(
    ("line", "said_of_it"),
    [
        ("[quota]\nreserve = always", "reserve"),
        ("[quota]\nweights = hypervisor:0", "weights"),
        ("[queue]\npacker = gone", "[queue] packer"),
        ("[quota]\npools_from = aggregate", "set [nova] auth_type"),
    ],
)
def test_options_with_which_no_engine_would_start_stop_the_upgrade(
    site: Site, line: str, said_of_it: str
) -> None:
    site.database.sync()
    site.lines = [line]
    site.serve()
    said = site.check()
    assert said.code == 2
    assert said.ready == READY - {OPTIONS}
    assert said_of_it in said.checks[OPTIONS][1]


def test_options_that_nobody_reads_are_named(site: Site) -> None:
    site.database.sync()
    site.lines = ["[quota]", "wieghts = container:2", "period_s = 4", "[other]", "what = 1"]
    site.serve()
    said = site.check()
    assert (said.code, said.ready) == (1, READY - {FILES})
    text = said.checks[FILES][1]
    assert "[quota] wieghts is no option of this release" in text
    assert "period_s" not in text
    assert "other" not in text


def test_deprecated_options_are_named_with_the_new_ones(tmp_path: Path) -> None:
    options = [
        cfg.IntOpt("new", deprecated_name="old-name"),
        cfg.IntOpt("gone", deprecated_for_removal=True, deprecated_reason="nobody needs it"),
        cfg.IntOpt("moved", deprecated_group="elsewhere"),
    ]
    (tmp_path / "some.conf").write_text("[here]\nold_name = 1\ngone = 2\n[elsewhere]\nmoved = 3\n")
    conf = cfg.ConfigOpts()
    conf(["--config-dir", str(tmp_path)], default_config_files=[])
    path = tmp_path / "some.conf"
    assert list(complaints(conf, [(cfg.OptGroup("here"), options)])) == [
        f"{path}: [here] old_name is deprecated: write [here] new.",
        f"{path}: [here] gone is deprecated: remove it, since nobody needs it.",
        f"{path}: [elsewhere] moved is deprecated: write [here] moved.",
    ]


def test_agents_of_another_release_are_named(site: Site) -> None:
    site.database.sync()
    site.report("old", version="0.1")
    site.serve()
    said = site.check()
    assert (said.code, said.ready) == (1, READY - {VERSIONS})
    assert "The agent of old is 0.1" in said.checks[VERSIONS][1]


def test_an_engine_whose_interface_is_older_is_a_warning(site: Site) -> None:
    site.database.sync()
    site.serve(bus.FIRST_VERSION)
    said = site.check()
    assert (said.code, said.ready) == (1, READY - {VERSIONS})
    assert "upgrade every hybrid-sched-engine first" in said.checks[VERSIONS][1]


def test_hosts_that_no_score_knows_are_named(site: Site) -> None:
    site.database.sync()
    site.report("one")
    site.report("two", cpu_model="Strange CPU")
    site.serve()
    said = site.check()
    assert (said.code, said.ready) == (1, READY - {SCORES})
    assert "the hardware of two (Strange CPU); [quota] default_score" in said.checks[SCORES][1]


def test_an_engine_that_is_away_is_a_warning(site: Site) -> None:
    site.database.sync()
    said = site("--timeout", "0.1", "upgrade", "check", "--json")
    assert (said.code, said.ready) == (1, READY - {VERSIONS, SCORES})
    assert "did not answer" in said.checks[VERSIONS][1]


def test_a_scheduler_without_the_share_filter_is_a_warning(site: Site) -> None:
    site.database.sync()
    site.nova.write_text(NOVA.format(filters="ComputeFilter"))
    site.serve()
    said = site.check()
    assert (said.code, said.ready) == (1, READY - {SETTINGS})
    assert "HybridShareFilter is not in" in said.checks[SETTINGS][1]


def test_a_policy_in_json_stops_the_upgrade(site: Site, tmp_path: Path) -> None:
    site.database.sync()
    policy = tmp_path / "policy.json"
    policy.write_text('{"admin_required": "role:admin"}')
    site.lines = ["[oslo_policy]", f"policy_file = {policy}"]
    site.serve()
    said = site.check()
    assert (said.code, said.ready) == (2, READY - {POLICY})


def test_a_configuration_that_cannot_be_read_is_one_sentence(
    capsys: pytest.CaptureFixture[str], site: Site
) -> None:
    assert status.main(["--config-file", "/nowhere", "upgrade", "check"]) == 255
    said = capsys.readouterr()
    assert said.out == ""
    assert "/nowhere" in said.err
    assert said.err.endswith("Name a readable file with --config-file.\n")
    assert "Traceback" not in said.err
