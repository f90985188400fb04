# SPDX-License-Identifier: Apache-2.0
"""Names of measured figures, the unit in each name; the same for a host, a guest and a container."""

from __future__ import annotations

#: Mean use of CPU over the time since the last look, in cores.
CPU_CORES = "cpu_cores"
#: CPU time for which its own limit held a task back, summed over CPUs, in cores.
CPU_THROTTLED_CORES = "cpu_throttled_cores"
#: CPU time for which a task was ready to run and waited for a CPU, in cores; at least that.
CPU_WAIT_CORES = "cpu_wait_cores"
#: Working set: page cache that would be given back under pressure is not in it.
MEMORY_USED_MB = "memory_used_mb"
DISK_READ_BPS = "disk_read_bps"
DISK_WRITE_BPS = "disk_write_bps"
NET_IN_BPS = "net_in_bps"
NET_OUT_BPS = "net_out_bps"
#: Part of the last 10 s in which some task waited for the resource (the kernel's pressure stall information).
CPU_STALL_FRACTION = "cpu_stall_fraction"
MEMORY_STALL_FRACTION = "memory_stall_fraction"
IO_STALL_FRACTION = "io_stall_fraction"
#: Time over which the rates of a task are means, up to the moment of the report, in seconds.
RATES_OVER_S = "rates_over_s"

#: Counter of the processes of a task that the kernel ended because the task reached its memory limit; no rate is worked out.
OOM_KILLS = "oom_kills"

#: Counters that only grow, and the rate that two looks at one give.
RATE_OF_COUNTER = {
    "cpu_s": CPU_CORES,
    "cpu_throttled_s": CPU_THROTTLED_CORES,
    "cpu_wait_s": CPU_WAIT_CORES,
    "disk_read_bytes": DISK_READ_BPS,
    "disk_write_bytes": DISK_WRITE_BPS,
    "net_in_bytes": NET_IN_BPS,
    "net_out_bytes": NET_OUT_BPS,
}
