# SPDX-License-Identifier: Apache-2.0
"""The arrangements of the experiment in the lab, one after another."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from benchmarks.neighbourhood import Container, Neighbourhood, Website, run_on
from benchmarks.qos import analysis, cpu, image, users
from benchmarks.qos.cpu import Meter, Use
from benchmarks.qos.facts import accelerator
from benchmarks.qos.results import Repetition
from benchmarks.qos.users import Answers, Crowd
from lab.layout import CHECKOUT, Lab

PAGE = "/cgi-bin/page"
DOCUMENTS = 350_000
#: For which users ask where the guest is alone: about what the analysis takes.
ALONE_S = 20.0
CONTAINER_CPUS, CONTAINER_MB = 1, 512
_IDLE = ["/bin/python3", "-c", "import signal; signal.pause()"]


class Experiment:
    """The guest, the container and who measures them.

    :param lab: with two hosts at least, and the plug-ins.
    :param repetitions: of each arrangement.
    :param show: told what is done, a sentence each.
    """

    def __init__(self, lab: Lab, repetitions: int, show: Callable[[str], None]) -> None:
        self._lab = lab
        self._place = Neighbourhood(lab, "qos-")
        self._hosts = lab.hosts[:2]
        self._numbers = range(1, repetitions + 1)
        self._cpus = os.cpu_count() or 1
        self._show = show
        self._done: list[Repetition] = []
        self.settings: dict[str, Any] = {
            "hosts": [host.name for host in self._hosts],
            "guest": {"vcpus": 1, "memory_mb": 256, "cpu_policy": "dedicated", "page": PAGE},
            "users": users.USERS,
            "container": {"cpus": CONTAINER_CPUS, "memory_mb": CONTAINER_MB},
            "documents": DOCUMENTS,
            "repetitions": repetitions,
        }

    def run(self) -> list[Repetition]:
        """Measure all arrangements; what was made for it is gone afterwards, also after a failure."""
        with ExitStack() as whole:
            whole.enter_context(self._image())
            with ExitStack() as off:
                self._show("turning isolation off")
                off.enter_context(self._place.idle_agent())
                with self._place.stock_driver():
                    # Before the guest: on a host where a guest has a CPU of its own the stock driver makes no container,
                    # since it writes an inventory without such CPUs, which Placement refuses while one is used.
                    container = off.enter_context(self._container(0))
                self._show("starting the guest")
                whole.enter_context(self._place.dedicated_cpus())
                # While nothing holds it to limits; it is the same one in all arrangements.
                website = whole.enter_context(self._place.website())
                # A lab that was started by an older checkout has not this page.
                website.get(PAGE)
                self.settings["accelerator"] = accelerator(self._place.host, website.uuid)
                self._both("together-off", website, container)
                self._show("turning isolation on")
            with self._container(0) as container:
                self._place.wait_for_limits(website.uuid, container.uuid)
                self._both("together-on", website, container)
            with self._container(1) as container:
                self._place.wait_for_limits(container.uuid, host=container.host)
                self._both("apart", website, container)
                self._in_turn(website, container)
        return self._done

    @contextmanager
    def _image(self) -> Iterator[None]:
        """Have the container's image on the hosts for a while."""
        self._show("making the container's image")
        path = image.build(self._lab.folder("cache", "qos"), DOCUMENTS)
        try:
            for host in self._hosts:
                importing = ("docker", "import", "--change", "ENV PATH=/bin", str(path), image.NAME)
                _run(run_on(host, *importing))
            path.unlink()
            yield
        finally:
            for host in self._hosts:
                remove = run_on(host, "docker", "image", "rm", "--force", image.NAME)
                subprocess.run(remove, check=False, capture_output=True, cwd=CHECKOUT)

    @contextmanager
    def _container(self, host: int) -> Iterator[Container]:
        """Have a container on a host for a while, which waits for work."""
        self._show(f"starting the container on {self._hosts[host].name}")
        with self._place.containers() as start:
            yield start(
                *("analysis", self._hosts[host], CONTAINER_CPUS, CONTAINER_MB, _IDLE),
                image=image.NAME,
            )

    def _both(self, arrangement: str, website: Website, container: Container) -> None:
        """Have users ask for as long as an analysis takes."""
        for number in self._numbers:
            with (
                self._analysis(container) as told,
                self._metered() as meter,
                self._asking(website) as crowd,
            ):
                found = told()
                answers = crowd.stop()
            use = meter.use(self._cpus)
            self._note(arrangement, number, answers, found, (use, use))

    def _in_turn(self, website: Website, container: Container) -> None:
        """Have users ask while no analysis runs, and then an analysis while nobody asks."""
        for number in self._numbers:
            with self._metered() as asked, self._asking(website) as crowd:
                time.sleep(ALONE_S)
                answers = crowd.stop()
            with self._analysis(container) as told, self._metered() as analysed:
                found = told()
            uses = (asked.use(self._cpus), analysed.use(self._cpus))
            self._note("in-turn", number, answers, found, uses)

    def _note(
        self,
        arrangement: str,
        number: int,
        answers: Answers,
        found: dict[str, Any],
        uses: tuple[Use, Use],
    ) -> None:
        self._done.append(
            Repetition(arrangement, number, answers, found["seconds"], found["accuracy"], *uses)
        )
        self._show(
            f"{arrangement} {number}: {answers.requests} answers, mean {answers.mean_ms:.0f} ms, p99 {answers.p99_ms:.0f} ms, "
            f"{answers.failed} failed; analysis {found['seconds']:.1f} s; CPU of {self._hosts[0].name} "
            f"{uses[0].mean[self._hosts[0].name]:.0f} %, of {self._hosts[1].name} {uses[1].mean[self._hosts[1].name]:.0f} %"
        )

    def _asking(self, website: Website) -> AbstractContextManager[Crowd]:
        return users.asking(f"http://{website.address}{PAGE}")

    @contextmanager
    def _metered(self) -> Iterator[Meter]:
        meter = Meter(lambda: cpu.look(self._lab))
        with meter.running():
            yield meter

    @contextmanager
    def _analysis(self, container: Container) -> Iterator[Callable[[], dict[str, Any]]]:
        """Start an analysis and give, once it has begun, what waits for its end."""
        inside = ("/bin/python3", image.PROGRAM, "classify", image.CORPUS)
        command = run_on(container.host, "docker", "exec", f"zun-{container.uuid}", *inside)
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=CHECKOUT
        )

        try:
            assert process.stdout is not None  # noqa: S101 - both pipes were asked for
            assert process.stderr is not None  # noqa: S101
            output, complaints = process.stdout, process.stderr

            def told() -> dict[str, Any]:
                said = output.readline()
                if process.wait() != 0:
                    raise RuntimeError(f"the analysis failed: {complaints.read().strip()[-300:]}")
                found: dict[str, Any] = json.loads(said)
                return found

            if output.readline().strip() != analysis.BEGUN:
                raise RuntimeError(
                    f"the analysis did not begin: {complaints.read().strip()[-300:]}"
                )
            yield told
        finally:
            # What it started in the container ends with the container.
            process.kill()
            process.wait()


def _run(command: list[str]) -> None:
    """Run a command.

    :raises RuntimeError: when it fails, with what it said.
    """
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=CHECKOUT)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[4:7])} failed: {done.stderr.strip()[-300:]}")
