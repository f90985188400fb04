# SPDX-License-Identifier: Apache-2.0
"""What the kernel and the firmware tell of the hardware."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.monitors.hardware import cpu_model, memory_kind, read_hardware

_X86 = """processor\t: 0
vendor_id\t: GenuineIntel
model\t\t: 106
model name\t: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz

processor\t: 1
model name\t: another
"""
_AARCH64 = """processor\t: 0
BogoMIPS\t: 50.00
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1
"""
_POWER = "processor\t: 0\ncpu\t\t: POWER9, altivec supported\n"


@pytest.mark.parametrize(
    ("text", "model"),
    [
        (_X86, "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz"),
        (_AARCH64, "implementer 0x41 part 0xd0c"),
        (_POWER, "POWER9, altivec supported"),
        ("processor\t: 0\nisa\t: rv64imafdc\n", ""),
        ("", ""),
    ],
)
def test_the_processor_is_named(text: str, model: str) -> None:
    assert cpu_model(text) == model


def structure(kind: int, body: bytes, *strings: str) -> bytes:
    """Make one SMBIOS structure."""
    texts = b"".join(text.encode() + b"\0" for text in strings) or b"\0"
    return bytes([kind, 4 + len(body), 0, 0]) + body + texts + b"\0"


def module(memory_type: int, size: int = 16384) -> bytes:
    """Make the structure of a memory slot; the size is 0 when nothing is in it."""
    body = bytearray(0x28 - 4)
    body[0x0C - 4 : 0x0E - 4] = size.to_bytes(2, "little")
    body[0x12 - 4] = memory_type
    return structure(17, bytes(body), "DIMM A1", "Vendor")


_BIOS = structure(0, bytes(20), "Vendor", "1.0")
_END = structure(127, b"")


@pytest.mark.parametrize(
    ("tables", "kind"),
    [
        (_BIOS + module(0x1A) + module(0x1A) + _END, "DDR4"),
        (_BIOS + module(0x22) + _END, "DDR5"),
        (_BIOS + module(0x18) + module(0x22, size=0) * 3 + _END, "DDR3"),
        (_BIOS + module(0x02) + module(0x1A) + module(0x02) + _END, "DDR4"),
        (_BIOS + module(0x07) + _END, ""),
        (_BIOS + _END + module(0x1A), ""),
        (_BIOS, ""),
        (b"", ""),
    ],
)
def test_the_kind_of_most_modules_is_told(tables: bytes, kind: str) -> None:
    assert memory_kind(tables) == kind


@given(st.binary(max_size=200), st.integers(0, 400))
def test_no_tables_of_a_broken_firmware_are_an_error(noise: bytes, cut: int) -> None:
    assert memory_kind((_BIOS + module(0x1A) + noise)[:cut]) in {"", "DDR4"}
    memory_kind(noise)


def test_this_machine_is_read() -> None:
    with open("/proc/cpuinfo") as file:
        assert read_hardware().cpu_model == cpu_model(file.read())
