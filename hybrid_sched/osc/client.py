# SPDX-License-Identifier: Apache-2.0
"""A thin client of the REST API: answers are the JSON that it gives, errors are its sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from keystoneauth1 import exceptions
from keystoneauth1.adapter import Adapter
from keystoneauth1.session import Session

from hybrid_sched.cli.errors import UserError

SERVICE_TYPE = "hybrid-scheduling"
_PREFIX = "/v1"
_LONGEST_TEXT = 500


class NotFound(UserError):
    """The API knows no such thing, or none that the caller may see."""


class NoAnswer(UserError):
    """Nothing came back, or the service says that it cannot answer now: whatever was asked for may have been done or not."""


class ApiClient:
    """Ask the API.

    :param session: of the user.
    :param microversion: of the API, for example ``1.0``.
    :param region_name: of the endpoint; None for the only one.
    :param interface: of the endpoint.
    :param endpoint_override: URL in place of the one in the catalog.
    """

    def __init__(
        self,
        session: Session,
        *,
        microversion: str,
        region_name: str | None = None,
        interface: str | None = None,
        endpoint_override: str | None = None,
    ) -> None:
        self._region_name = region_name
        self._adapter = Adapter(
            session,
            service_type=SERVICE_TYPE,
            region_name=region_name,
            interface=interface or "public",
            endpoint_override=endpoint_override,
            default_microversion=microversion,
            raise_exc=False,
        )

    def get(self, *path: str, **query: Any) -> Any:
        """Read something.

        :param path: names below ``/v1``.
        :param query: parameters; those that are None are left out.
        :raises UserError: when there is no answer, or it is an error.
        """
        return self._send("GET", path, query=query)

    def rows(self, *path: str, **query: Any) -> Iterator[Any]:
        """Read a collection page by page.

        :param path: names below ``/v1``; the last one is that of the rows in the answer.
        :param query: parameters; those that are None are left out.
        :raises UserError: when there is no answer, or it is an error.
        """
        plural = path[-1]
        while True:
            answer = self._send("GET", path, query=query)
            yield from answer[plural]
            links = answer.get(f"{plural}_links", [])
            following = next((link["href"] for link in links if link["rel"] == "next"), None)
            if following is None:
                return
            # A service behind a proxy may name a host that we cannot reach: its parameters are what counts.
            query = parse_qs(urlsplit(following).query, keep_blank_values=True)

    def post(self, *path: str, body: Mapping[str, Any]) -> Any:
        """Send something.

        :raises UserError: when there is no answer, or it is an error.
        """
        return self._send("POST", path, body=body)

    def put(self, *path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Set something.

        :raises UserError: when there is no answer, or it is an error.
        """
        return self._send("PUT", path, body={} if body is None else body)

    def delete(self, *path: str, **query: Any) -> Any:
        """Remove something.

        :raises UserError: when there is no answer, or it is an error.
        """
        return self._send("DELETE", path, query=query)

    def _send(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        url = "/".join((_PREFIX, *(quote(name, safe="") for name in path)))
        arguments: dict[str, Any] = {} if body is None else {"json": body}
        try:
            response = self._adapter.request(
                url,
                method,
                params={
                    name: _written(value)
                    for name, value in (query or {}).items()
                    if value is not None
                },
                headers={"Accept": "application/json"},
                **arguments,
            )
        except (exceptions.EndpointNotFound, exceptions.EmptyCatalog):
            where = f" in region {self._region_name}" if self._region_name else ""
            raise UserError(
                f"The service catalog has no endpoint of type {SERVICE_TYPE}{where}: register the service with `openstack "
                f"service create {SERVICE_TYPE}` and `openstack endpoint create`, or name its URL with "
                "--os-hybrid-endpoint-override."
            ) from None
        except exceptions.ConnectFailure as error:
            raise NoAnswer(
                f"The {SERVICE_TYPE} API cannot be reached ({_line(error)}): check that hybrid-sched-api runs there."
            ) from None
        if response.status_code >= 400:
            raise _explained(response)
        return response.json() if response.content else None


def _written(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _explained(response: Any) -> UserError:
    """Make the error of an answer: the sentences of the API, or what a proxy before it says."""
    kinds = {404: NotFound, 502: NoAnswer, 503: NoAnswer, 504: NoAnswer}
    kind = kinds.get(response.status_code, UserError)
    try:
        said = [each["detail"] or each["title"] for each in response.json()["errors"]]
    except (ValueError, LookupError, TypeError):
        said = [_line(response.text)]
    text = " ".join(filter(None, said)) or f"{response.status_code} {response.reason}"
    if response.status_code == 403:
        text = f"{text} (HTTP 403)"
    return kind(text)


def _line(said: object) -> str:
    return " ".join(str(said).split())[:_LONGEST_TEXT]
