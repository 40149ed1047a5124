"""Texts with none, one or several tags: joined texts, and descriptions of packages.

`joined_pool` joins texts that real language models labelled: tags of feelings, of the
opinion of a review, and of biased reporting, with the model's answers about each part.
`package_pool` reads the tags that people gave Debian's packages, as `apt-cache dumpavail`
tells them on a machine with Debian: a set with several tags by nature, without a language
model's labels.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.data import load_pool

#: The tag of each class, by set; a class that is not named has none.
TAGS_OF = {
    "isear_llm": {
        "anger": "anger",
        "disgust": "disgust",
        "fear": "fear",
        "guilt": "guilt",
        "joy": "joy",
        "sadness": "sadness",
        "shame": "shame",
    },
    "rtpolarity_llm": {
        "positive": "praise of a film",
        "negative": "film is criticized",
    },
    "babe_llm": {"biased": "biased reporting"},
}
#: Shares of texts of one part and of two, and of the sets the parts are from.
_TWO_PARTS, _SHARES = 0.5, (0.6, 0.2, 0.2)
_N_WORDS = 40  # of each part
#: Tags of packages: what a program works with, and what it is used for.
PACKAGE_TAGS = {
    "works-with::audio": "sound",
    "works-with::image": "images",
    "works-with::video": "video",
    "works-with::text": "text",
    "works-with::mail": "e-mail",
    "works-with::db": "databases",
    "works-with::software:source": "source code",
    "use::gameplaying": "games",
    "use::converting": "conversion of formats",
    "use::editing": "editing",
    "use::viewing": "viewing",
    "use::monitor": "monitoring",
}


class TagPool(NamedTuple):
    """Texts with the tags they have, and the probabilities that a teacher gives them."""

    texts: list[str]
    gold: np.ndarray  # of 0 and 1, columns as `tags`
    teacher_proba: np.ndarray | None
    tags: list[str]


def joined_pool(folder: Path, n: int, seed: int, *, half: int = 0) -> TagPool:
    """Join texts of the sets that language models labelled, one or two parts each.

    A tag is there if it is that of a part; its probability is that of at least one
    part having it. Texts are made of every second part: the other half of others.
    """
    rng = np.random.RandomState(seed)
    sets = {name: load_pool(folder / name, "train") for name in TAGS_OF}
    tags = [tag for named in TAGS_OF.values() for tag in named.values()]
    texts, gold, proba = [], np.zeros((n, len(tags)), int), np.zeros((n, len(tags)))
    for row in range(n):
        parts = []
        for _ in range(1 + (rng.rand() < _TWO_PARTS)):
            name = rng.choice(list(TAGS_OF), p=_SHARES)
            pool = sets[name]
            place = 2 * rng.randint(len(pool.texts) // 2) + half
            parts.append(" ".join(pool.texts[place].split()[:_N_WORDS]))
            for k, label in enumerate(pool.classes):
                if label not in TAGS_OF[name]:
                    continue
                column = tags.index(TAGS_OF[name][label])
                gold[row, column] |= pool.gold[place] == label
                missing = (1 - proba[row, column]) * (1 - pool.teacher_proba[place, k])
                proba[row, column] = 1 - missing
        texts.append(" ".join(parts))
    return TagPool(texts, gold, proba, tags)


def package_pool(n: int, seed: int, *, half: int = 0) -> TagPool:
    """Return descriptions of packages with the tags that people gave them.

    Packages of which somebody has said what they work with and what they are for.
    Those of one seed's halves are others.
    """
    asked = subprocess.run(
        ["apt-cache", "dumpavail"], capture_output=True, text=True, check=True
    )
    tags_of = {}
    for paragraph in asked.stdout.split("\n\n"):
        given = re.search(r"^Tag: (.*(?:\n .*)*)", paragraph, re.M)
        about = re.search(r"^Description: (.*)", paragraph, re.M)
        if given and about:
            named = {tag.strip() for tag in given[1].replace("\n", "").split(",")}
            kinds = {tag.split("::")[0] for tag in named}
            if {"works-with", "use"} <= kinds:
                tags_of.setdefault(about[1], named)
    every = sorted(tags_of)
    rows = np.random.RandomState(seed).permutation(len(every))[half::2][:n]
    texts = [every[row] for row in rows]
    gold = [[tag in tags_of[text] for tag in PACKAGE_TAGS] for text in texts]
    return TagPool(texts, np.array(gold, int), None, list(PACKAGE_TAGS.values()))
