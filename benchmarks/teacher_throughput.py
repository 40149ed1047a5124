"""Speed of the llama.cpp teacher, beside llama.cpp itself and a plain loop.

    python -m benchmarks.teacher_throughput

SmolLM2-135M-Instruct, five examples in the prompt, news stories cut to a number of tokens;
the file as shipped (Q4_1), and its weights expanded to 32 bits. Everything takes turns, for
several rounds, so that other work of the machine slows all alike, and is set up anew in
each, since the place of its memory makes a difference of a fifth; speeds are each one's
best round, and ratios are of these.

- alone: `llama_decode` of one sequence of 512 tokens, with the logits of the last, after
  clearing the cache; weights, attention and threads are the teacher's. "behind a prompt" is
  the same after a prefix of the prompt's length, to which every token attends.
- loop: `Llama.create_completion(max_tokens=1)` on the file as shipped, text after text. The
  object keeps the tokens that a prompt shares with the one before; "no reuse" resets it.
- teacher: texts in, log-probabilities out, the prompt's beginning evaluated before, as
  the loop's is.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import llama_cpp
import numpy as np
from skllkd._core.classes import as_classes
from skllkd.cli.demo import CLASSES, EXAMPLES, demo_teacher
from skllkd.datasets import load_bbc_news, smollm2_path
from skllkd.teachers import expand_gguf
from skllkd.teachers.llamacpp.context import new_context
from skllkd.teachers.llamacpp.model import loaded_model
from skllkd.teachers.prompting.tokens import PromptTokens

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

    def __init__(self, model, n_threads, n_before=0):
        self.lib, self.n_before = model.lib, n_before
        self.context = new_context(
            model,
            n_cells=N_TOKENS + n_before,
            n_batch=N_TOKENS,
            n_sequences=1,
            n_threads=n_threads,
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
    """The teacher's scorer on texts, as `label` uses it, or each text alone."""

    def __init__(self, model, texts, n_threads, *, names=NAMES, alone=False):
        examples = [(text, names[topic]) for text, topic in EXAMPLES if topic in names]
        teacher = demo_teacher("llama.cpp").set_params(
            examples=examples, n_threads=n_threads
        )
        classes = as_classes(list(names.values()))
        self.template = teacher._template(model, classes)
        self.prompt = teacher._prompt(model, classes)
        bodies = [model.tokenize(text, special=False) for text in texts]
        self.n_tokens = sum(len(body) + self.prompt.n_tail for body in bodies)
        prefix, suffix, trie = self.prompt
        if alone:
            self.chunks = [[[*prefix, *body]] for body in bodies]
            prompt, longest = PromptTokens((), suffix, trie), 1000
        else:
            size, bodies = teacher._chunk_size, sorted(bodies, key=len)
            self.chunks = [bodies[i : i + size] for i in range(0, len(bodies), size)]
            prompt, longest = self.prompt, teacher.max_text_tokens
        self.scorer = teacher._new_scorer(model, prompt, longest)
        self.scorer.score(self.chunks[0])  # opens the caches and reads the prefix

    def close(self):
        """Free the contexts."""
        self.scorer = None

    def log_prob(self):
        """Return the log-probabilities of the texts, the short ones first unless alone."""
        return np.concatenate([self.scorer.score(chunk) for chunk in self.chunks])

    def __call__(self):
        """Score all texts; return how many."""
        return len(self.log_prob())


class Loop:
    """`create_completion`, one text after the other."""

    def __init__(self, llm, template, texts, reuse=True):
        self.llm, self.reuse = llm, reuse
        self.prompts = [template.before + text + template.after for text in texts]

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


def contestants(llm, texts, models, n_threads):
    """Return everything that is timed, by name."""
    timed = {}
    for kind, model in models.items():
        ours = {n: Teacher(model, texts[n], n_threads) for n in (11, 27)}
        n_before = len(ours[27].prompt.prefix)
        timed[f"{kind}: alone"] = Alone(model, n_threads)
        timed[f"{kind}: alone behind a prompt"] = Alone(model, n_threads, n_before)
        timed |= {f"{kind}: teacher, {n} tokens": ours[n] for n in ours}
        for n in texts:
            for what, names in [("single", FOUR_NAMES), ("multi", LONG_NAMES)]:
                timed[f"{kind}: {what}-token labels, {n} tokens"] = Teacher(
                    model, texts[n], n_threads, names=names
                )
    template = ours[27].template
    for n in (11, 27):
        timed[f"loop, {n} tokens"] = Loop(llm, template, texts[n][:20])
        timed[f"loop, no reuse, {n} tokens"] = Loop(llm, template, texts[n][:4], False)
    return timed


def speeds(models, n_threads, n_rounds):
    """Return each contestant's speed in its best round, and the tokens of a text of 27."""
    sizes = [(11, 64), (27, 32), (100, 32)]
    texts = {n: texts_of(models["Q4_1"], n, size) for n, size in sizes}
    llm = llama_cpp.Llama(
        str(smollm2_path()),
        n_ctx=512,
        n_threads=n_threads,
        n_threads_batch=n_threads,
        verbose=False,
    )
    best = {}
    for _ in range(n_rounds):
        timed = contestants(llm, texts, models, n_threads)
        for name, run in timed.items():
            start = time.perf_counter()
            done = run()
            speed = done / (time.perf_counter() - start)
            best[name] = max(best.get(name, 0.0), speed)
        n_tokens = timed["Q4_1: teacher, 27 tokens"].n_tokens / len(texts[27])
        for run in timed.values():
            run.close()
    return best, n_tokens


def ratios(best, n_tokens, kinds):
    """Return the ratios the page on teachers shows."""
    rows = {}
    for kind in kinds:
        unique = best[f"{kind}: teacher, 27 tokens"] * n_tokens
        for alone in (f"{kind}: alone", f"{kind}: alone behind a prompt"):
            rows[f"unique tokens / {alone}"] = unique / best[alone]
        for n in (11, 27):
            speed = best[f"{kind}: teacher, {n} tokens"]
            for loop in ("loop", "loop, no reuse"):
                name = f"{kind}: texts of {n} tokens / {loop}"
                rows[name] = speed / best[f"{loop}, {n} tokens"]
        for n in (11, 27, 100):
            single, multi = (
                best[f"{kind}: {what}-token labels, {n} tokens"]
                for what in ("single", "multi")
            )
            rows[f"{kind}: time of multi- / single-token labels, {n}"] = single / multi
    return rows


def agreement(model, texts, n_threads):
    """Return how far log-probabilities are from those of prompts read whole and alone."""
    texts = sorted(texts, key=lambda text: len(model.tokenize(text, special=False)))
    alone = Teacher(model, texts, n_threads, alone=True).log_prob()
    together = Teacher(model, texts, n_threads).log_prob()
    off = np.abs(together - alone).max(axis=1)
    return {
        "rows": len(texts),
        "share within 1e-3": float(np.mean(off <= 1e-3)),
        "99 % within": float(np.quantile(off, 0.99)),
        "max": float(off.max()),
    }


def main():
    """Run, print the figures, and write them as JSON."""
    parser = benchmark_parser(__doc__, "teacher_throughput")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    packages = ("llama-cpp-python", "numpy")
    head = about("teacher_throughput", *packages, n_threads=options.threads)
    with tempfile.TemporaryDirectory() as folder:
        expanded = expand_gguf(smollm2_path(), Path(folder) / "f32.gguf")
        models = {"Q4_1": loaded_model(smollm2_path()), "F32": loaded_model(expanded)}
        best, n_tokens = speeds(models, options.threads, options.rounds)
        some = [text for n in (11, 27) for text in texts_of(models["Q4_1"], n, 32)]
        agree = {k: agreement(m, some, options.threads) for k, m in models.items()}
    rows = ratios(best, n_tokens, models)
    for name, value in {**best, **rows}.items():
        print(f"{name:60} {value:8.2f}")
    for name, values in agree.items():
        print(f"agreement, {name}: {values}")
    figures = {"rounds": options.rounds, "best": best, "ratios": rows}
    write_figures(options.output, head | figures | {"agreement": agree})


if __name__ == "__main__":
    main()
