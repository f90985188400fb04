# SPDX-License-Identifier: Apache-2.0
"""The versions of the interface."""

from __future__ import annotations

from hybrid_sched.api.schemas.common import Schema, array, record, ref, single, text

COMPONENTS: dict[str, Schema] = {
    "Version": record(
        {
            "id": text("The major version, such as `v1.0`."),
            "status": text("`CURRENT` for the one to use."),
            "min_version": text("The oldest microversion that is served."),
            "max_version": text("The newest microversion that is served."),
            "links": array(ref("Link")),
        }
    ),
    "Versions": record({"versions": array(ref("Version"))}),
    "OneVersion": single("version", ref("Version")),
}
