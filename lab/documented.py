# SPDX-License-Identifier: Apache-2.0
"""The commands that the documents give: each is accepted by the parser of its program in a test, or run."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from lab.layout import CHECKOUT
from lab.walk import Block, blocks

SOURCE = CHECKOUT / "doc" / "source"
_PROGRAM = r"(?:hybrid-sched-[a-z]+|openstack|make|python -m lab|systemctl)"
_COMMAND = re.compile(rf"(?:sudo -u \S+ )?(?:\.venv/bin/)?({_PROGRAM}(?: [^`]*)?)$")
_IN_TEXT = re.compile(rf"``((?:\.venv/bin/)?{_PROGRAM} [^`]+)``")
#: What follows a command in a block: words about it, another command, a file for what it says.
_REST = re.compile(r"  +[\w(].*$|\s+#.*$| [|;] .*$| 2?> ?\S.*$| && .*$")
_OPTIONAL = re.compile(r"\[([^][]*)\]")


@dataclass(frozen=True)
class Command:
    """A command of a page.

    :param page: below the documents' source, without its suffix.
    :param text: on one line, without what follows it.
    :param whole: whether it stands in a block, as it is to be typed; what is named in a sentence may lack its arguments.
    """

    page: str
    text: str
    whole: bool

    @property
    def words(self) -> list[str]:
        """Split it as a shell does; an ellipsis says nothing."""
        return [word for word in shlex.split(self.text) if word not in {"...", "…"}]


def pages() -> list[Path]:
    """Give all pages but the roadmap, which tells of what is to come."""
    written = sorted(SOURCE.rglob("*.rst"))
    return [CHECKOUT / "README.rst", *(page for page in written if page.stem != "roadmap")]


def commands(page: Path) -> list[Command]:
    """Read the commands of a page, in order; those of its blocks first."""
    name = page.with_suffix("")
    name = name.relative_to(SOURCE) if name.is_relative_to(SOURCE) else Path(name.name)
    blocks_of = (block for block in blocks(page, literal=True) if block.language in {"", "console"})
    lines = [line for block in blocks_of for line in _lines(block)]
    typed = [_REST.sub("", text) for line in lines for text in _spelled_out(line)]
    named = _IN_TEXT.findall(re.sub(r"\s+", " ", page.read_text()))
    return [
        Command(str(name), found[1].strip(), whole)
        for whole, texts in ((True, typed), (False, named))
        for text in texts
        if (found := _COMMAND.match(text))
    ]


def _lines(block: Block) -> list[str]:
    # A literal block may have prompts; where it has none, all of it is typed.
    return block.commands or re.sub(r" \\\n\s*", " ", block.text).splitlines()


def _spelled_out(text: str) -> list[str]:
    """Give what a synopsis stands for: with what is optional, once for each of its alternatives."""
    optional = _OPTIONAL.search(text)
    if optional is None:
        return [text]
    before, after = text[: optional.start()], text[optional.end() :]
    return [
        command
        for alternative in optional[1].split(" | ")
        for command in _spelled_out(f"{before}{alternative}{after}")
    ]
