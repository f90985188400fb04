# SPDX-License-Identifier: Apache-2.0
"""cliff imports the modules of all commands, whichever is run: none of them may bring what only one needs."""

from __future__ import annotations

import json
import subprocess
import sys

_PROGRAM = """
import json, sys
import hybrid_sched.cmd.manage.doctor
print(json.dumps(sorted(sys.modules)))
"""
_HEAVY = {"docker", "libvirt", "keystoneauth1.loading", "hybrid_sched.doctor.gathering"}


def test_the_doctor_costs_other_commands_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, check=True)
    imported = set(json.loads(done.stdout))
    assert "hybrid_sched.core.doctor.findings" in imported
    assert not imported & _HEAVY
