# SPDX-License-Identifier: Apache-2.0
"""How programs of ours ask the quota service: each question ends in time, whatever the broker does."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import oslo_messaging
from oslo_config import cfg

from hybrid_sched.rpc import bus

# Each question that hangs on a broker which is down keeps a thread until that is back.
_MOST_UNDER_WAY = 256


class NoAnswer(Exception):
    """The quota service did not answer, or could not; the message is a sentence with the remedy."""


class EngineClient:
    """Ask the quota service. Threads may share it; it connects at the first question, so that it may be made before a fork.

    :param conf: options; must be the process's global ones, for oslo.messaging.
    :param most_under_way: questions at once; a further one is refused.
    :param version: of the interface that the questions need.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        most_under_way: int = _MOST_UNDER_WAY,
        *,
        version: str = bus.FIRST_VERSION,
    ) -> None:
        self._conf = conf
        self._version = version
        self._connecting = threading.Lock()
        self._transport: oslo_messaging.RPCTransport | None = None
        self._free = threading.BoundedSemaphore(most_under_way)

    def ask(self, method: str, timeout_s: float, arguments: dict[str, Any]) -> Any:
        """Call the quota service.

        :param method: of the topic of the engine.
        :param timeout_s: longest time to wait.
        :param arguments: of the method.
        :returns: its answer.
        :raises NoAnswer: when there is none in time, or the broker cannot be used.
        """
        if not self._free.acquire(blocking=False):
            raise NoAnswer(
                "Too many questions to the quota service are under way: ask again when its broker answers."
            )
        answer: Future[Any] = Future()
        # While the broker is down a call outlasts its own timeout, so it must not be waited for.
        threading.Thread(
            target=self._call, args=(answer, method, timeout_s, arguments), daemon=True
        ).start()
        return self._result(answer, timeout_s)

    def close(self) -> None:
        """End the connection; the next question opens another."""
        with self._connecting:
            if self._transport is not None:
                self._transport.cleanup()
                self._transport = None

    def _call(
        self, answer: Future[Any], method: str, timeout_s: float, arguments: dict[str, Any]
    ) -> None:
        try:
            engine = bus.client(
                self._bus(), bus.ENGINE_TOPIC, timeout_s=timeout_s, version=self._version
            )
            answer.set_result(engine.call({}, method, **arguments))
        except Exception as error:
            answer.set_exception(error)
        finally:
            self._free.release()

    def _result(self, answer: Future[Any], timeout_s: float) -> Any:
        try:
            return answer.result(timeout_s + 0.5)
        except (TimeoutError, oslo_messaging.MessagingTimeout):
            raise NoAnswer(
                f"The quota service did not answer within {timeout_s:g} s: check that hybrid-sched-engine runs and that "
                f"[DEFAULT] transport_url in {self._files()} names its broker."
            ) from None
        except oslo_messaging.RemoteError as error:
            # Its own text has the traceback of the quota service.
            raise NoAnswer(f"The quota service cannot answer: {error.value}") from None
        except oslo_messaging.UnsupportedVersion:
            raise NoAnswer(
                f"The quota service that answers is of an earlier release, whose interface is older than {self._version}: "
                "upgrade every hybrid-sched-engine first."
            ) from None
        except oslo_messaging.MessagingException as error:
            raise NoAnswer(
                f"The quota service cannot be asked ({error}): check [DEFAULT] transport_url in {self._files()}."
            ) from None

    def _files(self) -> str:
        return ", ".join(self._conf.config_file) or "the configuration (no file was found)"

    def _bus(self) -> oslo_messaging.RPCTransport:
        """Give the one transport of all questions: each has a connection and a thread of its own."""
        with self._connecting:
            if self._transport is None:
                self._transport = bus.transport(self._conf)
            return self._transport
