# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.qos import analysis, image


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    analysis.generate(folder, 4000)
    return folder


def test_the_corpus_is_the_same_each_time(corpus: Path, tmp_path: Path) -> None:
    analysis.generate(tmp_path, 4000)
    for name in ("part-0", "part-1"):
        assert (tmp_path / name).read_bytes() == (corpus / name).read_bytes()
    assert (tmp_path / "part-0").read_bytes() != (tmp_path / "part-1").read_bytes()


def test_the_classifier_learns_from_its_corpus(corpus: Path) -> None:
    found = analysis.classify(corpus)
    assert found["documents"] == 800
    # One of eight topics would be right by chance.
    assert found["accuracy"] > 0.5
    assert found["accuracy"] == analysis.classify(corpus)["accuracy"]
    assert found["seconds"] > 0


def test_what_was_learned_follows_from_the_counts() -> None:
    nobody = {str(topic): {} for topic in range(analysis.TOPICS)}
    counted = [
        {"documents": {"0": 1}, "words": {**nobody, "0": {"a": 3}}},
        {"documents": {"0": 2, "1": 1}, "words": {**nobody, "1": {"b": 1}}},
    ]
    everywhere = {str(topic): 1 for topic in range(2, analysis.TOPICS)}
    counted[0]["documents"] |= everywhere
    model = analysis._model(counted)
    # Three of ten documents; three of three words, each counted once more, over three and two known ones.
    assert model["0"]["prior"] == pytest.approx(-1.204, abs=1e-3)
    assert model["0"]["words"] == {"a": pytest.approx(-0.223, abs=1e-3)}
    assert model["0"]["unseen"] == pytest.approx(-1.609, abs=1e-3)


def test_a_part_that_fails_fails_the_analysis(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "part-0").write_bytes((corpus / "part-0").read_bytes())
    (tmp_path / "part-1").write_text("0 a\n")
    (tmp_path / "counts-1").mkdir()
    with pytest.raises(ChildProcessError):
        analysis.classify(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the root")
def test_the_image_has_all_that_the_analysis_needs(tmp_path: Path) -> None:
    tar = image.build(tmp_path / "made", 1000)
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["tar", "-xf", tar, "-C", root], check=True)
    inside = ["/bin/python3", image.PROGRAM, "classify", image.CORPUS]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, sys; os.chroot(sys.argv[1]); os.chdir('/'); os.execv(sys.argv[2], sys.argv[2:])",
            root,
            *inside,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    begun, found = done.stdout.splitlines()
    assert begun == analysis.BEGUN
    assert json.loads(found)["documents"] == 200
