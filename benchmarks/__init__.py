# SPDX-License-Identifier: Apache-2.0
"""Figures of performance, each as a ratio or a rate within one run; none of them is asserted in a test."""

import sys
from pathlib import Path

# The real broker that the integration tests start serves the benchmarks too.
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "integration"))
