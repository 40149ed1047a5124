"""Scores of texts from a server that speaks the OpenAI API."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np

from skllkd.exceptions import SkllkdError, TeacherOutputError
from skllkd.teachers.labels import DECLINED, FILTERED, NO_ANSWER, Usage
from skllkd.teachers.metered.scores import Scores, concatenate_scores
from skllkd.teachers.openai_api.capabilities import Capabilities
from skllkd.teachers.openai_api.chat import ChatRequest
from skllkd.teachers.openai_api.client import BYTES_PER_TOKEN, Client, Response
from skllkd.teachers.openai_api.completion import Answer
from skllkd.teachers.openai_api.reading import ChatResult
from skllkd.teachers.plan import TokenCount

#: Texts in a row without an answer after which a server counts as gone; before any
#: answer has come, and of refusals that are about all texts.
_GONE_AFTER, _NEVER_THERE_AFTER = 10, 3
#: The same for refusals that the server says are about the text.
_REFUSED_AFTER = 50
#: Answers after which a model that has named no class is asked no further. One that names
#: a class in a fifth of its answers is given up by chance once in a hundred times.
_UNUSABLE_AFTER = 21
#: Answers that are a text's own fault.
_WITHHELD = {DECLINED, FILTERED}
#: Tokens that chat formats add to a message, and to a conversation.
_MESSAGE_TOKENS, _CHAT_TOKENS = 4, 3


class ChatScorer:
    """Scores texts by the answers to one request each, from any number of threads."""

    def __init__(self, client: Client, request: ChatRequest) -> None:
        self._client, self._request = client, request
        self._n_failed, self._n_answered = Counter[str](), 0
        self._unusable: list[str] | None = []  # None from the first usable answer on
        self._failure: SkllkdError | None = None
        self._lock = threading.Lock()

    def __call__(self, texts: list[str]) -> Scores:
        """Score texts, one after the other, unless the labelling is over."""
        self.check()
        return concatenate_scores([self._score(text) for text in texts])

    def check(self) -> None:
        """Raise if the server is gone, refuses, or names no class at all."""
        if self._failure is not None:
            raise self._failure

    def _fail(self, failure: SkllkdError) -> None:
        """End the labelling after the texts under way, so that they are counted."""
        self._failure = self._failure or failure
        self._client.stop.set()

    def _score(self, text: str) -> Scores:
        """Score a text."""
        request = self._request
        answers, usage = list[Answer](), Usage()
        while len(answers) < request.n_answers:
            n_left = request.n_answers - len(answers)
            response = self._client.complete(request, text, n_left, usage)
            usage = usage.plus(response.usage)
            if response.problem:
                self._note_failure(response)
                reason = f"the server gave no answer: {response.problem}"
                failed = request.reader.no_result(reason)
                return row_of(failed, usage, request.is_truncated(text), is_final=False)
            answers += response.content.answers
        result = request.reader.read(answers)
        result = result._replace(reason=self._client.server.mask(result.reason))
        self._note_answer(result)
        return row_of(result, usage, request.is_truncated(text), is_final=True)

    def _note_failure(self, response: Response) -> None:
        """Count a failure, and stop the labelling where it means that no answer comes."""
        kind = response.kind if response.kind == "text" else "other"
        with self._lock:
            self._n_failed[kind] += 1
            n_failed, has_answered = self._n_failed[kind], self._n_answered > 0
        limit = _GONE_AFTER if has_answered else _NEVER_THERE_AFTER
        if response.kind in ("unreachable", "refused") and not has_answered:
            limit = 1
        elif response.kind == "refused":
            limit = _NEVER_THERE_AFTER
        if kind == "text":
            limit = _REFUSED_AFTER
        is_over = n_failed >= limit and response.kind != "stopped"
        if response.kind == "no logprobs" or is_over:
            self._fail(self._client.refusal(response))

    def _note_answer(self, result: ChatResult) -> None:
        """Note an answer, and stop the labelling where the first ones name no class."""
        with self._lock:
            self._n_failed.clear()
            self._n_answered += 1
            if self._unusable is None or not result.reason:
                self._unusable = None
                return
            self._unusable.append(result.reason)
            n_named = sum(why not in _WITHHELD for why in self._unusable)
            if n_named >= _UNUSABLE_AFTER or len(self._unusable) >= _REFUSED_AFTER:
                self._fail(unusable_answers(self._unusable, self._request))


def unusable_answers(reasons: list[str], request: ChatRequest) -> TeacherOutputError:
    """Build the error about answers none of which names a class."""
    (often, n), *_ = Counter(reasons).most_common(1)
    others = {
        "logprobs": 'method="label", which reads what the model writes',
        "votes": 'method="label"',
        "questions": 'method="label", which asks about all classes at once',
        "label": 'method="logprobs", which needs no model that follows an instruction',
    }
    return TeacherOutputError(
        f"none of the first {len(reasons)} answers of model={request.model!r} names a "
        f"class, so that no more are paid for. {n} of them: {often}. Give `examples`, "
        f"another `instruction` or {others[request.method]}, or another model. Try it on "
        "one text first."
    )


def row_of(
    result: ChatResult, usage: Usage, is_truncated: bool, *, is_final: bool
) -> Scores:
    """Lay a result out as a row of scores, final only if the model gave no answer."""
    known = not np.isnan(result.log_prob).any()
    return Scores(
        result.log_prob[None],
        label_mass=np.array([result.label_mass]),
        error=np.array(["" if known else result.reason or NO_ANSWER], dtype=object),
        n_tokens=np.array([[usage.input_tokens, usage.output_tokens]]),
        is_final=np.array([is_final and not known]),
        is_truncated=np.array([is_truncated]),
        n_calls=np.array([usage.n_calls]),
    )


def estimate_tokens(texts: list[str], request: ChatRequest) -> TokenCount:
    """Estimate the tokens of the requests about texts from their bytes."""

    def length(text: str) -> int:
        return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)

    server, n_input = Capabilities(), 0
    for part in request.parts:
        frame = _CHAT_TOKENS + sum(
            _MESSAGE_TOKENS + length(message["content"]) for message in part.before
        )
        for text in texts:
            content = part.body(text, server)["messages"][-1]["content"]
            n_input += part.n_answers * (frame + _MESSAGE_TOKENS + length(content))
    n_output = len(texts) * request.n_answers * request.max_tokens(server)
    return TokenCount(n_input, n_output, "estimated")
