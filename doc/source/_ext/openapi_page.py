# SPDX-License-Identifier: Apache-2.0
"""The directive ``openapi-operations``: the pages of the REST API, written from the document that it serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from hybrid_sched.api.openapi import document

_REF = "#/components/schemas/"


class Operations(SphinxDirective):
    """All operations, then all schemas."""

    def run(self) -> list[nodes.Node]:
        """Write them."""
        return self.parse_text_to_nodes("\n".join(page()), allow_section_headings=True)


def page() -> Iterator[str]:
    """Give the lines of the page."""
    told = document("/")
    yield from _heading("Operations", "=")
    for path, item in told["paths"].items():
        for method, operation in item.items():
            yield from _operation(method.upper(), path, operation)
    yield from _heading("Schemas", "=")
    for name, schema in sorted(told["components"]["schemas"].items()):
        yield f".. _api-schema-{name.lower()}:"
        yield ""
        yield from _heading(name, "-")
        yield from _paragraph(schema.get("description", ""))
        yield from _fields(schema)


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield from _heading(f"{method} {path}", "-")
    yield from _paragraph(operation["summary"])
    yield from _paragraph(operation.get("description", ""))
    for parameter in operation["parameters"]:
        if parameter["in"] == "header":
            continue
        needed = ", required" if parameter["required"] else ""
        said = _text(parameter.get("description", ""))
        kind = _kind(parameter["schema"])
        yield f"* ``{parameter['name']}`` in the {parameter['in']}: {kind}{needed}. {said}".rstrip()
    yield ""
    if "requestBody" in operation:
        [content] = operation["requestBody"]["content"].values()
        yield from _paragraph(f"Body: {_kind(content['schema'])}.")
    answers = []
    for status, answer in operation["responses"].items():
        [content] = answer.get("content", {"": {"schema": None}}).values()
        schema = content["schema"]
        what = f" with {_kind(schema)}" if schema and int(status) < 400 else ""
        answers.append(f"{status} {answer['description']}{what}")
    yield from _paragraph(f"Answers: {'; '.join(answers)}.")


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    if "properties" not in schema:
        yield from _paragraph(f"It is {_kind(schema)}.")
        return
    required = set(schema.get("required", ()))
    for name, field in schema["properties"].items():
        optional = "" if name in required else ", optional"
        said = _text(field.get("description", ""))
        yield f"* ``{name}``: {_kind(field)}{optional}. {said}".rstrip()
    yield ""


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        return f":ref:`{name} <api-schema-{name.lower()}>`"
    for together in ("oneOf", "allOf"):
        if together in schema:
            word = " or " if together == "oneOf" else " and "
            return word.join(_kind(each) for each in schema[together])
    kind = schema.get("type", "anything")
    kinds = kind if isinstance(kind, list) else [kind]
    if "enum" in schema:
        return f"one of {', '.join(f'``{each}``' for each in schema['enum'])}"
    shown = []
    for each in kinds:
        if each == "array":
            shown.append(f"array of {_kind(schema['items'])}")
        elif each == "object" and "properties" in schema:
            inner = ", ".join(
                f"``{name}`` ({_kind(field)})" for name, field in schema["properties"].items()
            )
            shown.append(f"object of {inner}")
        elif each == "object" and isinstance(schema.get("additionalProperties"), dict):
            shown.append(f"object of {_kind(schema['additionalProperties'])} by name")
        else:
            shown.append(each)
    return " or ".join(shown)


def _heading(text: str, under: str) -> Iterator[str]:
    yield text
    yield under * len(text)
    yield ""


def _paragraph(text: str) -> Iterator[str]:
    if text:
        yield _text(text)
        yield ""


def _text(text: str) -> str:
    """Turn the code of Markdown into that of reStructuredText; what has roles is as it should be."""
    return text if ":ref:" in text else text.replace("`", "``")


def setup(app: Sphinx) -> dict[str, bool]:
    """Let Sphinx know the directive."""
    app.add_directive("openapi-operations", Operations)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
