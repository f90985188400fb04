# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import queue
import threading
from typing import Any

import libvirt
import pytest
from oslo_config import cfg

from hybrid_sched.conf import agent as agent_options
from hybrid_sched.interfaces.watcher import Happening, Kind, Watcher, WatchError
from hybrid_sched.watchers.docker import DockerWatcher, happening_of
from hybrid_sched.watchers.libvirt import LibvirtWatcher
from hybrid_sched.watchers.noop import NoopWatcher


def conf(**options: Any) -> cfg.ConfigOpts:
    made = cfg.ConfigOpts()
    made.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
    made([], default_config_files=[])
    for name, value in options.items():
        made.set_override(name, value, group="agent")
    return made


def event(action: str, name: str) -> dict[str, Any]:
    return {"Action": action, "Actor": {"ID": "c0ffee", "Attributes": {"name": name}}}


@pytest.mark.parametrize(
    ("told", "happening"),
    [
        (event("start", "zun-u"), Happening(Kind.CHANGED, "u")),
        (event("update", "zun-u"), Happening(Kind.CHANGED, "u")),
        (event("die", "zun-u"), Happening(Kind.CHANGED, "u")),
        (event("oom", "zun-u"), Happening(Kind.OOM_KILL, "u")),
        # Somebody else's, and what is of no interest.
        (event("oom", "u"), None),
        (event("exec_create: sh", "zun-u"), None),
        ({"Action": "start"}, None),
        ({}, None),
    ],
)
def test_events_of_zuns_containers_are_read(
    told: dict[str, Any], happening: Happening | None
) -> None:
    assert happening_of(told) == happening


@pytest.mark.parametrize(
    ("watcher", "said"),
    [
        (DockerWatcher(conf(docker_url="unix:///nowhere.sock")), "Docker at unix:///nowhere.sock"),
        (
            LibvirtWatcher(conf(libvirt_uri="qemu+unix:///system?socket=/nowhere")),
            "libvirt at qemu",
        ),
    ],
)
def test_what_is_not_there_is_said_with_the_remedy(watcher: Watcher, said: str) -> None:
    told: list[Happening] = []
    with pytest.raises(WatchError, match="See that it runs") as failed:
        watcher.watch(told.append, threading.Event())
    assert str(failed.value).startswith(said)
    assert told == []


def test_what_happens_to_guests_is_told_until_it_is_stopped() -> None:
    """Libvirt's own test driver has one guest, and all connections of a process share it."""
    stopping, told = threading.Event(), queue.Queue[Happening]()
    watcher = LibvirtWatcher(conf(libvirt_uri="test:///default"))
    thread = threading.Thread(target=watcher.watch, args=(told.put, stopping), daemon=True)
    thread.start()
    assert told.get(timeout=20) == Happening(Kind.LISTENING)
    guest = libvirt.open("test:///default").lookupByName("test")
    for change in (guest.destroy, guest.create):
        change()
        assert told.get(timeout=20) == Happening(Kind.CHANGED, guest.UUIDString())
    stopping.set()
    thread.join(20)
    assert not thread.is_alive()


def test_nothing_is_told_where_nothing_is_watched() -> None:
    stopping, told = threading.Event(), queue.Queue[Happening]()
    thread = threading.Thread(target=NoopWatcher(conf()).watch, args=(told.put, stopping))
    thread.start()
    stopping.set()
    thread.join(20)
    assert not thread.is_alive()
    assert told.empty()
