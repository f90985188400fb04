# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid_sched.core.declaration import Declaration
from hybrid_sched.core.lifecycle import State
from hybrid_sched.declared import DamagedDeclaration, DeclaredContainers

UUID = "0f0e0d0c-0000-0000-0000-000000000001"

rates = st.integers(0, 2**40)
declarations = st.builds(
    Declaration,
    cpus=st.one_of(st.integers(0, 64), st.fractions(0, 64)).map(Fraction),
    memory_mb=rates,
    cpu_percent=st.integers(1, 100),
    cpu_shares=st.none() | st.integers(2, 2**18),
    cpu_policy=st.sampled_from(["shared", "dedicated"]),
    disk_read_bps=rates,
    disk_write_bps=rates,
    net_in_bps=rates,
    net_out_bps=rates,
    state=st.sampled_from([State.RUNNING, State.CLOSED]),
    relocate=st.booleans(),
)


@given(before=declarations, declaration=declarations)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_noted_last_is_read(tmp_path: Path, before, declaration):
    declared = DeclaredContainers(tmp_path / "declared")
    declared.note(UUID, before)
    declared.note(UUID, declaration)
    assert DeclaredContainers(tmp_path / "declared").get(UUID) == declaration
    declared.forget(UUID)
    assert declared.get(UUID) is None
    declared.forget(UUID)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "Expecting value"),
        ("[]", "cannot be used"),
        ("{}", "form"),
        ('{"form": 2}', "another version"),
        ("x" * 5000, "too long"),
        ('{"memory_mb": -1}', "amount"),
        ('{"memory_mb": 1.5}', "amount"),
        ('{"cpu_percent": "0"}', "cpu_percent"),
        ('{"cpus": "many"}', "many"),
        ('{"colour": "red"}', "colour"),
    ],
)
def test_a_damaged_file_is_named_and_not_used(tmp_path: Path, content: str, says: str):
    declared = DeclaredContainers(tmp_path)
    declared.note(UUID, Declaration(1, 64))
    path = tmp_path / f"{UUID}.json"
    whole = json.loads(path.read_text())
    changes = json.loads(content) if content.startswith('{"') and "form" not in content else None
    path.write_text(content if changes is None else json.dumps({**whole, **changes}))
    with pytest.raises(DamagedDeclaration, match=says) as raised:
        declared.get(UUID)
    assert str(path) in str(raised.value)


def test_no_name_leads_out_of_the_directory(tmp_path: Path):
    with pytest.raises(ValueError, match="identifier"):
        DeclaredContainers(tmp_path / "declared").note("../../etc/passwd", Declaration(1, 64))
    assert list(tmp_path.iterdir()) == []
