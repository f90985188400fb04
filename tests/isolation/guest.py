# SPDX-License-Identifier: Apache-2.0
"""A guest whose kernel has version 2 of control groups, with this machine's programs: ``guest.py COMMAND ARGUMENT...``.

The command runs as root in the checkout, which it can read; what it writes into ``$SCRATCH`` is seen outside. Its output and
its exit code are passed through. The kernel is Debian's, unpacked and not installed. The guest is an emulated machine, about
ten times slower than this one, so its root is a disk image of those files that the suite needs: read through a shared folder,
importing the libraries alone would take more than a minute.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

CHECKOUT = Path(__file__).parents[2]
_CACHE = CHECKOUT / ".cache" / "guest"
_KERNEL = "linux-image-amd64"
#: Where the guest has the checkout and the scratch folder.
INSIDE, SCRATCH_INSIDE = Path("/srv/checkout"), Path("/srv/scratch")
_SITE = "usr/lib/guest-site-packages"
_DISTRIBUTIONS = (
    *("pytest", "pytest-timeout", "docker", "libvirt-python", "oslo.config", "oslo.log"),
    *("psutil", "pyroute2"),
)
_TREES = (
    *("bin", "sbin", "lib", "lib64", "etc", "usr/bin", "usr/sbin", "usr/lib64"),
    *("usr/lib/x86_64-linux-gnu", "usr/lib/libvirt", "usr/lib/systemd"),
    *("usr/share/qemu", "usr/share/seabios", "usr/share/libvirt", "usr/lib/ipxe"),
)
#: Large, and of no use to the suite.
_WITHOUT = (
    "*.a",
    "libLLVM*",
    "x86_64-linux-gnu/dri",
    "x86_64-linux-gnu/perl",
    "valgrind",
    "google*",
)
_EMPTY = (
    *("dev", "home", "lib/modules", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp"),
    *("var/cache", "var/lib", "var/log", "var/tmp", "usr/local/bin"),
)
_POLL_S = 0.2


class GuestFailed(Exception):
    """The guest could not be made or did not run the command to its end; the message says why."""


def why_not() -> str | None:
    """Say why no guest can be run here; None when one can."""
    if os.geteuid() != 0:
        return "only root can make the guest's root"
    for program in ("qemu-system-x86_64", "mkfs.ext4", "apt-get", "dpkg", "tar", "depmod"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            return f"{program} is missing: install the packages of the all-in-one (make packages)"
    if not _vng().exists():
        return "virtme-ng is missing: make venv"
    return None


def run(
    command: list[str], scratch: Path, timeout_s: float, memory_mb: int = 3072, cpus: int = 2
) -> int:
    """Run a command in a guest of its own.

    :param command: and its arguments; ``python3`` has the libraries of the tests.
    :param scratch: a folder that the guest writes to as well; the guest's console is in it.
    :param timeout_s: after which the guest is ended.
    :returns: the command's exit code.
    :raises GuestFailed: when the guest does not start, or not end in time.
    """
    kernel, image = _kernel(), _image()
    scratch.mkdir(parents=True, exist_ok=True)
    output, code = scratch / "output", scratch / "exit-code"
    for file in (output, code):
        file.unlink(missing_ok=True)
    output.touch()
    (scratch / "command").write_text(_script(command))
    with (scratch / "console").open("wb") as console:
        process = subprocess.Popen(
            [
                *(str(_vng()), "--verbose", "--run", str(kernel), "--disable-kvm", "--force-9p"),
                *("--root-disk", str(image), "--root-fstype", "ext4"),
                # Debian's kernel has AppArmor on, for which Docker would need its parser.
                *("--append", "apparmor=0"),
                *("--cpus", str(cpus), "--memory", f"{memory_mb}M"),
                *("--rodir", f"{INSIDE}={CHECKOUT}", "--rwdir", f"{SCRATCH_INSIDE}={scratch}"),
                *("--", f"sh {SCRATCH_INSIDE}/command"),
            ],
            env={
                **os.environ,
                "PATH": f"{_vng().parent}:{os.environ['PATH']}:/usr/sbin",
                "XDG_CACHE_HOME": str(_CACHE / "vng"),
            },
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
        )
        try:
            _follow(process, output, timeout_s)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)
            process.wait()
    if not code.exists():
        raise GuestFailed(f"the guest ended without an exit code; its console is in {console.name}")
    return int(code.read_text())


def _follow(process: subprocess.Popen[bytes], output: Path, timeout_s: float) -> None:
    """Pass the output on until the guest has ended."""
    deadline_s = time.monotonic() + timeout_s
    with output.open("rb") as file:
        while True:
            ended = process.poll() is not None
            sys.stdout.write(file.read().decode(errors="replace"))
            sys.stdout.flush()
            if ended:
                return
            if time.monotonic() > deadline_s:
                raise GuestFailed(f"the guest has not ended within {timeout_s:.0f} s")
            time.sleep(_POLL_S)


def _script(command: list[str]) -> str:
    return f"""\
export PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin SCRATCH={SCRATCH_INSIDE} HOME=/root LANG=C.UTF-8
export PYTHONPATH=/{_SITE}:{INSIDE} PYTHONDONTWRITEBYTECODE=1
for module in loop virtio_net veth tun; do modprobe "$module"; done
ip link set lo up
mount -t tmpfs -o size=75% tmpfs /tmp
cd {INSIDE} || exit
{shlex.join(command)} >{SCRATCH_INSIDE}/output 2>&1
echo $? >{SCRATCH_INSIDE}/exit-code
sync
"""


def _vng() -> Path:
    return Path(sys.executable).with_name("vng")


def _kernel() -> Path:
    """Give Debian's kernel, whose modules are where virtme-ng looks for them: beside it, in the unpacked tree."""
    folder = _CACHE / "kernel"
    found = list(folder.glob("boot/vmlinuz-*"))
    if found:
        return found[0]
    with tempfile.TemporaryDirectory(dir=_cache()) as name:
        part = Path(name)
        package = _newest_kernel()
        if package is None:
            _do(["apt-get", "update"], part)
            package = _newest_kernel()
        if package is None:
            raise GuestFailed(f"Debian's package lists name no {_KERNEL}; see 'apt-get update'")
        _do(["apt-get", "download", package], part)
        (archive,) = part.glob("*.deb")
        _do(["dpkg", "-x", archive.name, "tree"], part)
        shutil.rmtree(folder, ignore_errors=True)
        (part / "tree").rename(folder)
    return next(folder.glob("boot/vmlinuz-*"))


def _newest_kernel() -> str | None:
    depends = subprocess.run(
        ["apt-cache", "depends", _KERNEL], capture_output=True, text=True, check=False
    )
    names = (line.split()[-1] for line in depends.stdout.splitlines())
    return next((name for name in names if re.fullmatch(r"linux-image-\d.*-amd64", name)), None)


def _image() -> Path:
    """Give the disk image of the guest's root, made anew when what it is made of has changed."""
    distributions = _needed()
    versions = [f"{each.name} {each.version}" for each in distributions]
    packages = _do(["dpkg-query", "-W"], _cache())
    text = "\n".join([sys.version, Path(__file__).read_text(), *versions, packages])
    signature = hashlib.sha256(text.encode()).hexdigest()
    image, signed = _CACHE / "root.img", _CACHE / "root.signature"
    if image.exists() and signed.exists() and signed.read_text() == signature:
        return image
    signed.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=_cache()) as name:
        tree, part = Path(name, "root"), Path(name, "root.img")
        tree.mkdir()
        _fill(tree, distributions)
        size_mb = int(_do(["du", "-sm", str(tree)], _CACHE).split()[0])
        with part.open("wb") as file:
            # Room for what the file system itself needs.
            file.truncate((size_mb * 5 // 4 + 64) * 2**20)
        _do(["mkfs.ext4", "-q", "-O", "^has_journal", "-d", str(tree), str(part)], _CACHE)
        part.replace(image)
    signed.write_text(signature)
    return image


def _fill(tree: Path, distributions: list[metadata.Distribution]) -> None:
    """Copy this machine's programs and libraries, and the Python of the tests with what it imports."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    python = Path(sys.executable).resolve()
    libraries = [each for each in (python.parents[1] / "lib").glob("libpython*") if each.is_file()]
    paths = [stdlib, python, *libraries, *(Path("/", each) for each in _TREES)]
    without = [*_WITHOUT, f"{stdlib.name}/site-packages", f"{stdlib.name}/test", "dist-packages"]
    archive = tree.parent / "root.tar"
    _do(
        [
            *("tar", "--create", "--file", str(archive), "--directory", "/"),
            *("--one-file-system", "--warning=no-file-changed", "--ignore-failed-read"),
            *(f"--exclude={each}" for each in without),
            *(str(path.relative_to("/")) for path in dict.fromkeys(paths) if path.exists()),
        ],
        _CACHE,
    )
    _do(["tar", "--extract", "--file", str(archive), "--directory", str(tree)], _CACHE)
    archive.unlink()
    for folder in _EMPTY:
        (tree / folder).mkdir(parents=True, exist_ok=True)
    (tree / "usr/local/bin/python3").symlink_to(python)
    (tree / "var/run").symlink_to("/run")
    for each in distributions:
        for file in each.files or ():
            source = Path(str(each.locate_file(file)))
            # Programs are outside the folder of the libraries.
            if ".." in file.parts or not source.is_file():
                continue
            target = tree / _SITE / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def _needed() -> list[metadata.Distribution]:
    """Give the distributions that the suite imports, and those that they need."""
    found: dict[str, metadata.Distribution] = {}
    names = list(_DISTRIBUTIONS)
    while names:
        name = re.sub(r"[-_.]+", "-", names.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise GuestFailed(f"the Python package {name} is missing: make venv") from None
        for line in found[name].requires or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                names.append(needed.name)
    return [found[name] for name in sorted(found)]


def _cache() -> Path:
    _CACHE.mkdir(parents=True, exist_ok=True)
    return _CACHE


def _do(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GuestFailed(f"{command[0]} failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def main() -> None:
    """Run the command of the command line."""
    if len(sys.argv) < 2:
        sys.exit("usage: tools/v2-guest COMMAND [ARGUMENT...]")
    reason = why_not()
    if reason is not None:
        sys.exit(f"No guest can be run: {reason}.")
    with tempfile.TemporaryDirectory(prefix="hs-guest-") as scratch:
        try:
            sys.exit(run(sys.argv[1:], Path(scratch), timeout_s=3600))
        except GuestFailed as error:
            console = Path(scratch, "console")
            if console.exists():
                sys.stderr.write(console.read_text(errors="replace")[-2000:])
            sys.exit(f"{error}.")


if __name__ == "__main__":
    main()
