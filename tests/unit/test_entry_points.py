# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

import pytest
from oslo_config import cfg

from hybrid_sched import loading
from hybrid_sched.loading import PluginNotFound

#: Nova and Zun cannot be imported into one process; their suites load these.
_OF_NOVA_OR_ZUN = {
    "nova.api.extra_spec_validators",
    "zun.capsule.driver",
    "zun.container.driver",
}


#: Its entry points are modules.
_MODULES = "openstack.cli.extension"

_LOAD_ALL = """
import sys
from importlib import metadata
for entry_point in metadata.distribution("hybrid-sched").entry_points:
    if entry_point.group not in sys.argv[2:]:
        loaded = entry_point.load()
        assert callable(loaded) or entry_point.group == sys.argv[1], entry_point
"""


def test_each_can_be_loaded() -> None:
    # In a process of its own: programs choose native threads before anything else is imported.
    command = [sys.executable, "-W", "ignore", "-c", _LOAD_ALL, _MODULES, *_OF_NOVA_OR_ZUN]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_plug_ins_are_made_in_the_order_wanted() -> None:
    made = loading.load("hybrid_sched.monitor.source", ["noop", "host"], cfg.ConfigOpts())
    assert [(name, type(source).__name__) for name, source in made] == [
        ("noop", "NoopSource"),
        ("host", "HostSource"),
    ]


def test_an_unknown_plug_in_is_named() -> None:
    with pytest.raises(PluginNotFound, match=r"no plug-in 'gone' of hybrid_sched\.monitor\.source"):
        loading.load("hybrid_sched.monitor.source", ["gone"])
