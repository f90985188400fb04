-- SPDX-License-Identifier: Apache-2.0
-- Users of a website, for wrk: each thinks for half a second to one and a half, asks, waits for the answer, and thinks again.

function delay()
    return math.random(500, 1500)
end

function done(summary, latency, _)
    local errors = summary.errors
    io.write(string.format(
        'FIGURES {"requests": %d, "seconds": %f, "mean_us": %f, "p50_us": %d, "p99_us": %d, "worst_us": %d, '
            .. '"connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}\n',
        summary.requests, summary.duration / 1e6, latency.mean, latency:percentile(50), latency:percentile(99),
        latency.max, errors.connect, errors.read, errors.write, errors.timeout, errors.status
    ))
end
