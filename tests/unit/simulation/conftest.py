# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib

import pytest


@pytest.fixture
def without_or_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = importlib.import_module

    def without(name: str, package: str | None = None) -> object:
        if name.startswith("ortools"):
            raise ImportError(name)
        return plain(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
