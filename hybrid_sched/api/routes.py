# SPDX-License-Identifier: Apache-2.0
"""What can be asked over HTTP: the one table from which requests are dispatched and the OpenAPI document is made.

Errors of every operation have the form of the schema ``Errors``. Rows of answers carry the fields of the quota service's own
answers, under the same names.
"""

from __future__ import annotations

from hybrid_sched.api.route import Route, paged, several
from hybrid_sched.api.schemas import rebalancing, tasks
from hybrid_sched.api.schemas.common import (
    FRAMEWORK,
    LATEST_S,
    LONGEST_NAME,
    NAME,
    POOL,
    UUID,
    flag,
    integer,
    ref,
    text,
)
from hybrid_sched.api.schemas.scores import CPU_MODEL, MEMORY_KIND

#: UUIDs of tasks that one question may name: an address has room for them.
MOST_UUIDS = 100

_UUID = {"uuid": UUID}
_ANY_UUID = {
    "uuid": text(
        "UUID of a server, container or declared task.", minLength=1, maxLength=LONGEST_NAME
    )
}
_HOST = {"name": {**NAME, "description": "As Nova and Zun know the host."}}
_FRAMEWORK = {"name": FRAMEWORK}
_OF_FRAMEWORK = {"framework": FRAMEWORK}
_OF_POOL = {"pool": POOL}
_ALL_PROJECTS = flag("Of every project, not of the caller's alone.", default=False)
_PROJECT = text("Of this project; takes the right to see every project.", maxLength=LONGEST_NAME)

_VERSIONS = (
    Route("list_versions", "GET", "/", "List the versions of the interface", ref("Versions")),
    Route("show_version", "GET", "/v1", "Show version 1 of the interface", ref("OneVersion")),
    Route(
        "show_openapi",
        "GET",
        "/v1/openapi.json",
        "Show this document",
        {"type": "object"},
    ),
)

_FRAMEWORKS = (
    Route(
        "list_frameworks",
        "GET",
        "/v1/frameworks",
        "List what each framework holds and may hold, in each pool",
        ref("Frameworks"),
        "hybrid_scheduling:frameworks:list",
        {**_OF_FRAMEWORK, **_OF_POOL, **paged(["pool", "framework", "used", "fair", "weight"])},
    ),
    Route(
        "show_framework",
        "GET",
        "/v1/frameworks/{name}",
        "Show one framework in each pool",
        ref("OneFramework"),
        "hybrid_scheduling:frameworks:show",
        _OF_POOL,
        path_schemas=_FRAMEWORK,
    ),
    Route(
        "set_weight",
        "PUT",
        "/v1/frameworks/{name}/weight",
        "Set the weight of a framework in a pool; the next cycle uses it",
        ref("Weight"),
        "hybrid_scheduling:frameworks:set_weight",
        body=ref("NewWeight"),
        path_schemas=_FRAMEWORK,
    ),
    Route(
        "unset_weight",
        "DELETE",
        "/v1/frameworks/{name}/weight",
        "Go back to the weight of the configuration",
        None,
        "hybrid_scheduling:frameworks:set_weight",
        _OF_POOL,
        status=204,
        path_schemas=_FRAMEWORK,
    ),
    Route(
        "list_candidates",
        "GET",
        "/v1/candidates",
        "List the tasks whose move would give back what is borrowed",
        ref("Candidates"),
        "hybrid_scheduling:candidates:list",
        {**_OF_FRAMEWORK, **_OF_POOL, **paged(["pool", "framework"])},
    ),
    Route(
        "list_share_history",
        "GET",
        "/v1/shares/history",
        "List what each framework held and might hold, in each pool, as it was recorded",
        ref("ShareHistory"),
        "hybrid_scheduling:shares:history",
        {
            **_OF_FRAMEWORK,
            **_OF_POOL,
            "since_s": integer("Unix time from which on.", minimum=0, maximum=LATEST_S),
            "until_s": integer("Unix time before which.", minimum=0, maximum=LATEST_S),
            **paged(["taken_at_s"], ("desc", "asc")),
        },
        since="1.1",
    ),
)

_HOSTS = (
    Route(
        "list_hosts",
        "GET",
        "/v1/hosts",
        "List the hosts: what they have, what is held of it, and how fresh that is",
        ref("Hosts"),
        "hybrid_scheduling:hosts:list",
        {
            **_OF_POOL,
            "fresh": flag("Only hosts whose report is fresh, or only the others."),
            **paged(["host", "pool", "score", "age_s"]),
        },
    ),
    Route(
        "show_host",
        "GET",
        "/v1/hosts/{name}",
        "Show one host with its tasks",
        ref("OneHost"),
        "hybrid_scheduling:hosts:show",
        refusals=(404,),
        path_schemas=_HOST,
    ),
    Route(
        "drain_host",
        "PUT",
        "/v1/hosts/{name}/drain",
        "Empty a host: new tasks are kept away, and what is movable is moved off",
        ref("OrderedMoves"),
        "hybrid_scheduling:hosts:drain",
        body=ref("Drain"),
        needs_body=False,
        status=202,
        refusals=(404, 409),
        path_schemas=_HOST,
    ),
    Route(
        "undrain_host",
        "DELETE",
        "/v1/hosts/{name}/drain",
        "Let a host take tasks again, and cancel the moves that empty it",
        ref("OrderedMoves"),
        "hybrid_scheduling:hosts:drain",
        refusals=(409,),
        path_schemas=_HOST,
    ),
)

_TASKS = (
    Route(
        "list_tasks",
        "GET",
        "/v1/tasks",
        "List the declared tasks of the caller's project",
        ref("Tasks"),
        "hybrid_scheduling:tasks:list",
        {
            "state": several(text(enum=tasks.STATES)),
            "uuid": several(UUID, MOST_UUIDS),
            "name": {**NAME, "description": "Of this name."},
            **_OF_FRAMEWORK,
            "host": {**NAME, "description": "Planned for this host, or running there."},
            "all_projects": _ALL_PROJECTS,
            "project_id": _PROJECT,
            **paged(["position", "name", "priority", "submitted_at_s"]),
        },
    ),
    Route(
        "create_tasks",
        "POST",
        "/v1/tasks",
        "Declare tasks: the same objects as in a file of tasks; all are taken on, or none",
        ref("CreatedTasks"),
        "hybrid_scheduling:tasks:create",
        body=ref("NewTasks"),
        status=201,
        refusals=(409,),
    ),
    Route(
        "show_task",
        "GET",
        "/v1/tasks/{uuid}",
        "Show everything of one task",
        ref("OneTask"),
        "hybrid_scheduling:tasks:show",
        refusals=(404,),
        path_schemas=_UUID,
    ),
    Route(
        "cancel_task",
        "DELETE",
        "/v1/tasks/{uuid}",
        "Let a task end: one that waits is cancelled at once, of another one the server or container is deleted first",
        ref("OneTask"),
        "hybrid_scheduling:tasks:cancel",
        status=202,
        refusals=(404,),
        path_schemas=_UUID,
    ),
)

_DECISIONS = (
    Route(
        "list_decisions",
        "GET",
        "/v1/decisions",
        "List the newest requests with the last step of each decision",
        ref("Decisions"),
        "hybrid_scheduling:decisions:list",
        {**_OF_FRAMEWORK, **paged(["decided_at_s", "request_uuid"], ("desc", "asc"))},
    ),
    Route(
        "show_decision",
        "GET",
        "/v1/decisions/{uuid}",
        "Show each step of the decision on one request",
        ref("OneDecision"),
        "hybrid_scheduling:decisions:show",
        refusals=(404,),
        path_schemas=_ANY_UUID,
    ),
    Route(
        "explain",
        "GET",
        "/v1/why/{uuid}",
        "Say why a server or container went where it went, or nowhere",
        ref("Why"),
        "hybrid_scheduling:decisions:show",
        {
            "attempt": integer(
                "Which attempt, 1 for the oldest that is kept; the newest without it.",
                minimum=1,
                maximum=10**6,
            )
        },
        refusals=(404,),
        path_schemas=_ANY_UUID,
    ),
    Route(
        "why_not",
        "POST",
        "/v1/why-not",
        "Say whether a request would fit, what stops it on each host, and which changes would let it in",
        ref("WhyNot"),
        "hybrid_scheduling:why_not",
        body=ref("Hypothesis"),
    ),
)

_REBALANCING = (
    Route(
        "list_moves",
        "GET",
        "/v1/moves",
        "List the ledger of moves, the newest first",
        ref("Moves"),
        "hybrid_scheduling:moves:list",
        {"state": several(text(enum=rebalancing.STATES)), **paged(["position"], ("desc",))},
    ),
    Route(
        "cancel_moves",
        "POST",
        "/v1/moves/cancel",
        "Cancel moves, or all moves of plans: what is planned is not begun, what is running is undone",
        ref("CancelledMoves"),
        "hybrid_scheduling:moves:cancel",
        body=ref("MovesToCancel"),
        status=202,
        refusals=(409,),
    ),
    Route(
        "make_plan",
        "POST",
        "/v1/plans",
        "Show what would be moved now, why, and what is predicted of it; nothing is moved",
        ref("OnePlan"),
        "hybrid_scheduling:plans:create",
        body=ref("NewPlan"),
        needs_body=False,
    ),
    Route(
        "apply_plan",
        "POST",
        "/v1/plans/apply",
        "Carry out exactly the plan that was shown; it is refused when the cluster has changed since",
        ref("OrderedMoves"),
        "hybrid_scheduling:plans:apply",
        body=ref("PlanToApply"),
        status=202,
        refusals=(409,),
    ),
    Route(
        "show_watchdog",
        "GET",
        "/v1/watchdog",
        "Show how the watchdog stands",
        ref("Watchdog"),
        "hybrid_scheduling:watchdog:show",
    ),
    Route(
        "enable_strategy",
        "POST",
        "/v1/strategies/{name}/enable",
        "Switch a strategy on again that has switched itself off",
        None,
        "hybrid_scheduling:strategies:enable",
        status=204,
        refusals=(409,),
        path_schemas={"name": {**NAME, "description": "Of the strategy."}},
    ),
)

_SCORES = (
    Route(
        "list_scores",
        "GET",
        "/v1/scores",
        "List the scores of hardware",
        ref("Scores"),
        "hybrid_scheduling:scores:list",
        paged(["cpu_model", "memory_kind", "score"]),
    ),
    Route(
        "set_score",
        "PUT",
        "/v1/scores",
        "Set the score of a kind of hardware",
        ref("OneScore"),
        "hybrid_scheduling:scores:set",
        body=ref("NewScore"),
    ),
    Route(
        "remove_score",
        "DELETE",
        "/v1/scores",
        "Forget the score of a kind of hardware",
        None,
        "hybrid_scheduling:scores:set",
        {"cpu_model": CPU_MODEL, "memory_kind": MEMORY_KIND},
        required=("cpu_model",),
        status=204,
        refusals=(404,),
    ),
)

_RECEIPTS = (
    Route(
        "list_receipts",
        "GET",
        "/v1/receipts",
        "List what was promised to each guest and container against what it got",
        ref("Receipts"),
        "hybrid_scheduling:receipts:list",
        {
            "host": {**NAME, "description": "Of tasks that were seen there last."},
            **_OF_FRAMEWORK,
            "broken": flag("Only those with a promise that was not kept.", default=False),
            **paged(["uuid"], ("asc",)),
        },
        refusals=(409,),
    ),
    Route(
        "show_receipt",
        "GET",
        "/v1/receipts/{uuid}",
        "Show what was promised to a guest or container, and what it got",
        ref("OneReceipt"),
        "hybrid_scheduling:receipts:show",
        refusals=(404, 409),
        path_schemas=_ANY_UUID,
    ),
)

#: All operations.
ROUTES: tuple[Route, ...] = (
    *_VERSIONS,
    *_FRAMEWORKS,
    *_HOSTS,
    *_TASKS,
    *_DECISIONS,
    *_REBALANCING,
    *_SCORES,
    *_RECEIPTS,
)
