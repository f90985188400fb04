# SPDX-License-Identifier: Apache-2.0
"""Containers move by being stopped on one host and made again on another."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from oslo_config import cfg

from hybrid_sched.clients.neutron import NeutronPorts, neutron_ports
from hybrid_sched.clients.placement import PlacementClient, placement_client
from hybrid_sched.clients.zun_moves import ZunMoves, zun_moves
from hybrid_sched.conf import migration as options
from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.core.rebalancing.record import TARGET_UUID, MoveRecord
from hybrid_sched.core.relocation import NotMovable, check_movable, request_for
from hybrid_sched.core.steering import MOVE_LABEL
from hybrid_sched.executors.left_claims import LeftClaims
from hybrid_sched.executors.ports import KeptPorts
from hybrid_sched.executors.requests_once import RequestsOnce
from hybrid_sched.executors.stepping import Refused, asking, going_on, over
from hybrid_sched.interfaces.executor import MigrationExecutor, Step

_RECORDED, _STOPPED, _DETACHED, _CREATING = "recorded", "stopped", "detached", "creating"
_CREATED, _STARTED, _DELETING, _UNDOING = "created", "started", "deleting", "undoing"
_AT_REST = frozenset({"Created", "Stopped"})
#: Statuses of a container on its target that will not get better by waiting.
_BROKEN = frozenset({"Error", "Dead"})

Fields = Mapping[str, Any]


class ZunRelocate(MigrationExecutor):
    """Stops a container, makes it again on the target with the same ports and volumes, and deletes it on its source.

    The one on the source is kept, stopped and without networks, until the one on the target has proved itself. The one on the
    target is started only when the other is seen to be stopped, and the other way round when a move is undone: at no time do
    both run.

    :param conf: options; the group ``[migration]`` is registered here, ``[zun]``, ``[neutron]`` and ``[placement]``
        must be.
    :param zun: how Zun is asked; None to make it from the options.
    :param ports: how Neutron is asked; None to make it from the options.
    :param placement: how Placement is asked; None to make it from the options.
    :param clock: gives Unix time.
    """

    frameworks = frozenset({CONTAINER})
    steps = (
        "record all that is needed to bring the container back",
        "stop it on its source",
        "take its networks from it and keep its ports",
        "make it on the target, past all filters of Zun",
        "start it there",
        "see that it keeps running and is healthy",
        "delete it on its source",
    )

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        zun: ZunMoves | None = None,
        ports: NeutronPorts | None = None,
        placement: PlacementClient | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(conf)
        options.register(conf)
        self._zun = zun_moves(conf) if zun is None else zun
        self._ports = KeptPorts(neutron_ports(conf) if ports is None else ports)
        self._claims = LeftClaims(placement_client(conf) if placement is None else placement)
        self._clock = clock
        self._settle_s = float(conf.migration.settle_s)
        self._requests = RequestsOnce(self._zun, clock, self._settle_s)
        # Requests to make a container that this engine has not sent yet. One that is in the record and not here may have
        # been sent by an engine that is no more.
        self._unsent: set[tuple[str, float]] = set()
        self._next = {
            "": self._record,
            _RECORDED: self._stop,
            _STOPPED: self._detach,
            _DETACHED: self._keep_ports,
            _CREATING: self._create,
            _CREATED: self._start,
            _STARTED: self._check,
            _DELETING: self._delete,
        }

    def advance(self, move: MoveRecord) -> Step:
        """Do the next step."""
        if move.step == _UNDOING:
            return self._undo(move)
        try:
            with asking():
                return self._next[move.step](move)
        except Refused as refused:
            if not move.step:
                return over(MoveState.FAILED, {}, f"The move was not begun: {refused}")
            if move.step == _DELETING:
                # Both are there, one of them stopped: that is no reason to stop the one that runs.
                return going_on(_DELETING, move.details, str(refused), self._poll_s)
            return self._undoing(move, MoveState.FAILED, str(refused))

    def cancel(self, move: MoveRecord) -> Step:
        """Do the next step of starting the container on its source again."""
        if not move.step:
            return over(MoveState.CANCELLED, {}, "It was cancelled before anything was done.")
        if move.step in {_UNDOING, _DELETING}:
            return self.advance(move)
        return self._undoing(move, MoveState.CANCELLED, "It was cancelled.")

    # Forwards.

    def _record(self, move: MoveRecord) -> Step:
        made = move.decision
        fields = self._zun.container(made.task)
        if fields is None:
            return over(MoveState.CANCELLED, {}, f"Container {made.task} was deleted by its owner.")
        why_not = None
        if fields.get("host") != made.source:
            why_not = f"it is on host {fields.get('host') or '(none)'}, not on {made.source}"
        elif fields.get("status") != "Running" or fields.get("task_state"):
            why_not = f"it is {fields.get('task_state') or fields.get('status')}, not just Running"
        if why_not is not None:
            return over(MoveState.FAILED, {}, f"The move was not begun: {why_not}.")
        try:
            check_movable(fields)
            request = request_for(fields, move.uuid, made.target)
            ports = self._ports.recorded(fields, move.uuid)
        except NotMovable as bad:
            return over(MoveState.FAILED, {}, f"The move was not begun: {bad}")
        project = str(fields["project_id"])
        # Whether it can be acted on in its project is seen before anything is done to it.
        self._zun.container(made.task, project)
        details = {"project": project, "request": request, "ports": ports}
        return self._on(_RECORDED, details, "All that the container needs is recorded.")

    def _stop(self, move: MoveRecord) -> Step:
        source = self._source(move)
        if source is None:
            return self._left_by_owner(move)
        status, is_busy = source.get("status"), bool(source.get("task_state"))
        if status in _AT_REST and not is_busy:
            return self._on(_STOPPED, move.details, "The container is stopped on its source.")
        if status == "Running" and not is_busy:
            self._requests.stop(move, self._conf.migration.container_stop_grace_s)
        return self._wait(move, f"The container on the source is {status}.")

    def _detach(self, move: MoveRecord) -> Step:
        source = self._stopped_source(move)
        if isinstance(source, Step):
            return source
        attached = self._attached(move, source)
        if not attached:
            return self._on(_DETACHED, move.details, "The container on the source has no networks.")
        if not source.get("task_state"):
            self._requests.detach(move, attached[0])
        return self._wait(move, "Its networks are taken from the container on the source.")

    def _keep_ports(self, move: MoveRecord) -> Step:
        ports = [self._ports.kept(port, self._project(move)) for port in move.details["ports"]]
        return self._asking_for(move, {**move.details, "ports": ports, "since_s": self._clock()})

    def _asking_for(self, move: MoveRecord, details: Mapping[str, Any]) -> Step:
        """Let the container be asked for once, by this engine alone."""
        asked_s = self._clock()
        self._unsent.add((move.uuid, asked_s))
        text = f"The container is asked for on {move.decision.target}."
        return going_on(_CREATING, {**details, "asked_s": asked_s}, text)

    def _create(self, move: MoveRecord) -> Step:
        source = self._stopped_source(move)
        if isinstance(source, Step):
            return source
        found = self._zun.labelled(self._project(move), MOVE_LABEL, move.uuid)
        if found:
            details = {**_without_request(move.details), TARGET_UUID: found[0]}
            return self._on(_CREATED, details, "The container is made on the target.")
        if self._may_send(move):
            return self._send(move)
        if not self._has_settled(move):
            return self._wait(move, "It is seen whether the container was asked for already.")
        return self._asking_for(move, move.details)

    def _send(self, move: MoveRecord) -> Step:
        nets = [{"port": port["id"]} for port in move.details["ports"]]
        body = {**move.details["request"], **({"nets": nets} if nets else {})}
        try:
            with asking():
                self._zun.create(self._project(move), body)
        except Refused as refused:
            unasked = replace(move, details=_without_request(move.details))
            return self._undoing(unasked, MoveState.FAILED, str(refused))
        return self._wait(move, "The container is asked for on the target.")

    def _start(self, move: MoveRecord) -> Step:
        target = self._target(move)
        if isinstance(target, Step):
            return target
        status, host = target.get("status"), target.get("host")
        if status in _BROKEN:
            return self._broken(move, target)
        if host and host != move.decision.target:
            return self._undoing(move, MoveState.FAILED, f"Zun made the container on {host}.")
        if status == "Running":
            return self._on(_STARTED, move.details, "The container runs on the target.")
        may_start = status in _AT_REST and not target.get("task_state")
        # A host that is down would start it when it is back, whatever has become of the move by then.
        if may_start and not self._zun.host_is_down(move.decision.target):
            self._requests.start_there(move)
        return self._wait(move, f"The container on the target is {status}.")

    def _check(self, move: MoveRecord) -> Step:
        target = self._target(move)
        if isinstance(target, Step):
            return target
        said = str(target.get("status_detail") or "")
        if target.get("status") != "Running" or "(unhealthy)" in said:
            return self._broken(move, target)
        waited_s = self._clock() - move.details["since_s"]
        if "(health: starting)" in said or waited_s < self._conf.migration.container_healthy_s:
            return self._wait(move, "The container on the target is watched.")
        return self._on(_DELETING, move.details, "The container on the target is well.")

    def _delete(self, move: MoveRecord) -> Step:
        """Delete the container on its source; while the other one is there, there is no way back from here."""
        source = self._source(move)
        target = self._zun.container(move.details[TARGET_UUID], self._project(move))
        if target is None:
            return self._deleted_there(move)
        if source is None:
            text = f"The container runs on {move.decision.target} as {target.get('uuid')}."
            return over(MoveState.DONE, move.details, text)
        if source.get("status") == "Running":
            # Somebody has started it. It may be about to be deleted, so that the one on the target is the one to keep.
            self._requests.stop(move, self._conf.migration.container_stop_grace_s)
        elif not source.get("task_state"):
            self._requests.delete(move)
        text = "The container on the source is being deleted."
        return going_on(_DELETING, move.details, text, self._poll_s)

    # Backwards.

    def _undoing(self, move: MoveRecord, ends: MoveState, why: str) -> Step:
        details = _without_request(move.details) if self._may_send(move) else dict(move.details)
        # What was asked of the source last may still be on its way to its host.
        is_late = move.step in {_RECORDED, _STOPPED}
        details |= {"ends": ends.value, "why": why, "since_s": self._clock(), "late": is_late}
        return going_on(_UNDOING, details, why)

    def _left_by_owner(self, move: MoveRecord) -> Step:
        text = f"Container {move.decision.task} was deleted by its owner."
        return self._undoing(move, MoveState.CANCELLED, text)

    def _deleted_there(self, move: MoveRecord) -> Step:
        return self._undoing(move, MoveState.FAILED, "The container was deleted on the target.")

    def _broken(self, move: MoveRecord, target: Fields) -> Step:
        said = target.get("status_reason") or target.get("status_detail") or "without a reason"
        text = f"The container on the target is {target.get('status')}: {said}."
        return self._undoing(move, MoveState.FAILED, text)

    def _undo(self, move: MoveRecord) -> Step:
        try:
            with asking():
                found = self._zun.labelled(self._project(move), MOVE_LABEL, move.uuid)
                if found:
                    move = replace(move, details={**move.details, TARGET_UUID: found[0]})
                waiting = self._target_goes(move, found)
                if waiting is not None:
                    return self._undo_later(move, waiting)
                step = self._source_back(move)
                if found or step.state is MoveState.RUNNING:
                    return step
                return self._claims.given_back(move.details.get(TARGET_UUID), step)
        except Refused as refused:
            # A container must not be left stopped: it is tried again, and the record shows why.
            return self._undo_later(move, f"The container is not yet back on its source: {refused}")

    def _target_goes(self, move: MoveRecord, found: Sequence[str]) -> str | None:
        """Delete what was made on the target.

        :param found: uuids of that.
        :returns: what is still waited for; None when nothing is there and nothing can come any more.
        """
        for uuid in found:
            self._requests.delete_there(move, uuid)
        if found:
            # A host that is down deletes it when it is back; it has no ports there by then.
            waited_s = self._clock() - move.details["since_s"]
            is_late = waited_s >= self._conf.migration.container_timeout_s
            if not (is_late and self._zun.host_is_down(move.decision.target)):
                return "The container on the target is being deleted."
        if "asked_s" in move.details and not self._has_settled(move):
            return "It is seen whether the container still comes on the target."
        return None

    def _source_back(self, move: MoveRecord) -> Step:
        source = self._source(move)
        if source is not None:
            return self._bring_back(move, source)
        self._ports.given_up(move.details["ports"])
        return over(MoveState.CANCELLED, move.details, str(move.details["why"]))

    def _bring_back(self, move: MoveRecord, source: Fields) -> Step:
        """Give the container on the source its networks back, and start it."""
        if source.get("task_state"):
            return self._undo_later(move, f"Zun is at {source['task_state']}.")
        attached = self._attached(move, source)
        missing = [port for port in move.details["ports"] if port["network"] not in attached]
        if missing:
            return self._attach(move, missing[0])
        if source.get("status") != "Running":
            self._requests.start(move)
            return self._undo_later(move, "The container is started on its source.")
        waited_s = self._clock() - move.details["since_s"]
        if move.details["late"] and waited_s < self._settle_s:
            return self._undo_later(move, "It is seen whether the container stays on its source.")
        ends, why = MoveState(move.details["ends"]), str(move.details["why"]).rstrip(".")
        return over(ends, move.details, f"{why}; the container runs on its source.")

    def _attach(self, move: MoveRecord, missing: Mapping[str, Any]) -> Step:
        details, project = dict(move.details), self._project(move)
        # A container that is still there by now is on a host that is down.
        is_left_behind = bool(self._zun.labelled(project, MOVE_LABEL, move.uuid))

        def attach() -> None:
            port = self._ports.kept(missing, project, at_any_address=True, anew=is_left_behind)
            details["ports"] = [port if each is missing else each for each in details["ports"]]
            self._zun.attach(project, move.decision.task, port["id"])

        self._requests.ask(move, f"attach {missing['network']}", attach)
        text = "The container on the source gets its networks back."
        return going_on(_UNDOING, details, text, self._poll_s)

    def _undo_later(self, move: MoveRecord, text: str) -> Step:
        return going_on(_UNDOING, move.details, text, self._poll_s)

    # What is seen of the world.

    def _source(self, move: MoveRecord) -> Fields | None:
        return self._zun.container(move.decision.task, self._project(move))

    def _stopped_source(self, move: MoveRecord) -> Fields | Step:
        """Look at the container on the source; it is not gone on with unless it is there and stopped."""
        source = self._source(move)
        if source is None:
            return self._left_by_owner(move)
        if source.get("status") not in _AT_REST:
            text = f"Container {move.decision.task} is {source.get('status')} on its source again."
            return self._undoing(move, MoveState.FAILED, text)
        return source

    def _target(self, move: MoveRecord) -> Fields | Step:
        """Look at the container on the target, with the one on the source seen to be stopped."""
        source = self._stopped_source(move)
        if isinstance(source, Step):
            return source
        target = self._zun.container(move.details[TARGET_UUID], self._project(move))
        return self._deleted_there(move) if target is None else target

    def _attached(self, move: MoveRecord, source: Fields) -> list[str]:
        addresses = source.get("addresses") or {}
        return [port["network"] for port in move.details["ports"] if port["network"] in addresses]

    def _may_send(self, move: MoveRecord) -> bool:
        """Say whether the request to make the container was certainly not sent yet; if so, this is the one time to send it."""
        token = (move.uuid, float(move.details.get("asked_s", 0.0)))
        if token in self._unsent:
            self._unsent.discard(token)
            return True
        return False

    def _has_settled(self, move: MoveRecord) -> bool:
        return self._clock() - float(move.details["asked_s"]) >= self._settle_s

    def _project(self, move: MoveRecord) -> str:
        return str(move.details["project"])

    def _on(self, name: str, details: Mapping[str, Any], text: str) -> Step:
        return going_on(name, {**details, "since_s": self._clock()}, text)

    def _wait(self, move: MoveRecord, text: str) -> Step:
        """Wait in a step, until it has taken too long."""
        limit_s = self._conf.migration.container_timeout_s
        if self._clock() - move.details["since_s"] >= limit_s:
            why = f"It took more than {limit_s:.0f} s (container_timeout_s). {text}"
            return self._undoing(move, MoveState.FAILED, why)
        return going_on(move.step, move.details, text, self._poll_s)

    @property
    def _poll_s(self) -> float:
        return float(self._conf.migration.poll_s)


def _without_request(details: Mapping[str, Any]) -> dict[str, Any]:
    """Give the details of a move of which no request to make the container is on its way."""
    return {key: value for key, value in details.items() if key != "asked_s"}
