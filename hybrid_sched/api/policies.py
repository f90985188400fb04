# SPDX-License-Identifier: Apache-2.0
"""Who may do what: the rules of oslo.policy with their defaults, by the standard roles and scopes of Keystone."""

from __future__ import annotations

from collections.abc import Sequence

from oslo_policy import policy

from hybrid_sched.api.routes import ROUTES

PREFIX = "hybrid_scheduling:"
#: To see, declare and end tasks of every project.
ALL_PROJECTS = f"{PREFIX}tasks:all_projects"
#: To declare tasks that are launched before others of lower priority, of whatever project.
RAISE_PRIORITY = f"{PREFIX}tasks:raise_priority"

ADMIN = "rule:hybrid_scheduling_admin"
CLOUD_READER = "rule:hybrid_scheduling_cloud_reader"
PROJECT_READER = "rule:hybrid_scheduling_project_reader"
PROJECT_MEMBER = "rule:hybrid_scheduling_project_member"
PROJECT_MANAGER = "rule:hybrid_scheduling_project_manager"

_BOTH = ["system", "project"]
_OF_PROJECT = "project_id:%(project_id)s"

_BASE = (
    policy.RuleDefault(
        "hybrid_scheduling_admin",
        "role:admin",
        description="Administrators of the cloud: the role admin in any project or in the system.",
    ),
    policy.RuleDefault(
        "hybrid_scheduling_cloud_reader",
        f"{ADMIN} or (role:reader and system_scope:all)",
        description="Those who may see how the whole cloud is shared.",
    ),
    policy.RuleDefault(
        "hybrid_scheduling_project_reader",
        f"{CLOUD_READER} or (role:reader and {_OF_PROJECT})",
        description="Those who may see what belongs to a project.",
    ),
    policy.RuleDefault(
        "hybrid_scheduling_project_member",
        f"{ADMIN} or (role:member and {_OF_PROJECT})",
        description="Those who may change what belongs to a project.",
    ),
    policy.RuleDefault(
        "hybrid_scheduling_project_manager",
        f"{ADMIN} or (role:manager and {_OF_PROJECT})",
        description="Those who manage a project.",
    ),
)

# By name: who, and what for.
_RULES: dict[str, tuple[str, str]] = {
    "frameworks:list": (CLOUD_READER, "List what each framework holds and may hold."),
    "frameworks:show": (CLOUD_READER, "Show one framework."),
    "frameworks:set_weight": (
        ADMIN,
        "Set the weight of a framework, or go back to the configured one.",
    ),
    "candidates:list": (
        CLOUD_READER,
        "List the tasks whose move would give back what is borrowed.",
    ),
    "shares:history": (CLOUD_READER, "List what each framework held and might hold."),
    "hosts:list": (CLOUD_READER, "List the hosts."),
    "hosts:show": (CLOUD_READER, "Show one host with its tasks, of whatever project."),
    "hosts:drain": (ADMIN, "Empty a host, or let it take tasks again."),
    "tasks:list": (PROJECT_READER, "List the declared tasks of a project."),
    "tasks:show": (PROJECT_READER, "Show a declared task."),
    "tasks:create": (PROJECT_MEMBER, "Declare tasks in a project."),
    "tasks:cancel": (PROJECT_MEMBER, "Let a declared task end."),
    "tasks:all_projects": (
        CLOUD_READER,
        "List the declared tasks of every project, and of operators.",
    ),
    "tasks:raise_priority": (
        PROJECT_MANAGER,
        "Declare tasks with a priority above 0, which start before those of other projects.",
    ),
    "decisions:list": (CLOUD_READER, "List the newest decisions, on requests of whatever project."),
    "decisions:show": (
        PROJECT_READER,
        "Show the decision on a server or container, and why it is where it is. Of those that are no declared task's it is not "
        "known whose they are: they are shown to those who may list decisions.",
    ),
    "why_not": (CLOUD_READER, "Ask whether a request would fit, and what stops it on each host."),
    "moves:list": (CLOUD_READER, "List the ledger of moves."),
    "moves:cancel": (ADMIN, "Cancel moves."),
    "plans:create": (ADMIN, "Make a plan of moves that is shown and not carried out."),
    "plans:apply": (ADMIN, "Carry out a plan of moves."),
    "watchdog:show": (CLOUD_READER, "Show how the watchdog stands."),
    "strategies:enable": (ADMIN, "Switch a strategy on again that has switched itself off."),
    "scores:list": (CLOUD_READER, "List the scores of hardware."),
    "scores:set": (ADMIN, "Set or forget a score of hardware."),
    "receipts:list": (CLOUD_READER, "List the receipts of tasks, of whatever project."),
    "receipts:show": (
        PROJECT_READER,
        "Show the receipt of a server or container. Of those that are no declared task's it is not known whose they are: their "
        "receipts are shown to those who may list receipts.",
    ),
}
# Those that are asked for besides the rule of the route itself.
_BESIDES = {
    "tasks:all_projects": [("GET", "/v1/tasks")],
    "tasks:raise_priority": [("POST", "/v1/tasks")],
}


def list_rules() -> Sequence[policy.RuleDefault]:
    """List all rules (entry point ``oslo.policy.policies``)."""
    return [
        *_BASE,
        *(
            policy.DocumentedRuleDefault(
                f"{PREFIX}{name}",
                who,
                what,
                operations=[{"method": method, "path": path} for method, path in _operations(name)],
                scope_types=_BOTH,
            )
            for name, (who, what) in _RULES.items()
        ),
    ]


def _operations(name: str) -> Sequence[tuple[str, str]]:
    return _BESIDES.get(name) or [
        (route.method, route.path) for route in ROUTES if route.policy == f"{PREFIX}{name}"
    ]
