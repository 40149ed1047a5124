"""Parameters that a server takes and features it has, learned from its answers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from skllkd.teachers.labels import Usage

#: Answers without log-probabilities after which a server counts as giving none.
_LEFT_OUT = 3


@dataclass
class Capabilities:
    """Parameters and features of a server for a model, learned by one client.

    Everything is assumed at first. What a server names as not taken is given up, so
    threads may learn the same thing twice, but never unlearn it.
    """

    top_logprobs: int = 20
    limit_name: str = "max_tokens"
    takes_temperature: bool = True
    takes_schema: bool = True
    takes_n: bool = True
    #: Whether the model thinks in tokens before it answers.
    reasons: bool = False
    gives_logprobs: bool = False
    n_without_logprobs: int = 0
    #: Whether an answer has come, so that the parameters are known to be right.
    is_settled: bool = False

    @property
    def lacks_logprobs(self) -> bool:
        """Whether the server counts as giving no log-probabilities."""
        return not self.gives_logprobs and self.n_without_logprobs >= _LEFT_OUT

    def learn_from_refusal(self, status: int, said: str) -> None:
        """Give up the parameter that a server names as not taken."""
        if status not in (400, 403, 422, 500):
            return
        if "max_completion_tokens" in said and self.limit_name == "max_tokens":
            self.limit_name = "max_completion_tokens"
        elif "output limit" in said or "Could not finish" in said:
            self.reasons = True  # it was still thinking
        elif "temperature" in said:
            self.takes_temperature = False
        elif "logprobs" in said and status != 403:
            self.top_logprobs = 5
        elif "response_format" in said or "json_schema" in said:
            self.takes_schema = False
        elif re.search(r"['\"`]n['\"`]", said):
            self.takes_n = False

    def learn_from_answer(self, completion: dict[str, Any], n_asked: int) -> None:
        """Learn the features of the model and the server from a completion."""
        self.is_settled = True
        choices = completion["choices"]
        if len(choices) < n_asked:
            self.takes_n = False
        message = choices[0]["message"]
        content = str(message.get("content") or "")
        details = (completion.get("usage") or {}).get("completion_tokens_details") or {}
        cut_short = not content and choices[0].get("finish_reason") == "length"
        self.reasons = self.reasons or bool(
            details.get("reasoning_tokens")
            or message.get("reasoning_content")
            or message.get("reasoning")
            or content.lstrip().startswith("<think>")
            or (cut_short and not listed_tokens(choices[0]))
        )


def form_fault(completion: Any) -> str:
    """Describe the fault in the form of a completion, "" for none."""
    choices = completion.get("choices") if isinstance(completion, dict) else None
    if not isinstance(choices, list) or not choices:
        return "the body is no chat completion"
    for choice in choices:
        message = choice.get("message") if isinstance(choice, dict) else None
        content = message.get("content") if isinstance(message, dict) else 0
        if not isinstance(content, (str, type(None))):
            return "the body is no chat completion"
    return ""


def usage_of(completion: Any) -> Usage:
    """Read the tokens of a completion, as far as the server says; no call is counted."""
    used = completion.get("usage") if isinstance(completion, dict) else None
    if not isinstance(used, dict):
        return Usage()
    counts = (used.get("prompt_tokens"), used.get("completion_tokens"))
    return Usage(0, *(n if isinstance(n, int) and n > 0 else 0 for n in counts))


def listed_tokens(choice: dict[str, Any]) -> list[tuple[str, float]]:
    """Read the likeliest first tokens of an answer with their probabilities."""
    try:
        top = choice["logprobs"]["content"][0]["top_logprobs"]
        listed = [(str(entry["token"]), math.exp(entry["logprob"])) for entry in top]
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return []
    return [(token, p) for token, p in listed if 0 <= p <= 1 + 1e-6]
