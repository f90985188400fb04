# SPDX-License-Identifier: Apache-2.0
"""How the API is started: by itself, and by a web server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_AUTH = """
[keystone_authtoken]
www_authenticate_uri = http://keystone.example.org/v3
auth_type = none
"""
_ASK = """
import webtest
from hybrid_sched.wsgi.api import application
web = webtest.TestApp(application)
print(web.get("/v1").json["version"]["id"], web.get("/v1/hosts", expect_errors=True).status_int)
"""


def run(*arguments: str, files: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "OS_HYBRID_SCHED_CONFIG_FILES": files},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "hybrid-sched.conf"
    path.write_text(f"[database]\nconnection = sqlite:///{tmp_path / 'it.sqlite'}\n{_AUTH}")
    return path


def test_a_web_server_loads_it_with_the_files_of_the_environment(config_file: Path) -> None:
    done = run("-c", _ASK, files=str(config_file))
    assert done.stdout.split()[-2:] == ["v1.0", "401"], done.stderr


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "[keystone_authtoken] www_authenticate_uri: without it no token can be checked"),
        (f"{_AUTH}\n[api]\ntimeout_s = soon\n", "timeout_s"),
        (f"{_AUTH}\n[database]\nconnection = nonsense\n", "[database] connection"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(tmp_path: Path, lines: str, said: str) -> None:
    path = tmp_path / "hybrid-sched.conf"
    path.write_text(lines)
    done = run("-m", "hybrid_sched.cmd.api", "--config-file", str(path))
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
