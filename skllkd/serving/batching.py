"""Batches of requests that arrive together, computed by one thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from skllkd._core.arrays import FloatArray


class QueueFullError(Exception):
    """More texts wait than the queue may hold."""


class _Request(NamedTuple):
    """Texts of a request, and who waits for the rows of their answer."""

    texts: list[str]
    answer: asyncio.Future[FloatArray]


class Batcher:
    """Queue of requests whose texts are computed in batches.

    On an idle server a request is computed at once. While a batch is computed, the
    requests that arrive wait, and together they are the next one: no timer delays
    anybody, and nobody waits for more than the batches before.

    Parameters
    ----------
    compute : callable
        Function from a list of texts to an array with a row for each, called in a thread
        of its own, one call at a time.
    max_batch : int
        Number of texts up to which requests are put together.
    max_waiting : int
        Number of texts that may wait, beyond which requests are refused.
    """

    def __init__(
        self,
        compute: Callable[[list[str]], FloatArray],
        max_batch: int,
        max_waiting: int,
    ) -> None:
        self.compute = compute
        self.max_batch, self.max_waiting = max_batch, max_waiting
        self.n_waiting = 0
        self._requests: deque[_Request] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._worker: asyncio.Task[None] | None = None

    async def answer(self, texts: list[str]) -> FloatArray:
        """Return the rows of texts, or raise QueueFullError if too many wait."""
        if self.n_waiting and self.n_waiting + len(texts) > self.max_waiting:
            raise QueueFullError
        request = _Request(texts, asyncio.get_running_loop().create_future())
        self._requests.append(request)
        self.n_waiting += len(texts)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await request.answer

    async def _work(self) -> None:
        """Compute batches until no request waits."""
        try:
            await asyncio.sleep(0)  # requests that are being read join the first batch
            while self._requests:
                await self._compute(self._next_batch())
        finally:
            self._worker = None

    def _next_batch(self) -> list[_Request]:
        """Take the requests that fit into a batch, one of any size at least."""
        batch, n_texts = [self._requests.popleft()], 0
        n_texts = len(batch[0].texts)
        while self._requests and (
            n_texts + len(self._requests[0].texts) <= self.max_batch
        ):
            batch.append(self._requests.popleft())
            n_texts += len(batch[-1].texts)
        return batch

    async def _compute(self, batch: list[_Request]) -> None:
        """Compute a batch and answer its requests; alone, where together they fail."""
        texts = [text for request in batch for text in request.texts]
        loop = asyncio.get_running_loop()
        try:
            rows: Any = await loop.run_in_executor(self._thread, self.compute, texts)
        except Exception as error:
            if len(batch) > 1:  # one of them may be to blame
                for request in batch:
                    await self._compute([request])
                return
            _fail(batch[0], error)
            rows = None
        self.n_waiting -= len(texts)
        start = 0
        for request in batch:
            end = start + len(request.texts)
            if rows is not None and not request.answer.done():
                request.answer.set_result(rows[start:end])
            start = end

    def close(self) -> None:
        """Let the thread end when it has computed all it was given."""
        self._thread.shutdown(wait=False)


def _fail(request: _Request, error: Exception) -> None:
    """Answer a request with an error, unless it is gone."""
    if not request.answer.done():
        request.answer.set_exception(error)
