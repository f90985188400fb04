# SPDX-License-Identifier: Apache-2.0
"""The container's image: the machine's own Python with its library, the analysis and its corpus. No registry is needed."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.qos import analysis

NAME = "lab/analysis:1"
PROGRAM = "/analysis.py"
CORPUS = "/corpus"
#: Large, and used by nobody here.
_LEFT_OUT = (
    *("__pycache__", "config-*", "dist-packages", "ensurepip", "idlelib", "lib2to3"),
    *("site-packages", "test", "tests", "tkinter", "turtledemo"),
)
_LIBRARY = re.compile(r"^\t(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)


def build(folder: Path, documents: int) -> Path:
    """Make the image's file system as a tar file, anew each time but for the corpus, which takes longest and is kept.

    :param folder: for what is made.
    :param documents: of the corpus.
    """
    written_by = hashlib.sha256(Path(analysis.__file__).read_bytes()).hexdigest()[:12]
    corpus = folder / f"corpus-{documents}-{written_by}"
    if not corpus.exists():
        for old in folder.glob("corpus-*"):
            shutil.rmtree(old)
        part = folder / "corpus.part"
        shutil.rmtree(part, ignore_errors=True)
        analysis.generate(part, documents)
        part.rename(corpus)
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    put_python(tree)
    shutil.copy(analysis.__file__, tree / PROGRAM.lstrip("/"))
    shutil.copytree(corpus, tree / CORPUS.lstrip("/"))
    path = folder / "analysis.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(tree, arcname=".")
    shutil.rmtree(tree)
    return path


def put_python(tree: Path) -> None:
    """Put the Python that runs this into a root, without the packages that were installed; ``/bin/python3`` starts it."""
    program = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    extensions = list((library / "lib-dynload").glob("*.so"))
    for name in ("bin", "tmp", "proc", "sys", "dev", "etc"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    shutil.copytree(library, _inside(tree, library), ignore=shutil.ignore_patterns(*_LEFT_OUT))
    for path in {program, *_libraries([program, *extensions])}:
        _inside(tree, path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, _inside(tree, path))
    (tree / "bin" / "python3").symlink_to(program)


def _inside(tree: Path, path: Path) -> Path:
    return tree / path.relative_to("/")


def _libraries(files: list[Path]) -> Iterator[Path]:
    """Name the libraries that programs are loaded with, and what loads them."""
    said = subprocess.run(["ldd", *files], check=True, capture_output=True, text=True).stdout
    return map(Path, _LIBRARY.findall(said))
