# SPDX-License-Identifier: Apache-2.0
"""Each phase of the DevStack plugin, with a stand-in of DevStack's functions, and with its own where there is a checkout."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg
from sandbox import CHECKOUT, STACK, Sandbox

from hybrid_sched.clients.placement import placement_client
from hybrid_sched.clients.zun import zun_client
from hybrid_sched.conf import agent, clients, coordination, database, metrics, quota

#: As DevStack and Zun's plugin write them, shortened.
_NOVA_CONF = """
[DEFAULT]
debug = True
transport_url = rabbit://stackrabbit:rabbit-secret@10.0.0.11:5672/

[filter_scheduler]
enabled_filters = ComputeFilter,ComputeCapabilitiesFilter,ImagePropertiesFilter,SameHostFilter,DifferentHostFilter

[scheduler]
workers = 2

[neutron]
default_floating_pool = public
"""
_ZUN_CONF = """
[DEFAULT]
capsule_driver = docker
container_driver = docker

[database]
connection = mysql+pymysql://root:database-secret@127.0.0.1/zun?charset=utf8

[compute]
host_shared_with_nova = True
"""

_SHELL_FILES = ("settings", "override-defaults", "plugin.sh", "lib/hybrid-sched")


def make_sandbox(functions: str, root: Path) -> Sandbox:
    if functions == "stand-in":
        made = Sandbox(root)
        made.nova_conf.parent.mkdir(parents=True)
        made.nova_conf.write_text(_NOVA_CONF)
    else:
        checkout = os.environ.get("DEVSTACK_DIR")
        if not checkout:
            pytest.skip("DEVSTACK_DIR names no checkout of DevStack")
        zun = os.environ.get("ZUN_DIR")
        made = Sandbox(root, Path(checkout), Path(zun) if zun else None)
    if made.zun is None:
        made.zun_conf.parent.mkdir(parents=True)
        made.zun_conf.write_text(_ZUN_CONF)
    return made


@pytest.fixture(params=["stand-in", "DevStack"])
def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    return make_sandbox(request.param, tmp_path)


@pytest.fixture(scope="module", params=["stand-in", "DevStack"])
def stacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """Give a sandbox in which the plugin has been through all phases of stack.sh, to look at."""
    made = make_sandbox(request.param, tmp_path_factory.mktemp("stacked"))
    passed(made.run(STACK, HYBRID_SCHED_WEIGHTS="hypervisor:2,container:1"))
    return made


def passed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def scheduling(path: Path, group: str) -> Any:
    """Read the options of a scheduler as oslo.config does."""
    conf = cfg.ConfigOpts()
    conf.register_opts(
        [
            cfg.MultiStrOpt("available_filters"),
            cfg.ListOpt("enabled_filters"),
            cfg.ListOpt("weight_classes"),
        ],
        group=group,
    )
    conf.register_opts([cfg.StrOpt("container_driver"), cfg.StrOpt("capsule_driver")])
    conf.register_opts(
        [cfg.FloatOpt("cross_fill_weight_multiplier"), cfg.StrOpt("declared_path")],
        group="hybrid_sched",
    )
    conf.register_opt(cfg.BoolOpt("host_shared_with_nova"), group="compute")
    conf(["--config-file", str(path)])
    return conf


def own_options(path: Path) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    for module in (agent, clients, coordination, database, metrics, quota):
        module.register(conf)
    conf(["--config-file", str(path)])
    return conf


@pytest.mark.parametrize("name", _SHELL_FILES)
def test_bash_can_read_it(name: str) -> None:
    done = subprocess.run(
        ["bash", "-n", str(CHECKOUT / "devstack" / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_nova_gets_filter_and_weigher_beside_its_own(stacked: Sandbox) -> None:
    nova = scheduling(stacked.nova_conf, "filter_scheduler")
    assert nova.filter_scheduler.enabled_filters[0] == "ComputeFilter"
    assert "DifferentHostFilter" in nova.filter_scheduler.enabled_filters
    assert nova.filter_scheduler.enabled_filters[-1] == "HybridShareFilter"
    assert set(nova.filter_scheduler.available_filters) == {
        "nova.scheduler.filters.all_filters",
        "hybrid_sched.filters.nova.HybridShareFilter",
    }
    assert nova.filter_scheduler.weight_classes == [
        "nova.scheduler.weights.all_weighers",
        "hybrid_sched.weighers.nova.CrossFillWeigher",
    ]
    assert nova.hybrid_sched.cross_fill_weight_multiplier == 100


def test_zun_gets_filters_in_order_and_the_drivers(stacked: Sandbox) -> None:
    zun = scheduling(stacked.zun_conf, "scheduler")
    assert zun.scheduler.enabled_filters == [
        "AvailabilityZoneFilter",
        "ComputeFilter",
        "RuntimeFilter",
        "HybridShareFilter",
        "CrossFillOrderFilter",
    ]
    assert set(zun.scheduler.available_filters) == {
        "zun.scheduler.filters.all_filters",
        "hybrid_sched.filters.zun.all_filters",
    }
    assert (zun.container_driver, zun.capsule_driver) == ("hybrid_docker", "hybrid_docker")
    assert zun.compute.host_shared_with_nova
    declared = Path(zun.hybrid_sched.declared_path)
    assert declared.is_dir()
    assert own_options(stacked.own_conf).agent.declared_path == str(declared)


def test_our_file_is_one_that_the_services_take(stacked: Sandbox) -> None:
    assert stat.S_IMODE(stacked.own_conf.stat().st_mode) == 0o600
    conf = own_options(stacked.own_conf)
    assert "database-secret@" in conf.database.connection
    assert "/hybrid_sched?" in conf.database.connection
    assert placement_client(conf) is not None
    assert zun_client(conf) is not None
    assert conf.zun.region_name == "RegionOne"
    assert quota.sharing_rules(conf).policies[0].weight == 2
    assert "rabbit://stackrabbit:rabbit-secret@10.0.0.11:5672/" in stacked.own_conf.read_text()
    assert Path(conf.agent.state_path).is_dir()


def test_the_services_become_units(stacked: Sandbox) -> None:
    assert stacked.units() == {"hybrid-sched-engine", "hybrid-sched-agent"}
    engine, agent_ = stacked.unit("hybrid-sched-engine"), stacked.unit("hybrid-sched-agent")
    program = (
        rf"^ExecStart = {stacked.root}/bin/hybrid-sched-(\w+) --config-file {stacked.own_conf}$"
    )
    assert re.findall(program, engine + agent_, re.M) == ["engine", "agent"]
    assert re.findall(r"^User = (.*)$", agent_, re.M) == ["root"]
    started = [each for each in stacked.commands if each.startswith("systemctl start")]
    assert started == [
        "systemctl start devstack@hybrid-sched-engine.service",
        "systemctl start devstack@hybrid-sched-agent.service",
    ]


def test_the_package_the_account_and_the_database_are_made_before_the_start(
    stacked: Sandbox,
) -> None:

    def when(pattern: str) -> int:
        found = [i for i, each in enumerate(stacked.commands) if re.search(pattern, each)]
        assert found, f"{pattern} is not among {stacked.commands}"
        return found[0]

    steps = [
        when(rf"^pip install.* -e {stacked.root}/plugin"),
        when(r"^openstack .*user create hybrid-sched "),
        when(r"^mysql .*CREATE DATABASE hybrid_sched"),
        when(rf"^hybrid-sched-manage --config-file {stacked.own_conf} db sync$"),
        when(r"^systemctl start .*engine"),
        when(r"^hybrid-sched-manage .* hosts show "),
    ]
    assert steps == sorted(steps)
    assert not any("service create" in each for each in stacked.commands)


def test_an_api_gets_a_place_where_the_release_has_it(sandbox: Sandbox) -> None:
    module = sandbox.root / "plugin" / "hybrid_sched" / "wsgi" / "api.py"
    module.parent.mkdir(parents=True)
    module.touch()
    passed(sandbox.run(STACK))
    assert "uwsgi" in sandbox.unit("hybrid-sched-api")
    uwsgi = sandbox.own_conf.with_name("hybrid-sched-api-uwsgi.ini").read_text()
    assert "module = hybrid_sched.wsgi.api:application" in uwsgi
    assert {"[keystone_authtoken]", "[trustee]"} <= set(sandbox.own_conf.read_text().splitlines())
    created = [each for each in sandbox.commands if re.search(r"(service|endpoint) create", each)]
    assert any("hybrid-scheduling" in each for each in created)
    passed(sandbox.run(["unstack", "clean"]))
    assert any("stop devstack@hybrid-sched-api" in each for each in sandbox.commands)


def texts(sandbox: Sandbox) -> dict[str, str]:
    return {path.name: path.read_text() for path in (sandbox.nova_conf, sandbox.zun_conf)}


def make_files(sandbox: Sandbox) -> dict[str, str]:
    """Have DevStack and Zun write their files, as before our plugin's turn."""
    passed(sandbox.run([]))
    (sandbox.root / "commands").unlink(missing_ok=True)
    return texts(sandbox)


def test_unstack_leaves_the_files_of_nova_and_zun_as_they_were(sandbox: Sandbox) -> None:
    before = make_files(sandbox)
    passed(sandbox.run(STACK))
    assert all(texts(sandbox)[name] != text for name, text in before.items())
    copy = sandbox.nova_conf.with_name("nova-cpu.conf")
    copy.write_text(sandbox.nova_conf.read_text())
    passed(sandbox.run(["unstack"]))
    assert texts(sandbox) == before
    assert copy.read_text() == before["nova.conf"]
    stopped = [each for each in sandbox.commands if each.startswith("systemctl stop")]
    assert stopped == [
        "systemctl stop devstack@hybrid-sched-agent.service",
        "systemctl stop devstack@hybrid-sched-engine.service",
    ]
    assert any("release-host" in each for each in sandbox.commands)


def test_stacking_twice_changes_nothing_more_and_can_still_be_undone(sandbox: Sandbox) -> None:
    before = make_files(sandbox)
    passed(sandbox.run(STACK))
    once = texts(sandbox)
    passed(sandbox.run(STACK))
    assert texts(sandbox) == once
    passed(sandbox.run(["unstack"]))
    assert texts(sandbox) == before
    passed(sandbox.run(["unstack"]))
    assert texts(sandbox) == before


def test_what_an_operator_had_and_changed_since_stays(sandbox: Sandbox) -> None:
    make_files(sandbox)
    own = "available_filters = nova.scheduler.filters.all_filters\nweight_classes = my.weigher\n"
    text = sandbox.nova_conf.read_text()
    sandbox.nova_conf.write_text(
        text.replace("[filter_scheduler]\n", f"[filter_scheduler]\n{own}")
        + "\n[hybrid_sched]\nrefresh_period_s = 3\n"
    )
    before = sandbox.nova_conf.read_text()
    passed(sandbox.run(STACK))
    nova = scheduling(sandbox.nova_conf, "filter_scheduler").filter_scheduler
    assert nova.weight_classes == ["my.weigher", "hybrid_sched.weighers.nova.CrossFillWeigher"]
    changed = sandbox.nova_conf.read_text()
    sandbox.nova_conf.write_text(
        changed.replace(",HybridShareFilter", ",HybridShareFilter,PciPassthroughFilter")
    )
    passed(sandbox.run(["unstack"]))
    assert sandbox.nova_conf.read_text() == re.sub(
        r"(?m)^(enabled_filters = .*)$", r"\1,PciPassthroughFilter", before
    )


def test_a_further_node_has_an_agent_alone(sandbox: Sandbox) -> None:
    before = make_files(sandbox)
    passed(sandbox.run(STACK, "n-cpu,zun-compute,kuryr-libnetwork", SERVICE_HOST="10.0.0.99"))
    assert sandbox.units() == {"hybrid-sched-agent"}
    assert texts(sandbox)["nova.conf"] == before["nova.conf"]
    assert scheduling(sandbox.zun_conf, "scheduler").container_driver == "hybrid_docker"
    assert "connection" not in sandbox.own_conf.read_text()
    assert not any(re.match(r"(openstack|mysql|hybrid-sched-manage)", c) for c in sandbox.commands)


def test_capsules_stay_in_containerd_where_local_conf_says_so(sandbox: Sandbox) -> None:
    assert "ZUN_CAPSULE_DRIVER=docker" in passed(sandbox.run([]))
    assert "ZUN_CAPSULE_DRIVER=cri" in passed(sandbox.run([], ZUN_CAPSULE_DRIVER="cri"))
    text = sandbox.zun_conf.read_text()
    sandbox.zun_conf.write_text(re.sub(r"(?m)^capsule_driver.*$", "capsule_driver = cri", text))
    passed(sandbox.run(STACK))
    zun = scheduling(sandbox.zun_conf, "scheduler")
    assert (zun.container_driver, zun.capsule_driver) == ("hybrid_docker", "cri")


def test_the_wrong_order_of_plugins_is_refused_with_the_remedy(sandbox: Sandbox) -> None:
    done = sandbox.run(["stack pre-install"], plugins=",hybrid-sched,zun")
    assert done.returncode != 0
    assert (
        "Put 'enable_plugin hybrid-sched' after 'enable_plugin zun' in local.conf." in done.stderr
    )


def test_clean_leaves_nothing(sandbox: Sandbox) -> None:
    passed(sandbox.run(STACK))
    passed(sandbox.run(["unstack", "clean"]))
    left = [path for path in sandbox.root.rglob("*hybrid*") if "plugin" not in path.parts]
    assert {path.name for path in left} <= {
        "hybrid-sched-manage",
        "devstack@hybrid-sched-engine.service",
        "devstack@hybrid-sched-agent.service",
    }
