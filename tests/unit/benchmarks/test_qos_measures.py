# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import http.server
import shutil
import threading
import time
from collections.abc import Iterator

import pytest

from benchmarks.neighbourhood import Website
from benchmarks.qos import cpu, facts, users
from benchmarks.qos.cpu import Meter, Sample
from lab import cgroups

FIGURES = (
    'FIGURES {"requests": 40, "seconds": 2.5, "mean_us": 1500, "p50_us": 1000, "p99_us": 9000, "worst_us": 9500, '
    '"connect": 1, "read": %d, "write": 2, "timeout": 3, "status": 4}'
)


def test_answers_are_read_from_what_wrk_says() -> None:
    answers = users.read(f"Running 1m test\n{FIGURES % 0}\n")
    assert (answers.requests, answers.failed, answers.seconds) == (40, 10, 2.5)
    assert (answers.mean_ms, answers.p50_ms, answers.p99_ms, answers.worst_ms) == (1.5, 1, 9, 9.5)


@pytest.mark.parametrize(("read", "failed"), [(39, 10), (40, 10), (42, 12)])
def test_a_close_after_each_answer_is_no_failure(read: int, failed: int) -> None:
    assert users.read(FIGURES % read).failed == failed


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("Running 1m test", "wrk told no figures: Running 1m test"),
        (FIGURES.replace("40", "0") % 0, "the website answered nobody"),
    ],
)
def test_without_answers_it_says_so(said: str, why: str) -> None:
    with pytest.raises(RuntimeError, match=why):
        users.read(said)


class _Page(http.server.BaseHTTPRequestHandler):
    """A page whose end is the end of the connection, as busybox's httpd gives one that a program makes."""

    asked: list[float]

    def do_GET(self) -> None:
        if self.path != "/page":
            self.send_error(404)
            return
        self.asked.append(time.monotonic())
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<table>")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[tuple[str, list[float]]]:
    asked: list[float] = []
    handler = type("Page", (_Page,), {"asked": asked})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_that_is_not_there_is_told_from_one_that_is(site: tuple[str, list[float]]) -> None:
    website = Website("uuid", site[0])
    assert website.get("/page") == b"<table>"
    with pytest.raises(FileNotFoundError, match="/gone answers 404"):
        website.get("/gone")


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is missing (make packages)")
def test_users_think_before_they_ask_and_stop_when_told(site: tuple[str, list[float]]) -> None:
    address, asked = site
    with users.asking(f"http://{address}/page", users=5) as crowd:
        deadline = time.monotonic() + 60
        while len(asked) < 10:
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
        answers = crowd.stop()
    assert answers.failed == 0
    assert 10 <= answers.requests <= len(asked)
    # Each asks again half a second after its answer at the earliest: ten of five users cannot come sooner.
    assert asked[9] - asked[0] >= 0.4


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is missing (make packages)")
def test_a_site_that_is_not_there_is_told() -> None:
    with users.asking("http://127.0.0.1:9/page") as crowd:
        crowd._process.wait(60)
        with pytest.raises(RuntimeError, match="unable to connect"):
            crowd.stop()


def test_without_wrk_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RuntimeError, match="make packages"), users.asking("http://127.0.0.1/"):
        pass


def test_use_is_of_all_cpus_and_over_the_time_that_passed() -> None:
    samples = [
        Sample(10, {"node1": 0.0, "elsewhere": 5.0}),
        Sample(12, {"node1": 3.0, "elsewhere": 5.0}),
        Sample(13, {"node1": 3.5, "elsewhere": 6.0}),
    ]
    use = cpu.use(samples, cpus=2)
    assert use.seconds == [1, 2.5]
    assert use.percent == {"node1": [75, 25], "elsewhere": [0, 50]}
    assert use.mean == {"node1": 58.3, "elsewhere": 16.7}


def test_a_meter_measures_from_beginning_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "PERIOD_S", 0.01)
    looked = []
    enough = threading.Event()

    def look() -> Sample:
        number = len(looked)
        looked.append(threading.current_thread())
        if number == 3:
            enough.set()
        return Sample(number, {"node1": number**2})

    meter = Meter(look)
    with meter.running():
        assert enough.wait(60)
    use = meter.use(cpus=1)
    # From 0 to the square of the last number, in as many seconds as that number.
    assert use.mean == {"node1": 100 * (len(looked) - 1)}
    # At the very beginning and end, and not only when its own thread gets to it.
    assert looked[0] is looked[-1] is threading.current_thread()
    # The last period, which the end cut short, is in the mean alone.
    assert len(use.seconds) == len(use.percent["node1"]) == len(looked) - 2


def test_the_machine_worked_when_it_was_neither_idle_nor_waiting() -> None:
    ticks = cpu._TICKS_A_S
    fields = [1, 2, 3, 100, 100, 4, 5, 100, 100, 100]
    text = "cpu  " + " ".join(str(ticks * field) for field in fields) + "\ncpu0 1 1\n"
    assert cpu.worked_s(text) == 15


def test_the_cpu_time_of_a_host_is_seen_from_outside(tmp_path) -> None:
    usage = tmp_path / "cpuacct" / "hybrid-lab-node1" / "cpuacct.usage"
    usage.parent.mkdir(parents=True)
    usage.write_text("1500000000\n")
    assert cgroups.cpu_used_by_s("node1", tmp_path) == 1.5
    (tmp_path / "cgroup.controllers").touch()
    stat = tmp_path / "hybrid-lab" / "node1" / "cpu.stat"
    stat.parent.mkdir(parents=True)
    stat.write_text("usage_usec 2500000\nuser_usec 1\n")
    assert cgroups.cpu_used_by_s("node1", tmp_path) == 2.5


def test_the_model_of_the_cpu_is_named() -> None:
    text = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t: a b\n"
    assert facts.cpu_model(text) == "Some CPU @ 2 GHz"
    assert facts.cpu_model("processor\t: 0\n") == "unknown"
