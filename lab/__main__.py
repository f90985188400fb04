# SPDX-License-Identifier: Apache-2.0
"""``python -m lab``: the cloud on one machine."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from keystoneauth1.exceptions import ClientException
from openstack.exceptions import SDKException

from lab import hosts, images, network, status, supervisor
from lab.layout import NETNS, STATE, Host, Lab, saved_lab
from lab.processes import ProcessTable, StepFailed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :returns: the exit code.
    """
    options = parser().parse_args(arguments)
    if os.geteuid() != 0:
        print("The lab makes namespaces and control groups: run it as root.", file=sys.stderr)
        return 1
    try:
        return int(options.run(options) or 0)
    except (StepFailed, LookupError) as error:
        print(error, file=sys.stderr)
        return 1
    except (ClientException, SDKException) as error:
        print(f"The cloud refused: {error}. Its logs are in {STATE / 'log'}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    made = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = made.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, help_: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help_)
        sub.set_defaults(run=run)
        return sub

    for name, run, help_ in (
        ("up", _up, "start the lab; what runs already stays"),
        ("demo", _demo, "start the lab and show how guests and containers are placed"),
    ):
        sub = command(name, run, help_)
        sub.add_argument("--hosts", type=int, help="compute hosts of a new lab (default 2)")
        sub.add_argument(
            "--host-memory-mb", type=int, default=4096, help="memory of each host (default 4096)"
        )
        sub.add_argument(
            "--stock", action="store_true", help="leave the plug-ins out, to compare with"
        )
        sub.add_argument("--keep", action="store_true", help="leave what runs after a failure")
    command("down", _down, "stop the lab and remove what it made")
    sub = command("status", _status, "show what runs, its health and memory")
    sub.add_argument("-f", "--format", choices=("table", "json"), default="table")
    sub.add_argument("--quiet", action="store_true", help="only exit with 0 when a lab is up")
    sub = command("exec", _exec, "run a command inside, in the control plane or on a host")
    sub.add_argument("words", nargs=argparse.REMAINDER, metavar="[HOST] -- CMD")
    sub = command("openstack", _openstack, "run the openstack client inside")
    sub.add_argument("words", nargs=argparse.REMAINDER)
    sub = command("service", _service, "stop or start one service of the control plane")
    sub.add_argument("action", choices=("stop", "start"))
    sub.add_argument("name")
    return made


def _lab() -> Lab:
    lab = saved_lab()
    if lab is None or not supervisor.exists():
        raise LookupError("There is no lab: start it with 'make lab-up' or 'make demo'.")
    return lab


def _up(options: argparse.Namespace) -> int:
    lab = saved_lab()
    leftovers = lab is not None and not any(p.alive for p in ProcessTable(lab).all())
    if lab is None or leftovers:
        # What a killed run left behind goes first.
        supervisor.down(lab or Lab(()))
        count = options.hosts or 2
        lab = Lab(tuple(Host(i + 1, options.host_memory_mb) for i in range(count)), options.stock)
    elif options.stock != lab.stock or options.hosts not in (None, len(lab.hosts)):
        raise StepFailed("A lab of another shape is up: stop it first with 'make demo-down'.")
    lab.save()
    started = time.monotonic()
    # Debian's mirror is out of reach from inside.
    images.build(lab)
    _show_step("images", time.monotonic() - started)
    network.make_control()
    for host in lab.hosts:
        network.make_host(host)
    network.enter(NETNS)
    supervisor.up(lab, _show_step, keep=options.keep)
    print(f"The lab is up, in {time.monotonic() - started:.0f} s.", flush=True)
    return 0


def _show_step(name: str, seconds: float) -> None:
    print(f"  {name:<24} {seconds:6.1f} s", flush=True)


def _demo(options: argparse.Namespace) -> int:
    from lab import demo  # noqa: PLC0415 - it needs the lab's clients, which take long to import

    started = time.monotonic()
    code = _up(options)
    return code or demo.run(_lab(), started)


def _down(_options: argparse.Namespace) -> int:
    started = time.monotonic()
    left = supervisor.down(saved_lab() or Lab(()))
    for thing in left:
        print(f"This could not be removed: {thing}.", file=sys.stderr)
    if not left:
        print(f"The lab is down, in {time.monotonic() - started:.0f} s.")
    return 1 if left else 0


def _status(options: argparse.Namespace) -> int:
    lab = saved_lab()
    up = lab is not None and supervisor.exists()
    if options.quiet:
        return 0 if up and any(p.alive for p in ProcessTable(_lab()).all()) else 1
    lab = _lab()
    print(status.render(status.rows(lab), options.format))
    return 0


def _exec(options: argparse.Namespace) -> int:
    words = list(options.words)
    host = None
    if words and words[0] != "--":
        host = words.pop(0)
    command = words[1:] if words[:1] == ["--"] else words
    if not command:
        raise LookupError("Name a command: python -m lab exec [HOST] -- CMD.")
    lab = _lab()
    environment = {**os.environ, **lab.client_environment()}
    if host is not None:
        pid = hosts.init_pid(lab, lab.host(host))
        environment["DOCKER_HOST"] = "unix:///run/docker/docker.sock"
        command = ["nsenter", "-t", str(pid), "-m", "-u", "-n", "-p", "-C", "--", *command]
    else:
        network.enter(NETNS)
    os.execvpe(command[0], command, environment)  # noqa: S606 - this process becomes the command


def _openstack(options: argparse.Namespace) -> int:
    lab = _lab()
    network.enter(NETNS)
    program = str(lab.bin / "openstack")
    environment = {**os.environ, **lab.client_environment()}
    os.execve(program, [program, *options.words], environment)  # noqa: S606 - becomes the client


def _service(options: argparse.Namespace) -> int:
    lab = _lab()
    table = ProcessTable(lab)
    process = table.get(options.name)
    if options.action == "stop":
        if process is None:
            raise LookupError(f"There is no running service {options.name}; see 'make lab-status'.")
        table.stop([process], timeout_s=10)
        return 0
    step = next((s for s in supervisor.steps(lab) if s.name == options.name), None)
    if step is None:
        raise LookupError(f"There is no service {options.name}; see 'make lab-status'.")
    network.enter(NETNS)
    step.run(lab)
    return 0


if __name__ == "__main__":
    sys.exit(main())
