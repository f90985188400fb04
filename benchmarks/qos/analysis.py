# SPDX-License-Identifier: Apache-2.0
"""A text classifier that is trained and tried: what the container of the experiment does, with Python's own library alone.

``analysis.py generate FOLDER DOCUMENTS`` writes a corpus, the same one each time. ``analysis.py classify FOLDER`` trains
multinomial naive Bayes on four fifths of it and classifies the rest, with a process for each of two parts of the corpus, as
the data analytics of CloudSuite does with Mahout's on Wikipedia. What the parts found goes through files, and all that is
read comes from the disk.
"""

from __future__ import annotations

import json
import math
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, TextIO

SEED = 20260301
TOPICS = 8
BEGUN = "begun"
PARTS = 2
_VOCABULARY = 20_000
#: Of a document's words so few are drawn as its topic has them, so that some documents are told wrong.
_WORDS, _OWN = 100, 4
#: One document in so many is kept for the trial.
_TRIAL = 5


def generate(folder: Path, documents: int) -> None:
    """Write the corpus: a document a line, its topic before its words; these are drawn by Zipf's law.

    :param documents: in all parts together.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = random.Random(SEED)
    weights = list(accumulate(1 / rank for rank in range(1, _VOCABULARY + 1)))
    common = [f"w{number}" for number in range(_VOCABULARY)]
    topics = [drawn.sample(common, _VOCABULARY) for _ in range(TOPICS)]
    for part in range(PARTS):
        with (folder / f"part-{part}").open("w") as file:
            for _ in range(documents // PARTS):
                topic = drawn.randrange(TOPICS)
                own = drawn.choices(topics[topic], cum_weights=weights, k=_OWN)
                rest = drawn.choices(common, cum_weights=weights, k=_WORDS - _OWN)
                file.write(f"{topic} {' '.join(own + rest)}\n")
            _keep(file)


def classify(folder: Path) -> dict[str, Any]:
    """Train and try on the corpus of a folder; it says when it begins.

    :returns: how many documents were tried, the part of them whose topic was told right, and the seconds that it took.
    """
    print(BEGUN, flush=True)
    begun_s = time.monotonic()
    _for_each_part(lambda part: _write(folder / f"counts-{part}", _counted(folder, part)))
    model = _model([json.loads((folder / f"counts-{part}").read_text()) for part in range(PARTS)])
    _write(folder / "model", model)
    _for_each_part(lambda part: _write(folder / f"tried-{part}", _tried(folder, part)))
    tried = [json.loads((folder / f"tried-{part}").read_text()) for part in range(PARTS)]
    documents = sum(each["documents"] for each in tried)
    return {
        "documents": documents,
        "accuracy": sum(each["right"] for each in tried) / documents,
        "seconds": time.monotonic() - begun_s,
    }


def _counted(folder: Path, part: int) -> dict[str, Any]:
    """Count documents and words by topic."""
    documents = Counter[str]()
    words = {str(topic): Counter[str]() for topic in range(TOPICS)}
    for number, (topic, text) in enumerate(_documents(folder, part)):
        if number % _TRIAL:
            documents[topic] += 1
            words[topic].update(text)
    return {"documents": documents, "words": words}


def _model(counted: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the logarithms of the chance of each topic and of each word in it, every word counted once more (Laplace)."""
    known = {word for each in counted for words in each["words"].values() for word in words}
    whole = sum(sum(each["documents"].values()) for each in counted)
    model = {}
    for topic in map(str, range(TOPICS)):
        count = Counter[str]()
        for each in counted:
            count.update(each["words"][topic])
        total = count.total() + len(known)
        model[topic] = {
            "prior": math.log(sum(each["documents"].get(topic, 0) for each in counted) / whole),
            "unseen": math.log(1 / total),
            "words": {word: math.log((amount + 1) / total) for word, amount in count.items()},
        }
    return model


def _tried(folder: Path, part: int) -> dict[str, int]:
    """Classify the documents that were kept for it."""
    _forget(folder / "model")
    model = json.loads((folder / "model").read_text())
    topics = [(name, of["prior"], of["unseen"], of["words"].get) for name, of in model.items()]
    documents = right = 0
    for number, (topic, text) in enumerate(_documents(folder, part)):
        if number % _TRIAL == 0:
            chances = (
                (prior + sum(chance(word, unseen) for word in text), name)
                for name, prior, unseen, chance in topics
            )
            documents += 1
            right += max(chances)[1] == topic
    return {"documents": documents, "right": right}


def _documents(folder: Path, part: int) -> Iterator[tuple[str, list[str]]]:
    path = folder / f"part-{part}"
    _forget(path)
    with path.open() as file:
        for line in file:
            topic, *words = line.split()
            yield topic, words


def _for_each_part(work: Callable[[int], None]) -> None:
    """Do it for all parts at the same time, each in a process of its own.

    :raises ChildProcessError: when one fails.
    """
    children = []
    for part in range(PARTS):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work(part)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    codes = [os.waitpid(child, 0)[1] for child in children]
    if any(codes):
        raise ChildProcessError("a part of the analysis failed")


def _write(path: Path, value: object) -> None:
    with path.open("w") as file:
        json.dump(value, file)
        _keep(file)


def _keep(file: TextIO) -> None:
    """Have it on the disk, and not only in memory."""
    file.flush()
    os.fsync(file.fileno())


def _forget(path: Path) -> None:
    """Have the kernel read it from the disk the next time."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main(arguments: list[str]) -> None:
    """Run what the command line names."""
    match arguments:
        case ["generate", folder, documents]:
            generate(Path(folder), int(documents))
        case ["classify", folder]:
            print(json.dumps(classify(Path(folder))))
        case _:
            sys.exit("Give 'generate FOLDER DOCUMENTS' or 'classify FOLDER'.")


if __name__ == "__main__":
    main(sys.argv[1:])
