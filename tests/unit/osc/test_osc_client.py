# SPDX-License-Identifier: Apache-2.0
"""How the service is found, and what is said when it is not, or does not answer."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from api_site import Site
from keystone import Keystone
from osc_shell import OpenStack, served

from hybrid_sched.osc.client import SERVICE_TYPE


def test_without_a_service_in_the_catalog_the_remedy_is_told(openstack: OpenStack) -> None:
    said = openstack.hybrid("share", "list")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        "The service catalog has no endpoint of type hybrid-scheduling in region RegionOne: register the service with "
        "`openstack service create hybrid-scheduling` and `openstack endpoint create`, or name its URL with "
        "--os-hybrid-endpoint-override.\n"
    )


@pytest.mark.parametrize("way", ["option", "variable"])
def test_its_url_may_be_named(
    site: Site, keystone: Keystone, openstack: OpenStack, way: str
) -> None:
    url = keystone.endpoints.pop(SERVICE_TYPE)
    words = ["hybrid", "host", "list", "-f", "value", "-c", "Host"]
    if way == "option":
        words = ["--os-hybrid-endpoint-override", url, *words]
    else:
        openstack.variables["OS_HYBRID_ENDPOINT_OVERRIDE"] = url
    said = openstack(*words)
    assert said.out == "a\nb\nc\n", said.err


def test_a_service_that_cannot_be_reached_is_one_sentence(
    keystone: Keystone, openstack: OpenStack
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        keystone.endpoints[SERVICE_TYPE] = f"http://127.0.0.1:{taken.getsockname()[1]}"
    said = openstack.hybrid("share", "list")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert said.err.startswith("The hybrid-scheduling API cannot be reached (")
    assert said.err.endswith("check that hybrid-sched-api runs there.\n")


def test_an_engine_that_is_away_is_told_as_the_service_tells_it(
    site: Site, openstack: OpenStack
) -> None:
    site.engine.down = True
    said = openstack.hybrid("share", "list")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "secret" not in said.err


def test_without_a_token_all_is_refused(
    site: Site, keystone: Keystone, openstack: OpenStack
) -> None:
    url = keystone.endpoints[SERVICE_TYPE]
    options = ("--os-auth-type", "none", "--os-endpoint", url, "--os-hybrid-endpoint-override", url)
    for words in (("share", "list"), ("task", "list"), ("drain", "a", "--now")):
        said = openstack(*options, "hybrid", *words, user=None)
        assert (said.code, said.out) == (1, "")
        assert said.err.startswith("There is no valid token")
    assert site.engine.asked == []


def test_a_microversion_is_asked_for(site: Site, keystone: Keystone, openstack: OpenStack) -> None:
    seen: list[str] = []

    def spying(environ: dict[str, Any], start_response: Any) -> Any:
        seen.append(environ["HTTP_OPENSTACK_API_VERSION"])
        return site.application(environ, start_response)

    with served(spying) as url:
        keystone.endpoints[SERVICE_TYPE] = url
        openstack.json("watchdog", "show")
        said = openstack("--os-hybrid-api-version", "1.999", "hybrid", "watchdog", "show")
    assert seen == ["hybrid-scheduling 1.1", "hybrid-scheduling 1.999"]
    assert said.code == 1
    assert "1.999" in said.err


def proxy(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("502 Bad Gateway", [("Content-Type", "text/html")])
    yield b"<html>no\n back end</html>"


def test_what_a_proxy_says_is_passed_on(keystone: Keystone, openstack: OpenStack) -> None:
    with served(proxy) as url:
        keystone.endpoints[SERVICE_TYPE] = url
        said = openstack.hybrid("share", "list")
    assert (said.code, said.err) == (1, "<html>no back end</html>\n")


_LOADED = """
import sys
from importlib import metadata
import openstackclient.shell
ours = sorted(name for name in sys.modules if name.startswith("hybrid_sched"))
before = set(sys.modules)
for entry_point in metadata.distribution("hybrid-sched").entry_points:
    if entry_point.group == "openstack.hybrid.v1":
        entry_point.load()
others = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*ours)
print(*sorted(others - set(sys.stdlib_module_names)))
"""


def test_commands_of_others_import_one_module_of_ours_and_ours_nothing_heavy() -> None:
    program = [sys.executable, "-W", "ignore", "-c", _LOADED]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    ours, others = done.stdout.splitlines()
    assert ours == "hybrid_sched hybrid_sched.osc hybrid_sched.osc.plugin"
    # As doc/source/user/openstack-hybrid.rst says what to install.
    assert others == "hybrid_sched rich"
