# SPDX-License-Identifier: Apache-2.0
"""Where messages go: topics of the engine, the agents and the plug-ins, on an exchange of their own."""

from __future__ import annotations

from typing import Any

import oslo_messaging
from oslo_config import cfg

EXCHANGE = "hybrid_sched"
#: Of what is served: each minor version answers the calls of those before. 1.1: declared tasks have owners, and are listed by
#: them.
VERSION = "1.1"
#: Of what every release serves. A program asks for a later one only if it cannot do without, so that neighbouring releases
#: understand each other.
FIRST_VERSION = "1.0"

ENGINE_TOPIC = "hybrid-sched-engine"
AGENT_TOPIC = "hybrid-sched-agent"
SNAPSHOT_TOPIC = "hybrid-sched-snapshot"

#: Messages that RabbitMQ gives to a server which has not taken the ones before. Without a limit, a leader that stands still, or
#: whose machine has lost its power, is given half of all messages until its heartbeats are missed, while a standby leads.
_PREFETCH = {"rabbit_qos_prefetch_count": "4"}


def transport(conf: cfg.ConfigOpts, url: str | None = None) -> oslo_messaging.RPCTransport:
    """Open a transport.

    :param conf: options that oslo.messaging registers its own in; must be the process's global one.
    :param url: broker; None for ``[DEFAULT] transport_url`` of ``conf``.
    """
    parsed = oslo_messaging.TransportURL.parse(conf, url)
    parsed.query = {**_PREFETCH, **parsed.query}
    return oslo_messaging.get_rpc_transport(conf, url=parsed)


def target(
    topic: str,
    *,
    server: str | None = None,
    fanout: bool = False,
    version: str = FIRST_VERSION,
) -> oslo_messaging.Target:
    """Name an address; Nova's and Zun's exchanges are theirs, so ours is named each time.

    :param version: of the interface that calls need.
    """
    return oslo_messaging.Target(
        exchange=EXCHANGE,
        topic=topic,
        server=server,
        fanout=True if fanout else None,
        version=version,
    )


def client(
    on: oslo_messaging.RPCTransport,
    topic: str,
    *,
    timeout_s: float | None = None,
    fanout: bool = False,
    version: str = FIRST_VERSION,
) -> Any:
    """Make an RPC client of a topic.

    :param version: of the interface that its calls need; a server of an earlier one refuses them.
    """
    address = target(topic, fanout=fanout, version=version)
    return oslo_messaging.get_rpc_client(on, address, timeout=timeout_s)


class FanOut:
    """Say something to all servers of a topic, if there are any.

    The exchange that fans out goes with its last server, and the driver, which had made it, would then fail to send once.
    """

    def __init__(self, on: oslo_messaging.RPCTransport, topic: str) -> None:
        self._client = client(on, topic, fanout=True)

    def cast(self, method: str, **arguments: Any) -> None:
        """Send it; nobody may be there.

        :raises oslo_messaging.MessageDeliveryFailure: when it cannot be sent.
        """
        try:
            self._client.cast({}, method, **arguments)
        except oslo_messaging.MessageDeliveryFailure:
            # That failure made the driver forget what it had declared: this makes the exchange anew.
            self._client.cast({}, method, **arguments)


def server(
    on: oslo_messaging.RPCTransport, topic: str, name: str, *endpoints: object
) -> oslo_messaging.RPCServer:
    """Make an RPC server of a topic, with native threads.

    :param name: unique among the servers of the topic.
    :param endpoints: their public methods are the calls; the first that has a method is asked.
    """
    return oslo_messaging.get_rpc_server(
        on,
        target(topic, server=name),
        endpoints,
        executor="threading",
        access_policy=oslo_messaging.DefaultRPCAccessPolicy,
    )
