"""Scores of texts from a server that speaks the OpenAI API."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from skllkd.teachers.labels import NO_ANSWER, Usage
from skllkd.teachers.metered.scores import Scores, concatenate_scores
from skllkd.teachers.openai_api.capabilities import Capabilities
from skllkd.teachers.openai_api.chat import ChatRequest, ChatResult
from skllkd.teachers.openai_api.client import BYTES_PER_TOKEN, Client, Response
from skllkd.teachers.plan import TokenCount

#: Texts in a row without an answer after which the server counts as gone.
_GONE_AFTER = 10
#: Tokens that chat formats add to a message, and to a conversation.
_MESSAGE_TOKENS, _CHAT_TOKENS = 4, 3


class ChatScorer:
    """Scores texts by the answers to one request each, from any number of threads."""

    def __init__(self, client: Client, request: ChatRequest) -> None:
        self._client, self._request = client, request
        self._n_failed = 0
        self._lock = threading.Lock()

    def __call__(self, texts: list[str]) -> Scores:
        """Score texts, one after the other."""
        return concatenate_scores([self._score(text) for text in texts])

    def _score(self, text: str) -> Scores:
        """Score a text; raise TeacherAccessError if the server refuses or is gone."""
        request = self._request
        choices, usage = list[dict[str, Any]](), Usage()
        while len(choices) < request.n_answers:
            n_left = request.n_answers - len(choices)
            response = self._client.complete(request, text, n_left)
            usage = usage.plus(response.usage)
            if response.problem or response.content is None:
                self._note_failure(response)
                reason = f"the server gave no answer: {response.problem}"
                failed = request.no_result(reason)
                return row_of(failed, usage, request.is_truncated(text), is_final=False)
            choices += response.content["choices"]
        with self._lock:
            self._n_failed = 0
        result = request.read(choices)
        result = result._replace(reason=self._client.server.mask(result.reason))
        return row_of(result, usage, request.is_truncated(text), is_final=True)

    def _note_failure(self, response: Response) -> None:
        """Count a failure, and stop the labelling where it means that no answer comes."""
        is_known = self._client.capabilities.is_settled
        with self._lock:
            self._n_failed += 1
            is_gone = self._n_failed >= _GONE_AFTER or not is_known
        if response.kind == "refused" or (response.kind == "passing" and is_gone):
            self._client.stop.set()  # requests under way are finished
            raise self._client.refusal(response)


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

    frame = _CHAT_TOKENS + sum(
        _MESSAGE_TOKENS + length(message["content"]) for message in request.before
    )
    server, n = Capabilities(takes_n=False), request.n_answers
    n_input = 0
    for text in texts:
        content = request.body(text, server)["messages"][-1]["content"]
        n_input += n * (frame + _MESSAGE_TOKENS + length(content))
    n_output = len(texts) * n * request.max_tokens(server)
    return TokenCount(n_input, n_output, "estimated")
