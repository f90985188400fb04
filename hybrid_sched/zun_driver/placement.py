# SPDX-License-Identifier: Apache-2.0
"""Zun's client of Placement on a host whose resource provider is Nova's."""

from __future__ import annotations

from typing import Any

from zun.common import exception
from zun.scheduler.client import report

#: Placement keeps inventories, traits and aggregates below the first; the second moves inventories.
_PATHS_OF_NOVA = ("/resource_providers", "/reshaper")


class ProviderIsNovas(exception.ZunException):
    """Zun was about to change a resource provider that belongs to Nova."""

    message = (
        "Zun does not change the resource provider of a host that it shares with Nova, and was about to: %(call)s. When "
        "Placement has no provider of this host, start nova-compute, which makes it, and then start zun-compute anew."
    )


class AllocationsClient(report.SchedulerReportClient):
    """A client that reads everything and writes allocations, and nothing of a resource provider.

    Whatever changes a provider is refused where it would be sent, so that a path that is not known here is refused too:
    its inventory, traits and aggregates, the making of one that is gone, its removal, and reshaping.
    """

    def set_traits_for_provider(self, context: Any, rp_uuid: str, traits: Any) -> None:
        """Leave the traits.

        zun-compute would mark the provider while its service is disabled. Zun's ``ComputeFilter`` knows that from Zun's
        database.
        """

    def post(self, url: str, *args: Any, **kwargs: Any) -> Any:
        """Send, unless it changes a provider."""
        _refuse("POST", url)
        return super().post(url, *args, **kwargs)

    def put(self, url: str, *args: Any, **kwargs: Any) -> Any:
        """Send, unless it changes a provider."""
        _refuse("PUT", url)
        return super().put(url, *args, **kwargs)

    def delete(self, url: str, *args: Any, **kwargs: Any) -> Any:
        """Send, unless it changes a provider."""
        _refuse("DELETE", url)
        return super().delete(url, *args, **kwargs)


def _refuse(method: str, url: str) -> None:
    if url.startswith(_PATHS_OF_NOVA):
        raise ProviderIsNovas(call=f"{method} {url}")
