"""Batches: who is computed together, who is refused, and that nobody is mixed up."""

import asyncio
import threading

import numpy as np
import pytest
from skllkd.serving.batching import Batcher, QueueFullError


class Gate:
    """A function that waits until it may answer, and remembers its batches."""

    def __init__(self):
        self.batches, self.open = [], threading.Event()
        self.open.set()

    def __call__(self, texts):
        self.batches.append(list(texts))
        assert self.open.wait(60)
        if "bad" in texts:
            raise ValueError("bad")
        return np.array([[float(text)] for text in texts])


async def until(condition):
    for _ in range(6_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")


def test_requests_that_arrive_together_are_one_batch():
    gate = Gate()

    async def run():
        batcher = Batcher(gate, max_batch=100, max_waiting=1000)
        one = await batcher.answer(["1"])
        many = await asyncio.gather(*(batcher.answer([str(i)] * 2) for i in range(20)))
        return batcher, one, many

    batcher, one, many = asyncio.run(run())
    assert one.tolist() == [[1.0]]
    assert [rows.ravel().tolist() for rows in many] == [[i, i] for i in range(20)]
    assert [len(batch) for batch in gate.batches] == [1, 40]
    assert batcher.n_waiting == 0


def test_those_who_come_during_a_batch_are_the_next_and_batches_are_bounded():
    gate = Gate()
    gate.open.clear()

    async def run():
        batcher = Batcher(gate, max_batch=4, max_waiting=100)
        first = asyncio.create_task(batcher.answer(["0"]))
        await until(lambda: gate.batches)
        others = [
            asyncio.create_task(batcher.answer([str(i)] * n))
            for i, n in enumerate([2, 2, 9, 1])
        ]
        await asyncio.sleep(0)
        gate.open.set()
        return await asyncio.gather(first, *others)

    rows = asyncio.run(run())
    assert [len(r) for r in rows] == [1, 2, 2, 9, 1]
    assert [len(batch) for batch in gate.batches] == [1, 4, 9, 1]


def test_a_full_queue_refuses_and_recovers():
    gate = Gate()
    gate.open.clear()

    async def run():
        batcher = Batcher(gate, max_batch=4, max_waiting=5)
        taken = [asyncio.create_task(batcher.answer(["1"] * n)) for n in (3, 2)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await batcher.answer(["1"])
        gate.open.set()
        await asyncio.gather(*taken)
        # One request of any size is taken in where nobody waits.
        return await batcher.answer(["1"] * 9)

    assert len(asyncio.run(run())) == 9


def test_a_request_that_fails_does_not_take_others_with_it():
    gate = Gate()

    async def run():
        batcher = Batcher(gate, max_batch=10, max_waiting=100)
        answers = [batcher.answer([text]) for text in ("1", "bad", "3")]
        found = await asyncio.gather(*answers, return_exceptions=True)
        return batcher, found

    batcher, (one, bad, three) = asyncio.run(run())
    assert (one[0], three[0]) == (1, 3)
    assert isinstance(bad, ValueError)
    assert batcher.n_waiting == 0


def test_a_request_that_was_cancelled_is_no_trouble():
    gate = Gate()
    gate.open.clear()

    async def run():
        batcher = Batcher(gate, max_batch=10, max_waiting=100)
        gone = asyncio.create_task(batcher.answer(["1"]))
        await until(lambda: gate.batches)
        gone.cancel()
        stays = asyncio.create_task(batcher.answer(["2"]))
        await asyncio.sleep(0)
        gate.open.set()
        return await stays, batcher.n_waiting

    rows, n_waiting = asyncio.run(run())
    assert rows.tolist() == [[2.0]]
    assert n_waiting == 0
