"""Parameters that a server takes and features it has, learned from its answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skllkd.teachers.openai_api.completion import Completion, Refusal

#: Names of the parameter that limits the length of an answer.
_LIMITS = re.compile(r"max_(completion_|output_|new_)?tokens")
#: Statuses with which servers refuse a parameter.
_PARAMETER_STATUSES = {0, 400, 403, 422, 500, 501}
#: The longest answer, of a model that thinks first, and the shortest that is tried.
REASONING_TOKENS, _FEW_TOKENS = 4096, 256
#: A length that is enough for servers that want a longer answer and do not say how long.
_ENOUGH = 32
_TOO_FEW = re.compile("minimum|at least|greater|too (small|low|short)|below|>")
_TOO_MANY = re.compile("context|exceed|too large|maximum|at most")
#: Other names of parameters, by which servers refuse them.
_SCHEMA = re.compile(
    "response_format|json_schema|structured output|grammar|guided", re.IGNORECASE
)
_SEVERAL = re.compile(
    r"['\"`]n['\"`]|\bn (must|should|is|>|=)|number of completions"
    "|(multiple|several) (candidates|completions|choices)",
    re.IGNORECASE,
)
_LOGPROBS = re.compile("logprobs|top_n_tokens", re.IGNORECASE)
_CUT_SHORT = re.compile("output limit|could not finish", re.IGNORECASE)


@dataclass(frozen=True)
class Capabilities:
    """Parameters and features of a server for a model.

    Everything is assumed at first. Parameters that the server does not take are given
    up one after the other; the client keeps a change if an answer came of it.
    """

    top_logprobs: int = 20
    limit_name: str = "max_tokens"
    least_tokens: int = 1
    #: For one text alone, with what its own length leaves.
    most_tokens: int = REASONING_TOKENS
    takes_temperature: bool = True
    takes_schema: bool = True
    takes_n: bool = True
    #: Whether the model thinks in tokens before it answers.
    reasons: bool = False

    def changes_after_refusal(
        self, refusal: Refusal, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Choose which of the parameters that the server names to give up; {} for none."""
        if refusal.status not in _PARAMETER_STATUSES:
            return {}
        said = " ".join((*sorted(refusal.codes), refusal.words))
        if _CUT_SHORT.search(said) and not self.reasons:
            return {"reasons": True}  # it was still thinking
        if "max_completion_tokens" in said and self.limit_name == "max_tokens":
            return {"limit_name": "max_completion_tokens"}
        if _LIMITS.search(said):
            changes = self._other_length(said, int(body[self.limit_name]))
            if changes:
                return changes
        return self._without(said, refusal.status, body)

    def _other_length(self, said: str, limit: int) -> dict[str, Any]:
        """Choose the length of an answer that a server asks for; {} for the same."""
        if self.reasons and limit > _FEW_TOKENS and _TOO_MANY.search(said):
            return {"most_tokens": limit // 2}
        named = [int(digits) for digits in re.findall(r"\b\d{1,4}\b", said)]
        longer = [n for n in named if limit < n <= REASONING_TOKENS]
        is_too_few = _TOO_FEW.search(said) and (longer or not _TOO_MANY.search(said))
        if is_too_few and limit < _ENOUGH:
            return {"least_tokens": min(longer, default=_ENOUGH)}
        return {}

    def _without(
        self, said: str, status: int, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Choose a parameter of the body to leave out, by its name."""
        if "temperature" in body and "temperature" in said:
            return {"takes_temperature": False}
        if "response_format" in body and _SCHEMA.search(said):
            return {"takes_schema": False}
        if "n" in body and _SEVERAL.search(said):
            return {"takes_n": False}
        if "top_logprobs" in body and _LOGPROBS.search(said) and status != 403:
            fewer = {20: 5, 5: 0}
            return {"top_logprobs": fewer[self.top_logprobs]}
        return {}

    def changes_after_answer(
        self, completion: Completion, n_asked: int
    ) -> dict[str, Any]:
        """Find features of the model and the server in a completion."""
        answer, changes = completion.answers[0], dict[str, Any]()
        if len(completion.answers) < n_asked and self.takes_n:
            changes["takes_n"] = False
        is_empty = not answer.text and not any(t.probabilities() for t in answer.tokens)
        if not self.reasons and (answer.thinks or (is_empty and answer.is_cut)):
            changes["reasons"] = True
        return changes

    def described(self) -> list[str]:
        """Describe the changes that matter to the user."""
        said = {
            "`temperature` is not taken: answers may differ from one run to the next": (
                not self.takes_temperature
            ),
            f"at most {self.top_logprobs} likely tokens are listed": (
                self.top_logprobs < Capabilities.top_logprobs
            ),
            f"an answer is given at least {self.least_tokens} tokens": (
                self.least_tokens > Capabilities.least_tokens
            ),
            "structured output is not taken: plain answers are read": (
                not self.takes_schema
            ),
            f"the model thinks first, in up to {REASONING_TOKENS} tokens a text": (
                self.reasons
            ),
        }
        return [words for words, is_so in said.items() if is_so]
