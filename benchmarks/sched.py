# SPDX-License-Identifier: Apache-2.0
"""What the plug-ins cost Nova's and Zun's schedulers, with 10 to 5,000 hosts.

``python -m benchmarks.sched`` prints the figures and writes them to ``.bench/sched.json``. Nova and Zun cannot be imported into
one process, so each is measured in one of its own. The method is in ``doc/source/admin/performance.rst``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_PATH = Path(".bench") / "sched.json"


def main() -> int:
    """Measure, print and keep the figures."""
    figures: dict[str, Any] = {}
    for name in ("nova", "zun"):
        command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.sched_{name}"]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        figures |= json.loads(done.stdout)
    _PATH.parent.mkdir(exist_ok=True)
    _PATH.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
