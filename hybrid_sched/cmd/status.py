# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-status``: whether everything is ready for this release (``upgrade check``)."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hybrid_sched.cmd.threads import use_native_threads

use_native_threads()

from oslo_config import cfg  # noqa: E402 - threads are chosen first
from oslo_upgradecheck import common_checks, upgradecheck  # noqa: E402
from oslo_upgradecheck.upgradecheck import Code, Result  # noqa: E402

from hybrid_sched.clients.engine import EngineClient, NoAnswer  # noqa: E402
from hybrid_sched.cmd.engine import OPTIONS, check_options  # noqa: E402
from hybrid_sched.cmd.service import read_all  # noqa: E402
from hybrid_sched.conf import clients, database  # noqa: E402
from hybrid_sched.conf.files import complaints  # noqa: E402
from hybrid_sched.conf.opts import list_opts  # noqa: E402
from hybrid_sched.core.doctor import settings as judgement  # noqa: E402
from hybrid_sched.core.doctor import versions  # noqa: E402
from hybrid_sched.core.doctor.facts import Facts, Unseen  # noqa: E402
from hybrid_sched.core.doctor.findings import Finding, Severity  # noqa: E402
from hybrid_sched.db import Database, DatabaseError, DatabaseNotReady  # noqa: E402
from hybrid_sched.doctor.engine import engine_facts  # noqa: E402
from hybrid_sched.doctor.settings import nova_settings, zun_settings  # noqa: E402
from hybrid_sched.rpc import bus  # noqa: E402
from hybrid_sched.rpc.wire import BadMessage  # noqa: E402
from hybrid_sched.version import version_string  # noqa: E402

_PROGRAM = "hybrid-sched-status"
_MOST_NAMED = 10
# As oslo.upgradecheck has it: unlike the exit codes of checks.
_BROKEN = 255

_CLI_OPTIONS = [
    cfg.FloatOpt(
        "timeout",
        default=5.0,
        min=0.1,
        help="Seconds to wait for an answer of the quota service.",
    ),
    cfg.StrOpt(
        "nova-conf",
        default="/etc/nova/nova.conf",
        help="Configuration of nova-scheduler on this machine, or a folder of several files.",
    ),
    cfg.StrOpt(
        "zun-conf",
        default="/etc/zun/zun.conf",
        help="Configuration of Zun on this machine, or a folder of several files.",
    ),
]

_Settings = TypeVar("_Settings")


class Checks(upgradecheck.UpgradeCommands):
    """What must be so before the services of this release start. Nothing is changed.

    :param conf: options of the engine.
    :param ask: calls a method of the quota service; raises :class:`NoAnswer`.
    :param ask_newest: does so only if its interface is that of this release.
    """

    def __init__(
        self, conf: cfg.ConfigOpts, ask: Callable[[str], Any], ask_newest: Callable[[str], Any]
    ) -> None:
        self._conf = conf
        self._ask = ask
        self._ask_newest = ask_newest

    def _options(self) -> Result:
        try:
            read_all(self._conf, OPTIONS)
            check_options(self._conf)
        except (cfg.Error, ValueError) as error:
            return Result(Code.FAILURE, f"{error}. The engine would not start: correct it.")
        return Result(Code.SUCCESS)

    def _files(self) -> Result:
        # The options of keystoneauth1 depend on the auth_type.
        others = {group.name for group in clients.GROUPS}
        groups = [(group, options) for group, options in list_opts() if group.name not in others]
        return _warned(complaints(self._conf, groups))

    def _database(self) -> Result:
        try:
            base = Database(
                **{**database.parameters(self._conf), "max_retries": 0, "create_missing": False}
            )
        except (cfg.Error, ValueError, DatabaseError) as error:
            return Result(Code.FAILURE, f"The group [database] cannot be used: {error}")
        try:
            base.check()
        except DatabaseNotReady as error:
            return Result(Code.FAILURE, str(error))
        except DatabaseError as error:
            return Result(Code.FAILURE, f"The schema could not be looked at: {error}")
        finally:
            base.close()
        return Result(Code.SUCCESS)

    def _engine(self) -> Result:
        try:
            engine = engine_facts(self._ask("about"), self._ask("hosts"))
        except NoAnswer as error:
            return Result(
                Code.WARNING,
                f"{error} Whether versions fit could not be looked at while it is away.",
            )
        except BadMessage as fault:
            return Result(
                Code.FAILURE,
                f"The quota service that answers is of a release whose answers this one cannot read ({fault}): upgrade the "
                "engines first.",
            )
        facts = Facts(engine=engine, own_version=version_string())
        said = _said(versions.our_own(facts))
        try:
            self._ask_newest("about")
        except NoAnswer as error:
            said.append(str(error))
        return _warned(said)

    def _scores(self) -> Result:
        try:
            hosts = self._ask("hosts")
        except NoAnswer:
            return Result(
                Code.WARNING,
                "The quota service did not answer, so it is not known whether the scores know the hardware of all hosts.",
            )
        unknown = sorted(
            f"{host['host']} ({host['cpu_model'] or 'processor unknown'})"
            for host in hosts
            if host["score_from"] == "default"
        )
        if not unknown:
            return Result(Code.SUCCESS)
        more = len(unknown) - _MOST_NAMED
        named = ", ".join(unknown[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        return Result(
            Code.WARNING,
            f"No score knows the hardware of {named}; [quota] default_score counts there. Give it a score with "
            "`hybrid-sched-manage scores set`, or measure one there with `hybrid-sched-manage scores measure`.",
        )

    def _settings(self) -> Result:
        machine = platform.node()
        unseen = []

        def seen(read: _Settings | Unseen) -> _Settings | None:
            if not isinstance(read, Unseen):
                return read
            # A file that is not there is another machine's.
            unseen.extend([] if read.expected else [f"{read.sentence} {read.remedy}"])
            return None

        facts = Facts(
            nova_conf=seen(nova_settings(Path(self._conf.nova_conf), machine)),
            zun_conf=seen(zun_settings(Path(self._conf.zun_conf), machine)),
        )
        found = [*judgement.zun_drivers(facts), *judgement.nova_scheduling(facts)]
        found += judgement.zun_scheduling(facts)
        return _warned([*unseen, *_said(found)])

    _upgrade_checks = (
        ("Options", _options),
        ("Options that are unknown or deprecated", _files),
        ("Schema of the database", _database),
        ("Version of the quota service and the agents", _engine),
        ("Scores of the hardware", _scores),
        ("Settings of Nova and Zun", _settings),
        ("Policy file is not JSON", (common_checks.check_policy_json, {"conf": cfg.CONF})),
    )


def _warned(sentences: Iterable[str]) -> Result:
    said = list(sentences)
    return Result(Code.WARNING, " ".join(said)) if said else Result(Code.SUCCESS)


def _said(findings: Iterable[Finding]) -> list[str]:
    return [f"{each.sentence} {each.remedy}" for each in findings if each.severity > Severity.NOTE]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :param arguments: of the command line; None for the process's own.
    :returns: 0 when all is ready, 1 with warnings, 2 when something must be set right first, 255 when it could not look.
    """
    conf = cfg.CONF
    conf.register_cli_opts(_CLI_OPTIONS)
    for module in OPTIONS:
        module.register(conf)
    engine, newest = EngineClient(conf), EngineClient(conf, version=bus.VERSION)
    checks = Checks(
        conf,
        lambda method: engine.ask(method, conf.timeout, {}),
        lambda method: newest.ask(method, conf.timeout, {}),
    )
    given = sys.argv[1:] if arguments is None else arguments
    try:
        return int(upgradecheck.main(conf, "hybrid-sched", checks, list(given)))
    except cfg.Error as error:
        print(f"{_PROGRAM}: {error}. Name a readable file with --config-file.", file=sys.stderr)
        return _BROKEN


if __name__ == "__main__":
    sys.exit(main())
