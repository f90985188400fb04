# SPDX-License-Identifier: Apache-2.0
"""How services of the cloud are asked: authentication, microversion, retries and time limits, in one place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

import requests
import tenacity
from keystoneauth1 import adapter, exceptions, loading, session
from oslo_config import cfg

from hybrid_sched.conf.clients import BadClientOption
from hybrid_sched.rpc.wire import Wire, mapping

# No status_code_retries of keystoneauth: it would sleep for as long as a Retry-After header says.
_RETRIED = (
    exceptions.BadGateway,
    exceptions.ServiceUnavailable,
    exceptions.GatewayTimeout,
)
_ATTEMPTS = 3
_NO_SCOPE = dict.fromkeys(
    ("project_id", "project_name", "project_domain_id", "project_domain_name")
)


class ServiceFault(Exception):
    """A service of the cloud did not answer as it should; the text is a sentence without the full stop.

    :param status: of HTTP, where there was an answer.
    :param said: what the service said of it.
    """

    def __init__(self, text: str, status: int | None = None, said: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.said = said


def session_of(
    conf: cfg.ConfigOpts, group: str, project_id: str | None = None, trust_id: str = ""
) -> session.Session | None:
    """Make the session of a service from the options of its group.

    :param project_id: in which it acts, where the user has a role there; None for the project of the options.
    :param trust_id: of the trust by which it acts in the name of another, in place of a project; empty for none.
    :returns: the session, or None when no authentication is configured.
    :raises BadClientOption: when the options cannot be used.
    """
    scope = {} if project_id is None else {"project_id": project_id, "project_name": None}
    if trust_id:
        scope = {**_NO_SCOPE, "trust_id": trust_id}
    try:
        auth = loading.load_auth_from_conf_options(conf, group, **scope)
        return auth and loading.load_session_from_conf_options(conf, group, auth=auth)
    except (exceptions.ClientException, cfg.Error, TypeError) as error:
        raise BadClientOption(f"[{group}]: {error}") from None


def adapter_of(
    conf: cfg.ConfigOpts,
    group: str,
    microversion: str | None = None,
    project_id: str | None = None,
    *,
    trust_id: str = "",
) -> adapter.Adapter | None:
    """Make the adapter of a service from the options of its group.

    :param conf: options, with the group registered.
    :param group: ``placement``, ``nova``, ``zun``, ``neutron`` or ``trustee``.
    :param microversion: of all calls; None for a service without.
    :param project_id: in which it acts, where the user has a role there; None for the project of the options.
    :param trust_id: of the trust by which the user of ``[trustee]`` acts in the name of another; empty for none.
    :returns: the adapter, or None when no authentication is configured.
    :raises BadClientOption: when the options cannot be used.
    """
    signed_in = session_of(conf, "trustee" if trust_id else group, project_id, trust_id)
    if signed_in is None:
        return None
    try:
        return loading.load_adapter_from_conf_options(
            conf, group, session=signed_in, default_microversion=microversion
        )
    except (exceptions.ClientException, cfg.Error, TypeError) as error:
        raise BadClientOption(f"[{group}]: {error}") from None


def get(
    service: adapter.Adapter,
    path: str,
    params: Mapping[str, str] | None = None,
    *,
    role: str,
    microversion: str | None = None,
) -> Wire:
    """Ask a service for a JSON object, a few times where it says that it is only busy.

    :param service: whom.
    :param path: below its endpoint.
    :param params: of the query.
    :param role: that the call needs, for whoever reads of a refusal.
    :param microversion: of this call; None for that of the adapter.
    :raises ServiceFault: when there is no answer, another status than 200, or no JSON object.
    :raises BadMessage: when the answer is no object.
    """
    asked = f"GET {path} of {service.service_type}"
    with _faults_of(service, asked, role):
        answer = _patiently(service, path, dict(params or {}), microversion)
    try:
        return dict(mapping(answer.json(), asked))
    except ValueError as error:
        raise ServiceFault(f"{asked}: the answer cannot be read: {_shown(error)}") from None


def get_if_there(
    service: adapter.Adapter,
    path: str,
    params: Mapping[str, str] | None = None,
    *,
    role: str,
    microversion: str | None = None,
) -> Wire | None:
    """Ask as :func:`get` does for what may be gone; None when it is."""
    try:
        return get(service, path, params, role=role, microversion=microversion)
    except ServiceFault as fault:
        if fault.status == HTTPStatus.NOT_FOUND:
            return None
        raise


def send(
    service: adapter.Adapter,
    method: str,
    path: str,
    params: Mapping[str, str] | None = None,
    body: object = None,
    *,
    role: str,
    microversion: str | None = None,
) -> requests.Response:
    """Send a request that changes something, once: whether one without an answer was carried out is unknown.

    :param service: to whom.
    :param method: of HTTP.
    :param path: below its endpoint.
    :param params: of the query.
    :param body: as JSON; None for none.
    :param role: that the call needs, for whoever reads of a refusal.
    :param microversion: of this call; None for that of the adapter.
    :raises ServiceFault: when there is no answer, or another status than those of success.
    """
    with _faults_of(service, f"{method} {path} of {service.service_type}", role):
        # A connection that fails may have carried the request.
        return service.request(
            path,
            method,
            params=dict(params or {}),
            json=body,
            connect_retries=0,
            **_asked_as(microversion),
        )


@contextmanager
def _faults_of(service: adapter.Adapter, asked: str, role: str) -> Iterator[None]:
    try:
        yield
    except (exceptions.Unauthorized, exceptions.Forbidden) as error:
        status = error.http_status
        raise ServiceFault(
            f"{asked} was refused ({status}): it needs {role}; it says: {_shown(error)}",
            status,
            _shown(error),
        ) from None
    except exceptions.CatalogException as error:
        # The catalog comes with the token: one from before the service was registered would stay in use until it expires.
        service.invalidate()
        raise ServiceFault(f"{asked}: {_shown(error)}") from None
    except exceptions.HttpError as error:
        raise ServiceFault(f"{asked}: {_shown(error)}", error.http_status, _shown(error)) from None
    except exceptions.ClientException as error:
        raise ServiceFault(f"{asked}: {_shown(error)}") from None


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(_RETRIED),
    stop=tenacity.stop_after_attempt(_ATTEMPTS),
    wait=tenacity.wait_random_exponential(multiplier=0.2, max=1),
    reraise=True,
)
def _patiently(
    service: adapter.Adapter, path: str, params: dict[str, str], microversion: str | None
) -> adapter.Response:
    return service.get(path, params=params, **_asked_as(microversion))


def _asked_as(microversion: str | None) -> dict[str, str]:
    return {} if microversion is None else {"microversion": microversion}


def _shown(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:297]}..."
