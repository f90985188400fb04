# SPDX-License-Identifier: Apache-2.0
"""The files below etc/hybrid-sched are ones that the programs which they are for take."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from oslo_config import generator

CHECKOUT = Path(__file__).parents[3]
ETC = CHECKOUT / "etc" / "hybrid-sched"
UNITS = sorted((ETC / "systemd").glob("*.service"))
AGENT = ETC / "systemd" / "hybrid-sched-agent.service"
#: Programs of the package; the unit of one that this release lacks is not run, but checked all the same.
PROGRAMS = Path(sys.executable).parent


def needs(program: str) -> str:
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def run(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def values(unit: Path, option: str) -> list[str]:
    """Give the values of an option, in order."""
    return re.findall(rf"(?m)^{option}=(.*)$", unit.read_text())


@pytest.fixture
def installed(tmp_path: Path) -> list[Path]:
    """Put the units where their programs are found."""
    made = []
    for unit in UNITS:
        program = tmp_path / values(unit, "ExecStart")[0]
        program.symlink_to("/bin/true")
        text = re.sub(r"(?m)^ExecStart=.*$", f"ExecStart={program}", unit.read_text())
        made.append(tmp_path / unit.name)
        made[-1].write_text(text)
    return made


def test_systemd_takes_the_units(installed: list[Path]) -> None:
    done = run(needs("systemd-analyze"), "verify", "--man=no", *installed)
    complaints = [line for line in done.stderr.splitlines() if "hybrid-sched" in line]
    assert (done.returncode, complaints) == (0, []), done.stderr


def exposure(unit: Path) -> float:
    """Say how exposed a unit is, from 0 to 10."""
    done = run(needs("systemd-analyze"), "security", "--offline=true", "--no-pager", unit)
    if "Unknown" in done.stderr or "unrecognized" in done.stderr:
        pytest.skip("this systemd-analyze cannot judge files")
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    return float(found[1])


def test_the_services_are_no_more_exposed_than_their_work_asks_for(installed: list[Path]) -> None:
    levels = {unit.stem: exposure(unit) for unit in installed}
    assert levels["hybrid-sched-engine"] < 2
    assert levels["hybrid-sched-api"] < 2
    assert levels["hybrid-sched-agent"] < 5


def test_capabilities_are_the_agents_alone() -> None:
    assert values(AGENT, "CapabilityBoundingSet") == [
        "CAP_NET_ADMIN CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_DAC_OVERRIDE"
    ]
    for unit in UNITS:
        assert values(unit, "NoNewPrivileges") == ["yes"]
        assert values(unit, "ProtectSystem") == ["strict"]
        if unit != AGENT:
            assert values(unit, "CapabilityBoundingSet") == [""]
            assert values(unit, "User") == ["hybrid-sched"]


def test_every_program_that_serves_has_a_unit() -> None:
    started = {values(unit, "ExecStart")[0] for unit in UNITS}
    assert {"hybrid-sched-engine", "hybrid-sched-agent"} <= started
    assert (PROGRAMS / "hybrid-sched-engine").exists()


def test_systemd_makes_the_account_and_its_folders(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("accounts are root's to make")
    root = tmp_path / "root"
    for folder in ("etc", "var/lib", "var/log", "usr/lib"):
        (root / folder).mkdir(parents=True)
    for file in ("passwd", "group", "shadow"):
        (root / "etc" / file).write_text("")
    (root / "etc" / "group").write_text("root:x:0:\n")
    (root / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    done = run(needs("systemd-sysusers"), f"--root={root}", ETC / "systemd" / "sysusers.conf")
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"(?m)^hybrid-sched:x:\d+:\d+:hybrid_sched:/var/lib/hybrid-sched:",
        (root / "etc" / "passwd").read_text(),
    )
    config = ETC / "systemd" / "tmpfiles.conf"
    done = run(needs("systemd-tmpfiles"), "--create", f"--root={root}", config)
    assert done.returncode == 0, done.stderr
    state = root / "var" / "lib" / "hybrid-sched"
    assert (state.stat().st_mode & 0o777, state.stat().st_uid != 0) == (0o750, True)


def test_logrotate_takes_its_file(tmp_path: Path) -> None:
    rotate = needs("logrotate")
    log = tmp_path / "hybrid-sched-engine.log"
    log.write_text("a line\n")
    tmp_path.chmod(0o755)
    text = (ETC / "logrotate.d" / "hybrid-sched").read_text()
    config = tmp_path / "logrotate.conf"
    config.write_text(
        text.replace("/var/log/hybrid-sched", str(tmp_path)).replace(
            "su root hybrid-sched", "su root root"
        )
    )
    config.chmod(0o644)
    state = tmp_path / "state"
    done = run(rotate, "--debug", "--state", state, config)
    assert done.returncode == 0, done.stderr
    assert "error:" not in done.stderr
    if os.geteuid() == 0:
        done = run(rotate, "--force", "--state", state, config)
        assert (done.returncode, done.stderr) == (0, "")
        assert log.read_text() == ""
        assert (tmp_path / "hybrid-sched-engine.log.1").read_text() == "a line\n"


@pytest.mark.parametrize("config", sorted(ETC.glob("*generator.conf")), ids=lambda path: path.name)
def test_samples_are_made_of_every_option(config: Path, tmp_path: Path) -> None:
    sample = tmp_path / "sample"
    namespaces = re.findall(r"(?m)^namespace = (hybrid\S+)$", config.read_text())
    if not namespaces or "policy" in config.name:
        pytest.skip("this is for another generator")
    generator.main(["--config-file", str(config), "--output-file", str(sample)])
    groups = set(re.findall(r"(?m)^\[(\w+)\]$", sample.read_text()))
    assert groups >= ({"agent", "quota"} if "client" not in config.name else {"hybrid_sched"})


def completed(*words: str) -> set[str]:
    """Say what bash offers after words, of which the last one is being written."""
    # bash-completion's own function tells the words in three variables.
    script = """
_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]}; words=("${COMP_WORDS[@]}"); }
source "$FILE"
spec=$(complete -p hybrid-sched-manage)
[[ "$spec" =~ -F\\ ([^ ]+) ]]
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"${BASH_REMATCH[1]}" "$1" "${@: -1}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
    done = run(
        *("bash", "-c", script, "bash", *words),
        FILE=str(ETC / "bash-completion" / "hybrid-sched-manage"),
        PATH=f"{PROGRAMS}:{os.environ['PATH']}",
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_bash_completes_commands_and_their_parts() -> None:
    assert completed("hybrid-sched-manage", "sco") == {"scores"}
    assert {"list", "set", "import"} <= completed("hybrid-sched-manage", "scores", "")


_PROBE = """
import os, sys
from hybrid_sched.isolators.traffic_probe import probe
assert not probe().missing
os.listdir(f"/proc/{sys.argv[1]}/fd")
os.readlink(f"/proc/{sys.argv[1]}/ns/net")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="capabilities are root's to give")
@pytest.mark.parametrize("without", [None, "net_admin", "sys_admin", "sys_ptrace", "dac_override"])
def test_the_agents_work_asks_for_its_capabilities(without: str | None) -> None:
    names = values(AGENT, "CapabilityBoundingSet")[0].lower().replace("cap_", "").split()
    kept = ",".join(f"+{name}" for name in names if name != without)
    # A task of another account, as QEMU's process is.
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sleep", "60"]
    with subprocess.Popen(other) as task:
        try:
            while Path(f"/proc/{task.pid}/comm").read_text() != "sleep\n":
                pass
            done = run(
                *(needs("setpriv"), "--no-new-privs", f"--bounding-set=-all,{kept}"),
                *(sys.executable, "-c", _PROBE, task.pid),
            )
        finally:
            task.kill()
    assert (done.returncode == 0) == (without is None), done.stderr
