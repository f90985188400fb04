# SPDX-License-Identifier: Apache-2.0
"""YAML without its traps: a key that is there twice is refused, and no alias makes a small text large."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from typing import Any

import yaml


class BadYaml(ValueError):
    """A text that is no YAML, or not the part of it that is taken; the message names the line."""


# Not the one in C: it does not take `{zone:, name: a}`, and where the package lacks it others would be taken.
class _Loader(yaml.SafeLoader):  # type: ignore[misc] # has no annotations
    """The safe loader, with keys checked before ``<<`` is put in place of what it names."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._checked: set[int] = set()

    def flatten_mapping(self, node: Any) -> None:
        """Check the keys, once a mapping: those that were merged in may be there twice."""
        if id(node) not in self._checked:
            self._checked.add(id(node))
            seen = set()
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise _at(key, "a key is not a string")
                if key.value in seen:
                    raise _at(key, f"the key {key.value[:60]!r} is there twice: keep one of them")
                seen.add(key.value)
                if key.value == "<<" and isinstance(value, yaml.SequenceNode):
                    # Lists of lists of merges grow as a power.
                    raise _at(key, "<< names a list: merge one mapping")
        super().flatten_mapping(node)


def load(text: str) -> object:
    """Read a text of one document, of plain values only.

    JSON is read as what it is: YAML takes its pairs of surrogates for two characters, and ``1e3`` for a string.

    :raises BadYaml: when it cannot be read.
    """
    try:
        if text.lstrip().startswith("{"):
            with contextlib.suppress(json.JSONDecodeError):
                return json.loads(text, object_pairs_hook=_object)
        return yaml.load(text, _Loader)  # noqa: S506 - it is a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        said = ": ".join(filter(None, (error.context, error.problem)))
        raise BadYaml(f"{where}{said or 'it is no YAML'}") from None
    except RecursionError:
        raise BadYaml("it is nested too deeply: write it flat") from None
    except BadYaml:
        raise
    # A date or a number that Python cannot hold, and characters that YAML does not take.
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise BadYaml(str(error).splitlines()[0] if str(error) else "it is no YAML") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(
            name for name, count in Counter(name for name, _ in pairs).items() if count > 1
        )
        raise BadYaml(f"the key {twice[:60]!r} is there twice: keep one of them")
    return made


def _at(node: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
