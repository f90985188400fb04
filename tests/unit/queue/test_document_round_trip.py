# SPDX-License-Identifier: Apache-2.0
"""What a client sends of a file is what the file says."""

from __future__ import annotations

import json
import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.queue.document import as_document, queued_tasks, read_document

NAMES = st.text("abcdefghijklmnop", min_size=2, max_size=8)
LENGTHS = st.sampled_from(["90s", "2m", "1h30m", 60, 0.5])
SERVERS = st.fixed_dictionaries(
    {"flavor": NAMES, "image": NAMES},
    optional={
        "networks": st.sampled_from(["auto", "none", ["net"]]),
        "metadata": st.dictionaries(NAMES, NAMES, max_size=2),
        "keep": st.booleans(),
    },
)
CONTAINERS = st.fixed_dictionaries(
    {"image": NAMES},
    optional={
        "command": st.lists(
            st.text(st.characters(codec="ascii", categories=["L", "N"])), max_size=3
        ),
        "cpu": st.sampled_from([1, 0.5, 2.25]),
        "memory_mb": st.integers(1, 4096),
        "environment": st.dictionaries(NAMES, NAMES, max_size=2),
    },
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    entries: list[dict[str, Any]] = []
    for index, name in enumerate(names):
        fields = draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "count": st.integers(1, 3),
                    "priority": st.integers(-5, 5),
                    "deadline": LENGTHS | st.sampled_from(["2040-01-01T10:00:00+01:00"]),
                    "after": st.lists(
                        st.sampled_from([*names[:index], str(uuid.UUID(int=7))]), max_size=2
                    ),
                    "duration": LENGTHS,
                    "stop_after": LENGTHS,
                    "kind": NAMES,
                },
            )
        )
        section = draw(
            st.tuples(st.just("server"), SERVERS) | st.tuples(st.just("container"), CONTAINERS)
        )
        entries.append({"name": name, **fields, section[0]: section[1]})
    return {"tasks": entries}


@given(documents())
def test_it_is_read_back_to_the_same(document: dict[str, Any]) -> None:
    read = read_document(json.dumps(document))
    again = read_document(json.dumps(as_document(read)))
    assert again == read
    submission = uuid.UUID(int=1)
    assert queued_tasks(again, submission, 1.0) == queued_tasks(read, submission, 1.0)
