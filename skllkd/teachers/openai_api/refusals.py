"""Sorting of a server's refusals: for the time being, of one text, or of everything."""

from __future__ import annotations

import re

from skllkd.teachers.openai_api.completion import Refusal

#: Words about a text that is too long, in which several servers say so.
_TOO_LONG = re.compile(
    r"context.?(length|window|size|limit)|reduce the length|string_above_max_length"
    r"|max(imum)?[ _](prompt|model|sequence|seq|input|context)[ _]len"
    r"|(prompt|input|text|message|request)s?\b.{0,60}\b(too|longer|larger|greater) "
    r"|too (long|large|many tokens)|tokens?\b.{0,60}(exceed|must be (<|less)|>)"
    r"|exceed.{0,60}\b(tokens|length)|must have less than \d+ tokens"
    r"|token (count|limit|number)|(input|length) (length|limit)|over the limit"
    r"|tokens?\b.{0,40}should be (<|less)",
    re.IGNORECASE | re.DOTALL,
)
#: Words about a text that a filter holds back.
_FILTERED = re.compile(
    r"content.?(filter|policy|management|moderat|exists risk|violat)|usage (policy|guid)"
    r"|moderation|flagged|safety|prohibited|inappropriate|high risk|responsible.?ai"
    r"|data_inspection|invalid_prompt|sensitive|jailbreak|敏感|不安全|违规",
    re.IGNORECASE,
)
#: Statuses with which servers refuse one text; 0 for an error in a good answer.
_OF_A_TEXT = {0, 400, 403, 413, 422, 500}
#: Refusals that no other text would meet better: of the key, the account, the address.
_OF_ALL = {401, 402, 404, 405, 407}
_NOT_IMPLEMENTED = 501
_RETRIED = {0, 408, 409, 424, 425, 429, 498, 499}
#: Beginnings of refusals of the key or the account, with statuses that say less.
_OF_THE_ACCOUNT = re.compile(
    r"api.?key (not|expired|invalid)|(incorrect|invalid|no|missing) api.?key"
    r"|key limit exceeded|your credit balance|insufficient (balance|credit|fund)"
    r"|user location is not supported",
    re.IGNORECASE,
)
#: Codes of a 429 that no waiting helps against.
_OUT_OF_MONEY = {"insufficient_quota", "billing_hard_limit_reached"}
_TOO_MUCH = re.compile(
    r"rate.?limit|quota|overloaded|per (minute|min|day)", re.IGNORECASE
)


def kind_of(refusal: Refusal) -> str:
    """Sort a refusal.

    "passing" is worth another attempt; "text" is about this text, by what the server
    says; "odd" may be, and several texts in a row tell; "refused" is about all.
    """
    status, said = refusal.status, " ".join((refusal.words, *sorted(refusal.codes)))
    if status in _OF_ALL or (status == 429 and refusal.codes & _OUT_OF_MONEY):
        return "refused"
    if status in (400, 403) and _OF_THE_ACCOUNT.match(refusal.words.strip()):
        return "refused"
    if status == 429 and "request too large" in said.casefold():
        return "text"
    if status in _OF_A_TEXT and not (status == 0 and _TOO_MUCH.search(said)):
        if _TOO_LONG.search(said) or _FILTERED.search(said):
            return "text"
        if status == 500 and "validation error" in said:
            return "odd"  # llama-cpp-python's server says 500 of a bad request
    is_passing = status in _RETRIED or (status >= 500 and status != _NOT_IMPLEMENTED)
    return "passing" if is_passing else "odd"
