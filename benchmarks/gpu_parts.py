"""What the parts of `benchmarks.gpu` share: sizes, texts, clocks and what is written."""

from __future__ import annotations

import functools
import gc
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from skllkd import LLKDClassifier
from skllkd.datasets import minilm_path
from skllkd.students import TransformerStudent

N_CLASSES = 4
CLASSES = [f"topic {k}" for k in range(N_CLASSES)]
#: The same work on a card and, to see that it runs, on a CPU.
SIZES = {"right": 512, "train": 4096, "predict": 8192, "stream": 200_000, "teach": 2048}
TINY = {"right": 24, "train": 32, "predict": 24, "stream": 48, "teach": 4}


class Setting(NamedTuple):
    """What every part is told."""

    device: str
    is_dry: bool
    data: Path | None
    model: Path | None  # of the teacher; None for SmolLM2
    results: Path  # JSON lines, one a figure

    def size(self, name: str) -> int:
        """Return how many texts a part takes."""
        return (TINY if self.is_dry else SIZES)[name]

    def some(self, many: list[Any]) -> list[Any]:
        """Return what is tried: in a dry run the last only."""
        return many[-1:] if self.is_dry else many

    @property
    def n_rounds(self) -> int:
        """Rounds of which the fastest counts."""
        return 1 if self.is_dry else 2

    def record(self, name: str, **figures: Any) -> None:
        """Print a figure and write it down, at once."""
        with self.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, **figures}) + "\n")
        shown = "  ".join(f"{key} {_short(value)}" for key, value in figures.items())
        print(f"  {name:52} {shown}", flush=True)


def _short(value: Any) -> str:
    """Return a figure in few characters."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class Texts(NamedTuple):
    """Generated texts, with what a teacher may say of them."""

    texts: list[str]
    teacher_proba: np.ndarray


@functools.cache
def vocabulary() -> np.ndarray:
    """Return whole words that MiniLM knows, the frequent ones first."""
    lines = (minilm_path() / "vocab.txt").read_text(encoding="utf-8").splitlines()
    words = [word for word in lines if word.isascii() and word.isalpha()]
    return np.array(words, dtype=object)


def made_texts(n: int, seed: int = 0, mean_words: float = 20) -> Texts:
    """Return short texts: one word in three is of the text's topic."""
    rng = np.random.RandomState(seed)
    words = vocabulary()
    n_words = np.clip(rng.normal(mean_words, mean_words / 2, n), 3, 200).astype(int)
    topic = np.arange(n) % N_CLASSES  # a few texts are of all topics
    place = (len(words) * rng.uniform(size=n_words.sum()) ** 3).astype(int)
    ends = np.cumsum(n_words)
    is_of_topic = rng.uniform(size=len(place)) < 1 / 3
    of_topic = place // N_CLASSES * N_CLASSES + np.repeat(topic, n_words)
    place = np.where(is_of_topic, of_topic, place) % len(words)
    texts = [" ".join(words[some]) for some in np.split(place, ends[:-1])]
    sure = rng.uniform(0.5, 1, n)[:, None]
    others = (1 - sure) / (N_CLASSES - 1)
    return Texts(texts, np.where(np.eye(N_CLASSES, dtype=bool)[topic], sure, others))


def classifier(setting: Setting, student: dict[str, Any] | None = None, **parameters):
    """Return an unfitted classifier, one epoch and the seed 0 where not said."""
    usual = {"refine": None, "n_epochs": 1, "random_state": 0, "verbose": 0}
    own = TransformerStudent(minilm_path(), device=setting.device, **(student or {}))
    return LLKDClassifier(classes=CLASSES, student=own, **usual | parameters)


def synchronize() -> None:
    """Wait for the card, where one is used."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def seconds_of(run: Callable[[], Any]) -> float:
    """Return how long something takes, the card's work included."""
    synchronize()
    begin = time.perf_counter()
    run()
    synchronize()
    return time.perf_counter() - begin


class Clocks:
    """Seconds by name, added up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def run(self, name: str) -> Iterator[None]:
        """Let a clock run."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - begin

    def on(self, estimator: Any, names: dict[str, str]) -> Any:
        """Return an estimator whose methods let clocks run; clones of it do so too."""
        base = type(estimator)

        def clocked(method: str, name: str) -> Callable[..., Any]:
            def timed(own: Any, *arguments: Any, **named: Any) -> Any:
                with self.run(name):
                    return getattr(base, method)(own, *arguments, **named)

            return timed

        methods = {method: clocked(method, name) for method, name in names.items()}
        kind = type(base.__name__, (base,), methods | {"__init__": base.__init__})
        return kind(**estimator.get_params(deep=False))


class Fit(NamedTuple):
    """What a fit took, in seconds."""

    whole: float  # all of `fit`, the model's loading included
    loop: float  # from the first step to the last
    parts: dict[str, float]
    share: float  # of the texts presented that was trained on
    last_epoch: float


def first_fit(setting: Setting, some: Texts, student=None, **parameters) -> None:
    """Fit once before the clock runs: what is set up once is then set up."""
    if not setting.is_dry:
        timed_fit(setting, some, student, **parameters)


def timed_fit(setting: Setting, some: Texts, student=None, **parameters) -> Fit:
    """Fit a classifier for an epoch, and return what took how long."""
    clocks, ends = Clocks(), []
    unfitted = classifier(setting, student, **parameters)
    chosen = unfitted.selection or _default_selection()
    unfitted.set_params(
        student=clocks.on(
            unfitted.student,
            {
                "begin_fit": "beginning",
                "predict_rows": "scoring",
                "train_step": "training",
            },
        ),
        selection=clocks.on(
            chosen,
            {"select": "selecting", "candidates": "selecting", "begin": "selecting"},
        ),
        callbacks=[
            lambda _: ends.append(dict(clocks.seconds, now=time.perf_counter()))
        ],
    )
    begin = time.perf_counter()
    unfitted.fit(some.texts, teacher_proba=some.teacher_proba)
    whole = time.perf_counter() - begin
    parts = ends[-1]
    end, start = parts.pop("now"), parts.pop("beginning")
    history = unfitted.history_
    share = float(history["n_selected"].sum() / history["n_presented"].sum())
    loop = end - begin - start
    last = end - ends[-2]["now"] if len(ends) > 1 else loop
    return Fit(whole, loop, parts, share, last)


def _default_selection() -> Any:
    """Return what `LLKDClassifier` selects with where nothing is said."""
    from skllkd.selection import RankedImportance

    return RankedImportance()


def busy_seconds(run: Callable[[], Any]) -> float | None:
    """Return how long the card computes while something runs; None without a card."""
    if not torch.cuda.is_available():
        return None
    from torch.profiler import ProfilerActivity, profile

    synchronize()
    try:
        with profile(activities=[ProfilerActivity.CUDA]) as found:
            run()
            synchronize()
    except RuntimeError as error:  # not every machine lets itself be profiled
        print(f"  no profile: {error}", flush=True)
        return None
    return sum(event.self_device_time_total for event in found.key_averages()) / 1e6


def held_bytes() -> tuple[int, int]:
    """Return what tensors hold of the card's memory, and what torch keeps of it."""
    gc.collect()
    if not torch.cuda.is_available():
        return 0, 0
    return torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
