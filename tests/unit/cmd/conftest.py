# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from oslo_config import cfg

from hybrid_sched.cmd.manage import main


class Answer(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


class Manage:
    """``hybrid-sched-manage`` with a database of its own."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._config_file = directory / "hybrid-sched.conf"
        self._capsys = capsys
        self.use(f"sqlite:///{directory / 'test.sqlite'}")

    def use(self, url: str, *lines: str) -> None:
        self.url = url
        self._config_file.write_text("\n".join(["[database]", f"connection = {url}", *lines, ""]))

    def __call__(self, *arguments: str) -> Answer:
        handlers = logging.root.handlers[:]
        try:
            code = main(["--config-file", str(self._config_file), *arguments])
        finally:
            # A process runs one command; cliff's handlers would write to what captured the output of an earlier one.
            logging.root.handlers[:] = handlers
        return Answer(code, *self._capsys.readouterr())


@pytest.fixture
def manage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Manage]:
    yield Manage(tmp_path, capsys)
    cfg.CONF.clear()


@pytest.fixture
def synced(manage: Manage) -> Manage:
    assert manage("db", "sync").code == 0
    return manage
