# SPDX-License-Identifier: Apache-2.0
"""Alerts and dashboard below etc/hybrid-sched use metrics and labels that the engine serves."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from engines import Site
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from values import report, task

from hybrid_sched.quota.metrics import EngineCollector
from hybrid_sched.rpc.isolation import IsolationReport

ETC = Path(__file__).parents[3] / "etc" / "hybrid-sched"
RULES = ETC / "prometheus" / "hybrid-sched.rules.yaml"
DASHBOARD = ETC / "grafana" / "hybrid-sched.json"
_NAME = re.compile(r"\bhybrid_sched_\w+")


@pytest.fixture(scope="module")
def served() -> dict[str, set[str]]:
    """Give the labels of each metric that an engine serves, of samples that it has."""
    site = Site()
    isolation = IsolationReport("enforce", applied={"cpus": 2}, repaired={"memory_mb": 1})
    site.engine.take_report(replace(report("a", task("g", 100)), isolation=isolation))
    site.run()
    site.engine.count_malformed_report("no host")
    registry = CollectorRegistry()
    registry.register(EngineCollector(site.engine))
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return list(json.loads(DASHBOARD.read_text())["panels"])


def expressions() -> Iterator[tuple[str, str]]:
    """Give each expression with the texts in which its labels are named."""
    for rule in rules():
        yield rule["expr"], json.dumps(rule["annotations"])
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"], target["legendFormat"]
    for variable in json.loads(DASHBOARD.read_text())["templating"]["list"]:
        if variable["type"] == "query":
            query = variable["query"]["query"]
            yield re.sub(r"label_values\((\w+), (\w+)\)", r"sum by (\2) (\1)", query), ""


EXPRESSIONS = list(expressions())


@pytest.mark.parametrize(("expression", "said"), EXPRESSIONS, ids=[e for e, _ in EXPRESSIONS])
def test_what_is_asked_for_is_served(
    expression: str, said: str, served: dict[str, set[str]]
) -> None:
    names = _NAME.findall(expression)
    assert names
    labels = set(re.findall(r"(\w+)=?~?!?=\"", expression))
    labels |= {
        label.strip()
        for group in re.findall(r"by \(([^)]*)\)", expression)
        for label in group.split(",")
    }
    labels |= {a or b for a, b in re.findall(r"\$labels\.(\w+)|\{\{(\w+)\}\}", said)}
    for name in names:
        assert name in served, f"{name} is not served"
        assert labels <= served[name], f"{name} has the labels {sorted(served[name])}"


def test_every_metric_is_on_the_dashboard(served: dict[str, set[str]]) -> None:
    shown = {
        name
        for panel in panels()
        for target in panel["targets"]
        for name in _NAME.findall(target["expr"])
    }
    assert {name for name in served if not name.endswith("_created")} <= shown


def test_every_alert_says_what_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert all(rule["annotations"][key].endswith(".") for key in ("summary", "description"))


def test_panels_have_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))


def test_prometheus_takes_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run(
        [promtool, "check", "rules", str(RULES)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules())} rules found" in done.stdout
