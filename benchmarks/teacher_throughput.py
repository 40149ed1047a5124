"""How fast the llama.cpp teacher labels, beside llama.cpp itself and a plain loop.

    python -m benchmarks.teacher_throughput

SmolLM2-135M-Instruct in Q4_1, five examples in the prompt, news stories cut to a number
of tokens. Everything takes turns, for several rounds, so that what else the machine does
slows all alike, and is set up anew in each, since where its memory lies makes a difference
of a fifth; speeds are each one's best round, and ratios are of these.

- alone: `llama_decode` of one sequence of 512 tokens, with the logits of the last, after
  clearing the cache; weights, attention and threads are the teacher's. "behind a prompt" is
  the same after a prefix of the prompt's length, to which every token attends.
- loop: `Llama.create_completion(max_tokens=1)` on the file as shipped, text after text. The
  object keeps what a prompt has in common with the one before; "no reuse" resets it.
- teacher: texts in, log-probabilities out, the prompt's beginning evaluated before, as
  the loop's is. Weights are those `weights="auto"` chose. "flash" is the teacher with
  `exact=False`.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import llama_cpp
import numpy as np
from skllkd._core.classes import as_classes
from skllkd.cli.demo import CLASSES, EXAMPLES, demo_teacher
from skllkd.datasets import load_bbc_news
from skllkd.teachers import LabelStore
from skllkd.teachers.llamacpp.model import loaded_model, new_context
from skllkd.teachers.llamacpp.weights import choose_weights, model_in

from benchmarks.cells import about, benchmark_parser, write_figures

N_TOKENS = 512
NAMES = {topic: topic for topic in CLASSES}
FOUR_NAMES = {topic: topic for topic in CLASSES[:4]}
LONG_NAMES = dict(  # of 3 or 4 tokens, no two of which begin alike
    zip(
        CLASSES[:4],
        [
            "companies and stock markets",
            "films and celebrities",
            "parliament and government",
            "football and tennis",
        ],
        strict=True,
    )
)


class Alone:
    """Plain batches of one sequence, in the teacher's own kind of context."""

    def __init__(self, model, n_threads, exact, n_before=0):
        self.lib, self.n_before = model.lib, n_before
        self.context = new_context(
            model,
            n_tokens=N_TOKENS + n_before,
            n_batch=N_TOKENS,
            n_sequences=1,
            n_threads=n_threads,
            exact=exact,
        )
        self.memory = self.lib.llama_get_memory(self.context)
        rng = np.random.default_rng(0)
        self.tokens = rng.integers(100, model.n_vocabulary, N_TOKENS).tolist()
        if n_before:
            self._decode(n_before)

    def _decode(self, n_tokens):
        tokens = (llama_cpp.llama_token * n_tokens)(*self.tokens[:n_tokens])
        batch = self.lib.llama_batch_get_one(tokens, n_tokens)
        assert self.lib.llama_decode(self.context, batch) == 0
        self.lib.llama_synchronize(self.context)

    def __call__(self):
        """Evaluate two batches; return their tokens."""
        for _ in range(2):
            self.lib.llama_memory_seq_rm(self.memory, 0, self.n_before, -1)
            self._decode(N_TOKENS)
        return 2 * N_TOKENS

    def close(self):
        """Free the context."""
        self.lib.llama_free(self.context)


class Teacher:
    """The teacher's scorer on texts, as `label` uses it."""

    def __init__(self, model, texts, n_threads, *, names=NAMES, exact=True, reuse=True):
        examples = [(text, names[topic]) for text, topic in EXAMPLES if topic in names]
        teacher = demo_teacher().set_params(
            examples=examples, n_threads=n_threads, reuse_prefix=reuse, exact=exact
        )
        self.frame = teacher._frame(model, as_classes(list(names.values())))
        self.scorer = teacher._scorer(model, self.frame)
        self.model, self.texts = model, texts
        next(self.scorer.score([model.tokenize(texts[0], special=False)]))

    def close(self):
        """Free what the scorer holds."""
        self.scorer.close()

    def tokens(self):
        """Return the tokens evaluated for the texts, the shared ones not counted."""
        bodies = (self.model.tokenize(text, special=False) for text in self.texts)
        return sum(map(self.scorer.n_tokens, bodies))

    def log_prob(self):
        """Return the texts' log-probabilities."""
        bodies = (self.model.tokenize(text, special=False) for text in self.texts)
        result = np.zeros((len(self.texts), len(self.frame.answers)))
        for places, log_prob in self.scorer.score(bodies):
            result[places] = log_prob
        return result

    def __call__(self):
        """Score all texts; return how many."""
        return len(self.log_prob())


class Loop:
    """`create_completion`, one text after the other."""

    def __init__(self, llm, frame, texts, reuse=True):
        self.llm, self.reuse = llm, reuse
        self.prompts = [frame.before + text + frame.after for text in texts]

    def close(self):
        """Leave the model, which the next round uses, as it is."""

    def __call__(self):
        """Ask about all texts; return how many."""
        for prompt in self.prompts:
            if not self.reuse:
                self.llm.reset()
            self.llm.create_completion(prompt, max_tokens=1, temperature=0.0)
        return len(self.prompts)


def texts_of(model, n_tokens, n_texts):
    """Return texts of a number of tokens: the beginnings of stories, joined if short."""
    found, stories = [], load_bbc_news()[0]
    n_joined = 1 + n_tokens // 12
    for start in range(0, len(stories), n_joined):
        words = " ".join(stories[start : start + n_joined]).split()
        for n_words in range(1, min(len(words), n_tokens) + 1):
            text = " ".join(words[:n_words])
            if len(model.tokenize(text, special=False)) >= n_tokens:
                break
        if len(model.tokenize(text, special=False)) == n_tokens:
            found.append(text)
        if len(found) == n_texts:
            return found
    raise ValueError(f"only {len(found)} stories have a beginning of {n_tokens} tokens")


def contestants(llm, texts, used, n_threads):
    """Return everything that is timed, by name."""
    timed = {}
    for how, exact in [("", True), (", flash", False)]:
        ours = {n: Teacher(used, texts[n], n_threads, exact=exact) for n in (11, 27)}
        n_before = len(ours[27].scorer._shared)
        timed[f"alone{how}"] = Alone(used, n_threads, exact)
        timed[f"alone behind a prompt{how}"] = Alone(used, n_threads, exact, n_before)
        timed |= {f"teacher, {n} tokens{how}": ours[n] for n in ours}
    for n in texts:
        for kind, names in [("single", FOUR_NAMES), ("multi", LONG_NAMES)]:
            timed[f"{kind}-token labels, {n} tokens"] = Teacher(
                used, texts[n], n_threads, names=names
            )
    frame = timed["teacher, 27 tokens"].frame
    for n in (11, 27):
        timed[f"loop, {n} tokens"] = Loop(llm, frame, texts[n][:20])
        timed[f"loop, no reuse, {n} tokens"] = Loop(llm, frame, texts[n][:4], False)
    return timed


def speeds(shipped, used, n_threads, n_rounds):
    """Return each contestant's speed in its best round, and the tokens of a text of 27."""
    texts = {
        n: texts_of(shipped, n, size) for n, size in [(11, 72), (27, 33), (100, 36)]
    }
    llm = llama_cpp.Llama(
        str(demo_teacher().model_path),
        n_ctx=512,
        n_threads=n_threads,
        n_threads_batch=n_threads,
        verbose=False,
    )
    best = {}
    for _ in range(n_rounds):
        timed = contestants(llm, texts, used, n_threads)
        for name, run in timed.items():
            start = time.perf_counter()
            done = run()
            speed = done / (time.perf_counter() - start)
            best[name] = max(best.get(name, 0.0), speed)
        ours = timed["teacher, 27 tokens"]
        n_tokens = ours.tokens() / len(ours.texts)
        for run in timed.values():
            run.close()
    return best, n_tokens


def ratios(best, n_tokens):
    """Return the ratios the bars are about: (value, bar, whether at least or at most)."""
    rows = {}
    for how in ("", ", flash"):
        unique = best[f"teacher, 27 tokens{how}"] * n_tokens
        for alone in (f"alone{how}", f"alone behind a prompt{how}"):
            rows[f"unique tokens / {alone}"] = (unique / best[alone], ">=", 0.95)
        for n in (11, 27):
            speed = best[f"teacher, {n} tokens{how}"]
            rows[f"texts of {n} tokens{how} / loop"] = (
                speed / best[f"loop, {n} tokens"],
                ">=",
                2.5,
            )
            rows[f"texts of {n} tokens{how} / loop without reuse"] = (
                speed / best[f"loop, no reuse, {n} tokens"],
                ">=",
                10,
            )
    for n in (11, 27, 100):
        single, multi = (
            best[f"{kind}-token labels, {n} tokens"] for kind in ("single", "multi")
        )
        rows[f"time of multi- / single-token labels, {n} tokens"] = (
            single / multi,
            "<=",
            1.15,
        )
    return rows


def agreement(model, texts, n_threads):
    """Return how far log-probabilities are from those of prompts read whole and alone."""
    found = {}
    for how, exact in [("", True), (", flash", False)]:
        if exact and not model.is_f32:
            continue  # has no effect there
        alone = Teacher(model, texts, n_threads, exact=exact, reuse=False).log_prob()
        together = Teacher(model, texts, n_threads, exact=exact).log_prob()
        off = np.abs(together - alone).max(axis=1)
        found[how] = {
            "rows": len(texts),
            "share within 1e-3": float(np.mean(off <= 1e-3)),
            "99 % within": float(np.quantile(off, 0.99)),
            "max": float(off.max()),
        }
    return found


def show(best, rows):
    """Print speeds, and ratios with their bars."""
    for name, speed in best.items():
        unit = "tokens/s" if name.startswith("alone") else "texts/s"
        print(f"{name:50} {speed:8.1f} {unit}")
    for name, (value, sign, bar) in rows.items():
        met = value >= bar if sign == ">=" else value <= bar
        verdict = "met" if met else "NOT met"
        print(f"{name:60} {value:6.2f}  bar {sign} {bar}: {verdict}", flush=True)


def main():
    """Run, print the figures, and write them as JSON."""
    parser = benchmark_parser(__doc__, "teacher_throughput")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    path = Path(demo_teacher().model_path)
    with (
        tempfile.TemporaryDirectory() as folder,
        LabelStore(Path(folder) / "labels.sqlite") as store,
    ):
        weights = choose_weights(path, "auto", store, options.threads)
        shipped, used = loaded_model(path), model_in(path, weights, store)
        best, n_tokens = speeds(shipped, used, options.threads, options.rounds)
        rows = ratios(best, n_tokens)
        show(best, rows)
        texts = texts_of(shipped, 11, 32) + texts_of(shipped, 27, 32)
        agree = {
            f"weights {kind}{how}": values
            for kind, model, some in [
                (weights.kind, used, texts),
                ("as shipped", shipped, texts[24:40]),
            ]
            for how, values in agreement(model, some, options.threads).items()
        }
    for name, values in agree.items():
        print(f"agreement, {name}: {values}")
    packages = ["llama-cpp-python", "numpy"]
    head = about("teacher_throughput", *packages, n_threads=options.threads)
    found = {
        "rounds": options.rounds,
        "weights": weights.kind,
        "best": best,
        "ratios": {name: value for name, (value, _, _) in rows.items()},
        "agreement": agree,
    }
    write_figures(options.output, head | found)


if __name__ == "__main__":
    main()
