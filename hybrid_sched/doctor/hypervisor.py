# SPDX-License-Identifier: Apache-2.0
"""libvirt and Docker of this host: their versions, and what Zun has left in Docker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import docker
import libvirt
import requests
from docker.errors import DockerException, NotFound

from hybrid_sched.core.doctor.facts import DockerContainer
from hybrid_sched.rpc.wire import is_uuid

_ZUN_PREFIX = "zun-"
_TIMEOUT_S = 10


class NotAnswering(Exception):
    """A daemon of this host did not answer; the text is a sentence without the full stop."""


def libvirt_version(uri: str) -> str:
    """Ask libvirt for its version.

    :param uri: of the connection.
    :raises NotAnswering: when it does not answer.
    """
    # Errors come as exceptions; libvirt would print them to stderr as well.
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    try:
        connection = libvirt.openReadOnly(uri)
        try:
            number = connection.getLibVersion()
        finally:
            connection.close()
    except libvirt.libvirtError as error:
        raise NotAnswering(f"libvirt at {uri} does not answer: {error}") from None
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"


class ZunDocker:
    """The Docker that Zun uses here.

    :param url: of its API.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def look(self) -> tuple[str, tuple[DockerContainer, ...]]:
        """Ask for its version and the containers of Zun.

        :raises NotAnswering: when it does not answer.
        """
        try:
            client = self._open()
            version = str(client.version()["Version"])
            listed = client.containers(all=True, filters={"name": f"^/?{_ZUN_PREFIX}"})
        except (DockerException, requests.RequestException) as error:
            raise self._failed(error) from None
        return version, tuple(_zun_containers(listed))

    def state(self, container_id: str) -> str | None:
        """Tell the state of one container; None when it is gone.

        :raises NotAnswering: when Docker does not answer.
        """
        try:
            return str(self._open().inspect_container(container_id)["State"]["Status"])
        except NotFound:
            return None
        except (DockerException, requests.RequestException) as error:
            raise self._failed(error) from None

    def remove(self, container_id: str) -> None:
        """Remove a container that does not run; one that does is refused by Docker. Its volumes stay.

        :raises NotAnswering: when Docker does not do it.
        """
        try:
            self._open().remove_container(container_id)
        except NotFound:
            return
        except (DockerException, requests.RequestException) as error:
            raise self._failed(error) from None

    def _open(self) -> Any:
        return docker.APIClient(base_url=self._url, timeout=_TIMEOUT_S)

    def _failed(self, error: Exception) -> NotAnswering:
        return NotAnswering(f"Docker at {self._url} does not answer or refuses: {error}")


def _zun_containers(listed: Iterable[dict[str, Any]]) -> Iterable[DockerContainer]:
    for each in listed:
        names = (name.lstrip("/") for name in each.get("Names") or ())
        name = next((name for name in names if name.startswith(_ZUN_PREFIX)), "")
        uuid = name.removeprefix(_ZUN_PREFIX)
        # Others may call theirs so, too.
        if is_uuid(uuid):
            yield DockerContainer(each["Id"], uuid, str(each.get("State", "")))
