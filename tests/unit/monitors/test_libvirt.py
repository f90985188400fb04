# SPDX-License-Identifier: Apache-2.0
"""The source against libvirt's own test driver."""

from __future__ import annotations

from pathlib import Path

import pytest
from oslo_config import cfg

from hybrid_sched.conf import agent as agent_options
from hybrid_sched.core.cluster import HYPERVISOR, Task
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.monitor import SourceError
from hybrid_sched.monitors.libvirt import LibvirtSource

_DOMAIN = """
<domain type="test">
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  {metadata}
  <memory unit="KiB">{memory_kb}</memory>
  <vcpu>{vcpus}</vcpu>
  <os><type>hvm</type></os>
</domain>"""
_METADATA = """
<metadata>
  <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1">
    <nova:name>web</nova:name>
    <nova:flavor name="m1"><nova:memory>512</nova:memory><nova:vcpus>2</nova:vcpus></nova:flavor>
  </nova:instance>
</metadata>"""
_OF_NOVA = "11111111-1111-4111-8111-111111111111"
_OF_ANOTHER = "22222222-2222-4222-8222-222222222222"


def source(uri: str) -> LibvirtSource:
    conf = cfg.ConfigOpts()
    conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
    conf([], default_config_files=[])
    conf.set_override("libvirt_uri", uri, group="agent")
    return LibvirtSource(conf)


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """Give libvirt a host with two guests: one of Nova, whose metadata counts, and one of somebody else."""
    domains = [
        _DOMAIN.format(
            name="instance-1", uuid=_OF_NOVA, metadata=_METADATA, memory_kb=999 * 1024, vcpus=7
        ),
        _DOMAIN.format(name="other", uuid=_OF_ANOTHER, metadata="", memory_kb=64 * 1024, vcpus=1),
    ]
    node = tmp_path / "node.xml"
    node.write_text(f"<node>{''.join(domains)}</node>")
    return f"test://{node}"


def test_every_guest_is_listed_with_what_it_declared(uri: str) -> None:
    tasks = sorted(source(uri).collect().tasks, key=lambda task: task.uuid)
    assert tasks == [
        Task(_OF_NOVA, HYPERVISOR, Resources(vcpu=2, memory_mb=512), "web", "running"),
        Task(_OF_ANOTHER, HYPERVISOR, Resources(vcpu=1, memory_mb=64), "other", "running"),
    ]


def test_libvirt_that_does_not_answer_is_an_error_with_its_address(tmp_path: Path) -> None:
    uri = f"test://{tmp_path}/missing.xml"
    with pytest.raises(SourceError, match=f"^libvirt at {uri} does not answer: "):
        source(uri).collect()
