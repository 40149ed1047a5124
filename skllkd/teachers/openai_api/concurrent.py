"""Many questions under way at once, drawn no sooner than there is room for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import TypeVar

Outcome = TypeVar("Outcome")
#: How often, in seconds, a wait is interrupted for those systems that cannot.
_LOOK_UP_S = 0.5


def answered(
    texts: Iterator[str],
    ask: Callable[[str], Outcome],
    n_threads: int,
    stop: threading.Event,
) -> Iterator[list[tuple[int, Outcome]]]:
    """Yield the outcomes of asking about texts, as they come.

    The threads are daemons: `ThreadPoolExecutor` would hold up the end of an
    interrupted program until the slowest server has answered.

    Parameters
    ----------
    texts : iterator of str
        The texts. At most `n_threads` are drawn that have no outcome yet.
    ask : callable
        Returns the outcome for a text.
    n_threads : int
        How many texts are asked about at once.
    stop : Event
        No more texts are drawn once it is set; those under way are finished. It is set
        when this generator is left.

    Yields
    ------
    list of (int, outcome)
        The places of some texts, in the order drawn, and their outcomes.
    """
    tasks: SimpleQueue[tuple[int, str] | None] = SimpleQueue()
    results: SimpleQueue[tuple[int, Outcome | BaseException]] = SimpleQueue()

    def work() -> None:
        while (task := tasks.get()) is not None:
            place, text = task
            try:
                results.put((place, ask(text)))
            except BaseException as error:
                results.put((place, error))

    n_started = n_drawn = n_running = 0
    try:
        while True:
            while n_running < n_threads and not stop.is_set():
                text = next(texts, None)
                if text is None:
                    break
                if n_started <= n_running:
                    threading.Thread(target=work, daemon=True).start()
                    n_started += 1
                tasks.put((n_drawn, text))
                n_drawn += 1
                n_running += 1
            if not n_running:
                return
            done = _some(results)
            n_running -= len(done)
            for _, outcome in done:
                if isinstance(outcome, BaseException):
                    raise outcome
            yield [(p, out) for p, out in done if not isinstance(out, BaseException)]
    finally:
        stop.set()
        for _ in range(n_started):
            tasks.put(None)


def _some(results: SimpleQueue[Outcome]) -> list[Outcome]:
    """Return what is there, once there is something."""
    while True:
        try:
            done = [results.get(timeout=_LOOK_UP_S)]
            break
        except Empty:
            continue
    while not results.empty():
        done.append(results.get())
    return done
