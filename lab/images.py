# SPDX-License-Identifier: Apache-2.0
"""What the guests and containers run: Debian's cloud kernel with busybox, and busybox alone."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import tarfile
from pathlib import Path

from lab.layout import Lab
from lab.processes import StepFailed

CONTAINER_IMAGE = "lab/busybox:1"

_MODULES = (
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
    "virtio_blk",
)
_FILES = Path(__file__).parent / "files"


def build(lab: Lab) -> None:
    """Make the kernel, the initial file system, the disk and the container's root; what is there is kept."""
    folder = lab.folder("cache")
    if not (folder / "vmlinuz").exists():
        _unpack_kernel(folder)
    initrd = folder / "initrd.gz"
    if not initrd.exists() or initrd.stat().st_mtime < (_FILES / "guest-init").stat().st_mtime:
        _build_initrd(folder)
    disk = folder / "root.raw"
    if not disk.exists():
        disk.touch()
        # Nova wants a disk image; the guest runs from memory.
        with disk.open("r+b") as file:
            file.truncate(2**20)
    if not (folder / "container.tar").exists():
        _build_container(folder)


def _unpack_kernel(folder: Path) -> None:
    """Take the kernel out of Debian's package, without installing it."""
    package = _kernel_package(folder)
    if package is None:
        _output(["apt-get", "update"], folder)
        package = _kernel_package(folder)
    if package is None:
        raise StepFailed(
            "Debian's package lists name no linux-image-cloud-amd64; see 'apt-get update'."
        )
    _output(["apt-get", "download", package], folder)
    archive = next(folder.glob("linux-image-*.deb"))
    tree = folder / "kernel"
    _output(["dpkg", "-x", archive.name, tree.name], folder)
    shutil.copy(next((tree / "boot").glob("vmlinuz-*")), folder / "vmlinuz.part")
    archive.unlink()
    (folder / "vmlinuz.part").rename(folder / "vmlinuz")


def _kernel_package(folder: Path) -> str | None:
    """Name the package that Debian's newest cloud kernel is in; None when the lists do not tell."""
    depends = subprocess.run(
        ["apt-cache", "depends", "linux-image-cloud-amd64"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = depends.stdout.splitlines()
    names = (line.split()[-1] for line in lines if "Depends: linux-image-" in line)
    return next(names, None)


def _build_initrd(folder: Path) -> None:
    tree = folder / "initrd"
    shutil.rmtree(tree, ignore_errors=True)
    for name in ("bin", "proc", "sys", "dev", "lib", "tmp", "etc", "www"):
        (tree / name).mkdir(parents=True)
    shutil.copy(_busybox(), tree / "bin" / "busybox")
    shutil.copy(_FILES / "guest-init", tree / "init")
    (tree / "init").chmod(0o755)
    order = []
    for module in _MODULES:
        for path in (folder / "kernel" / "lib" / "modules").rglob(f"{module}.ko*"):
            shutil.copy(path, tree / "lib")
            order.append(path.name)
    (tree / "lib" / "order").write_text("\n".join(order) + "\n")
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    archive = subprocess.run(
        ["cpio", "--create", "--format=newc", "--quiet", "--owner=0:0"],
        input=names.encode(),
        capture_output=True,
        check=True,
        cwd=tree,
    ).stdout
    (folder / "initrd.gz").write_bytes(gzip.compress(archive, compresslevel=1, mtime=0))


def _build_container(folder: Path) -> None:
    tree = folder / "container"
    shutil.rmtree(tree, ignore_errors=True)
    for name in ("bin", "etc", "tmp", "proc", "sys", "dev", "root", "www"):
        (tree / name).mkdir(parents=True)
    busybox = tree / "bin" / "busybox"
    shutil.copy(_busybox(), busybox)
    for applet in _output([str(busybox), "--list"], folder).split():
        if applet != "busybox":
            (tree / "bin" / applet).symlink_to("busybox")
    (tree / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    with tarfile.open(folder / "container.tar", "w") as archive:
        archive.add(tree, arcname=".")


def _busybox() -> str:
    found = shutil.which("busybox")
    if found is None:
        raise StepFailed("busybox is missing; run 'make packages' as root.")
    return found


def _output(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StepFailed(f"{command[0]} failed: {done.stderr.strip()[-300:]}.")
    return done.stdout
