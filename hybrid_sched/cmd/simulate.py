# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-simulate``: the algorithms without a cloud."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from hybrid_sched.simulation.cases import CaseError, solve_all

_BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    :param arguments: of the command line; None for the process's own.
    :returns: the exit code, 2 for input that cannot be used.
    """
    parser = argparse.ArgumentParser(prog="hybrid-sched-simulate", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    solve = commands.add_parser("solve", help="solve cases of the algorithms, given as JSON")
    solve.add_argument("file", metavar="FILE", help="a JSON list of cases; - is standard input")
    solve.set_defaults(run=_solve)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except CaseError as error:
        print(f"hybrid-sched-simulate: {error}", file=sys.stderr)
        return _BAD_INPUT
    return 0


def _solve(options: argparse.Namespace) -> None:
    results = solve_all(_read_json(options.file))
    json.dump(results, sys.stdout)
    sys.stdout.write("\n")


def _read_json(path: str) -> object:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise CaseError(
            f"cannot read {path}: {error.strerror}; name a file, or - for input"
        ) from None
    except (ValueError, RecursionError) as error:
        raise CaseError(f"{path} is not JSON ({error}); write a list of cases") from None


if __name__ == "__main__":
    sys.exit(main())
