# SPDX-License-Identifier: Apache-2.0
"""What the plug-ins of both schedulers do with a request: ask the gate, rank the hosts, keep the reasons."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from oslo_config import cfg

from hybrid_sched.core.cluster import DEFAULT_POOL, ReserveMode, Snapshot
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.online import Ranking, rank, unranked
from hybrid_sched.core.share_gate import Refusal, Request, Rule, ShareGate, Verdict, arriving
from hybrid_sched.core.steering import planned_text
from hybrid_sched.quota.client import QuotaClient, View, client_for_process

# Of pools and scores of hosts: a sentence each.
_MOST_SHARES_TOLD = 4


class Gatekeeper:
    """Answer for one scheduler process.

    It keeps nothing of a request, so that several threads may use it at once.

    :param client: of the quota service.
    :param conf: options with the group ``[hybrid_sched]``.
    """

    def __init__(self, client: QuotaClient, conf: cfg.ConfigOpts) -> None:
        self._client = client
        self._conf = conf

    def judge(self, request: Request, hosts: Sequence[str]) -> Verdict:
        """Say which hosts a request may go to, and keep why not the others.

        A declaration that cannot be read keeps a request from every host, for nobody knows what it would take there. A task
        that runs already is judged by what can be read, so that it can be moved away.

        :param request: what is to be placed.
        :param hosts: candidates by name.
        """
        view = self._client.view()
        snapshot = self._usable(view)
        allow = self._conf.hybrid_sched.on_unavailable == "allow"
        target = arriving(snapshot, request, hosts) if snapshot is not None else ""
        if target:
            request = replace(request, is_move=True)
        if request.fault and not request.is_move:
            text = "its declaration cannot be read"
            refusal = Refusal(Rule.BAD_DECLARATION, request.fault)
            verdict = Verdict((), dict.fromkeys(hosts, refusal))
        elif snapshot is None:
            text = _unavailable_text(view)
            verdict = _without_snapshot(hosts, text, allow=allow and not _is_bound(view, request))
        else:
            verdict = ShareGate(snapshot, allow_unreported=allow).judge(request, hosts)
            text = ""
            if verdict.admitted and not request.is_move:
                verdict = self._reserved(request, verdict, snapshot)
        if target:
            verdict = _only(verdict, target, hosts)
        self._record(request, Stage.SHARE_GATE, view, lambda: _judged(request, verdict, text, view))
        return verdict

    def rank(self, request: Request, hosts: Sequence[str]) -> Ranking:
        """Rank hosts by Cross-Fill, and keep the order.

        :param request: what is to be placed.
        :param hosts: those that every filter let pass, by name.
        :returns: a score for each host; without a usable snapshot all the same but that of the planned one.
        """
        view = self._client.view()
        snapshot = self._usable(view)
        if snapshot is None:
            ranking = unranked(hosts, _unavailable_text(view), request.planned_host)
        else:
            ranking = rank(snapshot, request.framework, request.demand, hosts, request.planned_host)
        self._record(request, Stage.ORDER, view, lambda: _ordered(ranking))
        return ranking

    def _usable(self, view: View) -> Snapshot | None:
        if view.age_s is None or view.age_s > self._conf.hybrid_sched.snapshot_max_age_s:
            return None
        return view.snapshot

    def _reserved(self, request: Request, verdict: Verdict, snapshot: Snapshot) -> Verdict:
        """Keep only the hosts of the pool in which the quota service reserved room; all of them where it need not."""
        if snapshot.reserve is ReserveMode.NONE:
            return verdict
        strict = snapshot.reserve is ReserveMode.STRICT
        options_ = self._conf.hybrid_sched
        timeout_s = (
            options_.strict_reservation_timeout_s if strict else options_.reservation_timeout_s
        )
        pool_of = {host: snapshot.pool_of(host).name for host in verdict.admitted}
        pools = list(dict.fromkeys(pool_of.values()))
        answer = self._client.reserve(request, pools, timeout_s, patient=strict)
        if answer is None:
            if not strict:
                return verdict
            text = (
                f"the quota service reserved nothing within {timeout_s:g} s, which it must do first"
            )
            refusal = Refusal(Rule.QUOTA_UNAVAILABLE, text)
        elif answer["granted"]:
            text = f"room is reserved in pool {answer['pool'] or 'default'}"
            refusal = Refusal(Rule.OTHER_POOL, text)
        else:
            refusal = Refusal(Rule.FRAMEWORK_SHARE, answer["text"])
        granted_in = answer["pool"] if answer is not None and answer["granted"] else None
        admitted = tuple(host for host in verdict.admitted if pool_of[host] == granted_in)
        refused = {host: refusal for host in verdict.admitted if pool_of[host] != granted_in}
        return Verdict(admitted, {**verdict.refused, **refused})

    def _record(
        self, request: Request, stage: Stage, view: View, outcome: Callable[[], dict[str, Any]]
    ) -> None:
        """Keep a step of a request.

        :param outcome: gives the fields that say what came of it. It is asked in the background, since sentences and sorting
            would cost each request more than the decision itself.
        """
        decided_at_s = time.time()
        self._client.record(
            lambda: Decision(
                request_uuid=request.uuid,
                framework=request.framework,
                demand=request.demand,
                stage=stage,
                decided_at_s=decided_at_s,
                snapshot_version=view.snapshot.version if view.snapshot else None,
                snapshot_age_s=view.age_s,
                **outcome(),
            )
        )


def _only(verdict: Verdict, target: str, hosts: Sequence[str]) -> Verdict:
    """Keep what moves from all hosts but its target."""
    refusal = Refusal(Rule.NOT_THE_TARGET, f"it is being moved to host {target}")
    others = {host: refusal for host in hosts if host != target}
    admitted = tuple(host for host in verdict.admitted if host == target)
    return Verdict(admitted, {**verdict.refused, **others})


def _judged(request: Request, verdict: Verdict, text: str, view: View) -> dict[str, Any]:
    text = text or _share_text(request, verdict, view)
    if request.planned_host and request.planned_host not in verdict.admitted:
        # Where one host alone passes, Nova asks no weigher, which would say it too.
        plan = planned_text(request.planned_host, passed=False)
        text = f"{text}; {plan}" if text else plan
    refused = verdict.refused
    by_share = [h for h, each in refused.items() if each.rule is Rule.FRAMEWORK_SHARE]
    pool = view.snapshot.pool_of(by_share[0]).name if by_share and view.snapshot else DEFAULT_POOL
    return {
        "hosts": verdict.admitted,
        "refused": {host: f"{each.rule}: {each.text}" for host, each in refused.items()},
        "refused_by_share": bool(by_share) and not verdict.admitted,
        "text": text,
        "pool": pool,
    }


def _ordered(ranking: Ranking) -> dict[str, Any]:
    hosts, weights = ranking.best_first()
    return {"hosts": hosts, "weights": weights, "text": ranking.text}


def _share_text(request: Request, verdict: Verdict, view: View) -> str:
    """Say what the shares allow where hosts passed; where they refuse, each host's reason says so."""
    if request.is_move:
        return "a move: what runs holds its share already"
    if view.snapshot is None:
        return ""
    told = [each.text for each in ShareGate(view.snapshot).shares(request, verdict.admitted)]
    left_out = len(told) - _MOST_SHARES_TOLD
    return "; ".join(told[:_MOST_SHARES_TOLD]) + (f"; {left_out} alike" if left_out > 0 else "")


def _unavailable_text(view: View) -> str:
    if view.age_s is None:
        return "there is no snapshot of the quota service: check hybrid-sched-engine and the broker"
    return (
        f"the newest snapshot of the quota service is {view.age_s:.0f} s old: "
        "check hybrid-sched-engine and the broker"
    )


def _is_bound(view: View, request: Request) -> bool:
    """Say whether a request needs a reservation; what the last snapshot said of that counts at any age."""
    strict = view.snapshot is not None and view.snapshot.reserve is ReserveMode.STRICT
    return strict and not request.is_move


def _without_snapshot(hosts: Sequence[str], text: str, *, allow: bool) -> Verdict:
    if allow:
        return Verdict(tuple(hosts), {})
    return Verdict((), dict.fromkeys(hosts, Refusal(Rule.QUOTA_UNAVAILABLE, text)))


def gatekeeper_for_process(conf: cfg.ConfigOpts) -> Gatekeeper:
    """Give a gatekeeper with the client of this process, which registers the options when it is made.

    :param conf: the global options of the service that the plug-in runs in.
    """
    return Gatekeeper(client_for_process(conf), conf)
