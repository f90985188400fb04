# SPDX-License-Identifier: Apache-2.0
"""The seed table against names as processors give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybrid_sched.cmd.manage.score_file import read_scores
from hybrid_sched.core.hardware import Hardware, score_of

FILE = Path(__file__).parents[3] / "etc/hybrid-sched/hardware-scores.csv"
ROWS = read_scores(FILE)


@pytest.mark.parametrize(
    ("cpu_model", "note"),
    [
        ("Intel(R) Xeon(R) CPU E5-2680 0 @ 2.70GHz", "Sandy Bridge"),
        ("Intel(R) Xeon(R) CPU E5-2430L 0 @ 2.00GHz", "Sandy Bridge"),
        ("Intel(R) Xeon(R) CPU E5-2690 v2 @ 3.00GHz", "Ivy Bridge"),
        ("Intel(R) Xeon(R) CPU E3-1230 V2 @ 3.30GHz", "Ivy Bridge"),
        ("Intel(R) Xeon(R) CPU E7-4890 v2 @ 2.80GHz", "Ivy Bridge"),
        ("Intel(R) Xeon(R) CPU E5-2680 v3 @ 2.50GHz", "Haswell"),
        ("Intel(R) Xeon(R) CPU E7-8880 v3 @ 2.30GHz", "Haswell"),
        ("Intel(R) Xeon(R) CPU E5-2699 v4 @ 2.20GHz", "Broadwell"),
        ("Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz", "Broadwell"),
        ("Intel(R) Xeon(R) CPU D-1541 @ 2.10GHz", "Broadwell"),
        ("Intel(R) Xeon(R) CPU E3-1270 v6 @ 3.80GHz", "Skylake and Kaby Lake of one socket"),
        ("Intel(R) Xeon(R) D-2146NT CPU @ 2.30GHz", "Skylake"),
        ("Intel(R) Xeon(R) D-2796TE CPU @ 2.00GHz", "Ice Lake"),
        ("Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz", "Skylake"),
        ("Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz", "Skylake"),
        ("Intel(R) Xeon(R) Silver 4114 CPU @ 2.20GHz", "Skylake"),
        ("Intel(R) Xeon(R) Bronze 3104 CPU @ 1.70GHz", "Skylake"),
        ("Intel(R) Xeon(R) Gold 6248R CPU @ 3.00GHz", "Cascade Lake"),
        ("Intel(R) Xeon(R) Gold 5218 CPU @ 2.30GHz", "Cascade Lake"),
        ("Intel(R) Xeon(R) Silver 4210R CPU @ 2.40GHz", "Cascade Lake"),
        ("Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz", "Cascade Lake"),
        ("Intel(R) Xeon(R) Platinum 8380H CPU @ 2.90GHz", "Cooper Lake"),
        ("Intel(R) Xeon(R) Gold 6348H CPU @ 2.30GHz", "Cooper Lake"),
        ("Intel(R) Xeon(R) Platinum 8380 CPU @ 2.30GHz", "Ice Lake"),
        ("Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", "Ice Lake"),
        ("Intel(R) Xeon(R) Gold 5318Y CPU @ 2.10GHz", "Ice Lake"),
        ("Intel(R) Xeon(R) Silver 4314 CPU @ 2.40GHz", "Ice Lake"),
        ("Intel(R) Xeon(R) Platinum 8480+", "Sapphire Rapids"),
        ("Intel(R) Xeon(R) Platinum 8488C", "Sapphire Rapids"),
        ("Intel(R) Xeon(R) Gold 6430", "Sapphire Rapids"),
        ("Intel(R) Xeon(R) CPU Max 9480", "Sapphire Rapids with HBM"),
        ("INTEL(R) XEON(R) PLATINUM 8592+", "Emerald Rapids"),
        ("INTEL(R) XEON(R) GOLD 6530", "Emerald Rapids"),
        ("INTEL(R) XEON(R) SILVER 4510", "Emerald Rapids"),
        ("Intel(R) Xeon(R) 6980P", "Granite Rapids"),
        ("Intel(R) Xeon(R) 6780E", "Sierra Forest: cores without SMT"),
        ("AMD EPYC 7551 32-Core Processor", "Naples"),
        ("AMD EPYC 7601 32-Core Processor", "Naples"),
        ("AMD EPYC 7371 16-Core Processor", "Naples"),
        ("AMD EPYC 7742 64-Core Processor", "Rome"),
        ("AMD EPYC 7402P 24-Core Processor", "Rome"),
        ("AMD EPYC 7H12 64-Core Processor", "Rome"),
        ("AMD EPYC 7R32", "Rome"),
        ("AMD EPYC 7763 64-Core Processor", "Milan"),
        ("AMD EPYC 7313 16-Core Processor", "Milan"),
        ("AMD EPYC 73F3 16-Core Processor", "Milan"),
        ("AMD EPYC 7773X 64-Core Processor", "Milan"),
        ("AMD EPYC 7R13 Processor", "Milan"),
        ("AMD EPYC 9654 96-Core Processor", "Genoa"),
        ("AMD EPYC 9174F 16-Core Processor", "Genoa"),
        ("AMD EPYC 9R14", "Genoa"),
        ("AMD EPYC 9V33X 96-Core Processor", "Genoa-X"),
        ("AMD EPYC 9754 128-Core Processor", "Bergamo"),
        ("AMD EPYC 8534P 64-Core Processor", "Siena"),
        ("AMD EPYC 9755 128-Core Processor", "Turin"),
        ("AMD EPYC 9575F 64-Core Processor", "Turin"),
        ("AMD EPYC 9965 192-Core Processor", "Turin Dense"),
        ("implementer 0x41 part 0xd0c", "Neoverse N1: Ampere Altra, AWS Graviton2"),
        ("implementer 0x41 part 0xd40", "Neoverse V1: AWS Graviton3"),
        ("Ampere(R) Altra(R) Processor", "Neoverse N1"),
        ("AWS Graviton4", "Neoverse V2"),
        ("Intel Xeon Processor (Skylake, IBRS)", "Skylake"),
        ("Intel Xeon Processor (Icelake)", "Ice Lake"),
        ("AMD EPYC Processor (with IBPB)", "Naples"),
        ("AMD EPYC-Milan Processor", "Milan"),
    ],
)
def test_a_processor_is_known_by_its_name(cpu_model, note):
    assert score_of(Hardware(cpu_model, "DDR"), ROWS).row.note == note


@pytest.mark.parametrize(
    ("hardware", "note"),
    [
        (Hardware("Intel(R) Xeon(R) CPU E7-8880 v3 @ 2.30GHz", "DDR3"), "Haswell with DDR3"),
        (Hardware("Intel(R) Xeon(R) CPU E7-8880 v3 @ 2.30GHz", "DDR4"), "Haswell"),
        (Hardware("Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz", "DDR4"), "Skylake"),
        (Hardware("Intel(R) Xeon(R) Processor @ 3.10GHz", "DDR5"), "as Sapphire Rapids"),
        (Hardware("", "DDR3"), "as Ivy Bridge"),
    ],
)
def test_the_memory_tells_where_the_processor_does_not(hardware, note):
    assert score_of(hardware, ROWS).row.note == note


@pytest.mark.parametrize(
    "cpu_model",
    ["", "Intel(R) Xeon(R) Processor", "Intel(R) Xeon(R) CPU @ 2.20GHz", "AMD Ryzen 9 5950X"],
)
def test_what_has_no_name_stays_unknown(cpu_model):
    assert score_of(Hardware(cpu_model), ROWS).row is None


def test_the_newest_is_one():
    assert max(row.score for row in ROWS) == 1
