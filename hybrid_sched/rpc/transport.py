# SPDX-License-Identifier: Apache-2.0
"""Who talks to whom over the message bus, under which names and with which timeouts.

========================  ============================  ============================================
topic                     served by                     methods
========================  ============================  ============================================
``hybrid_sched.engine``   the quota service             ``report``, ``snapshot``, ``reserve``, ...
``hybrid_sched.agent``    each agent, by fan-out        ``report_now``
``hybrid_sched.snapshot`` each plug-in, by fan-out      ``snapshot_made``
========================  ============================  ============================================

The exchange is our own, as Nova's and Zun's processes have theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import oslo_messaging
from oslo_config import cfg

EXCHANGE = "hybrid_sched"
VERSION = "1.0"
ENGINE_TOPIC = "hybrid_sched.engine"
AGENT_TOPIC = "hybrid_sched.agent"
SNAPSHOT_TOPIC = "hybrid_sched.snapshot"

CALL_TIMEOUT_S = 10


def make_transport(conf: cfg.ConfigOpts, url: str | None = None) -> oslo_messaging.RPCTransport:
    """Make a transport; it connects when it is first used.

    :param conf: where oslo.messaging reads its options.
    :param url: the broker; None for ``[DEFAULT] transport_url``.
    :returns: a transport that belongs to this process and must not cross a fork.
    """
    return oslo_messaging.get_rpc_transport(conf, url=url, allowed_remote_exmods=[])


def engine_client(
    transport: oslo_messaging.RPCTransport, timeout_s: float = CALL_TIMEOUT_S
) -> oslo_messaging.RPCClient:
    """Make a client of the quota service.

    The timeout does not bound a call while the broker is down: call from a thread that may hang. A message that waited in
    the broker for longer than the timeout is dropped by it.

    :param transport: of this process.
    :param timeout_s: how long to wait for an answer once the question is out.
    """
    target = oslo_messaging.Target(exchange=EXCHANGE, topic=ENGINE_TOPIC, version=VERSION)
    return oslo_messaging.get_rpc_client(transport, target, timeout=timeout_s)


def fanout_client(
    transport: oslo_messaging.RPCTransport, topic: str
) -> oslo_messaging.RPCClient:
    """Make a client whose casts reach everybody who serves the topic."""
    target = oslo_messaging.Target(exchange=EXCHANGE, topic=topic, version=VERSION, fanout=True)
    return oslo_messaging.get_rpc_client(transport, target)


def make_server(
    transport: oslo_messaging.RPCTransport,
    topic: str,
    server: str,
    endpoints: list[object],
    executor: str | None = "threading",
) -> oslo_messaging.RPCServer:
    """Make a server; its ``start`` blocks while the broker is down.

    :param transport: of this process.
    :param topic: what it serves.
    :param server: its own name, unique among those that serve the topic.
    :param endpoints: objects whose public methods can be called.
    :param executor: ``threading``; None lets oslo.messaging choose what suits a process that eventlet has patched.
    """
    target = oslo_messaging.Target(exchange=EXCHANGE, topic=topic, server=server)
    return oslo_messaging.get_rpc_server(
        transport,
        target,
        endpoints,
        executor=executor,
        access_policy=oslo_messaging.DefaultRPCAccessPolicy,
    )


def call(client: oslo_messaging.RPCClient, method: str, **arguments: Any) -> Any:
    """Call a method of the quota service and wait for its answer."""
    return client.call({}, method, **arguments)


def cast(client: oslo_messaging.RPCClient, method: str, **arguments: Any) -> None:
    """Send to everybody who serves the client's topic, without an answer."""
    client.cast({}, method, **arguments)


Context = Mapping[str, Any]
