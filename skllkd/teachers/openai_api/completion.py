"""Completions in one form, in whichever form a server gives them.

Nothing here raises: a part that cannot be read is left out, and the rest is read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any, NamedTuple

#: Types of the parts of a content that are thoughts, not the answer.
_THOUGHTS = {"thinking", "reasoning", "redacted_thinking", "thought"}
#: Log-probabilities between these are some: rounding makes 0 a little more, and some
#: servers write -9999 for "not known".
_LEAST_LOG_PROB, _LARGEST_LOG_PROB = -1000.0, 0.1
#: Letters of `finish_reason` where a filter held an answer back, where the model
#: declined, and where the server broke off.
_FILTERED = (
    *("contentfilter", "safety", "prohibited", "recitation", "blocklist", "spii"),
    *("sensitive", "guardrail", "moderation"),
)
_DECLINED = "refusal"
_BROKEN_OFF = ("error", "abort", "cancel", "insufficient", "timeout", "malformed")
#: Marks between the thoughts and the answer of models whose server leaves them in.
_THOUGHTS_BEGIN = re.compile(
    r"\s*(<(think|thought|thinking|reasoning|seed:think)>|\[THINK\]|<\|channel\|>analysis)"
)
_THOUGHTS_END = re.compile(
    r".*(</(think|thought|thinking|reasoning|seed:think)>|\[/THINK\]"
    r"|<\|channel\|>final<\|message\|>)",
    re.DOTALL,
)


class Token(NamedTuple):
    """A token that was written, with the log-probabilities listed at its place."""

    text: str = ""
    log_prob: float = math.nan
    likeliest: Mapping[str, float] = {}

    def probabilities(self) -> dict[str, float]:
        """Return the probabilities of the tokens listed, {} where no number is known.

        Log-probabilities a little above 0 are shifted. A token that was written, and whose
        own number is odd, has what the others leave, and no less than any of them.
        """
        listed = {t: p for t, p in self.likeliest.items() if p <= _LARGEST_LOG_PROB}
        if self.text and _is_known(self.log_prob):
            listed[self.text] = self.log_prob
        elif not _is_known(listed.get(self.text, math.nan)):
            listed.pop(self.text, None)
        if not listed:
            return {}
        highest = max(0.0, *listed.values())
        share = {text: math.exp(value - highest) for text, value in listed.items()}
        if self.text and self.text not in share:
            left = 1 - sum(share.values())
            share[self.text] = max(left, 1.001 * max(share.values()))
        total = max(1.0, sum(share.values()))
        return {text: part / total for text, part in share.items()}


class Answer(NamedTuple):
    """One of the answers in a completion."""

    text: str = ""
    tokens: tuple[Token, ...] = ()
    is_declined: bool = False
    is_filtered: bool = False
    is_cut: bool = False
    thinks: bool = False
    #: The reason why the server broke off without an answer, "" if it did not.
    broken_off: str = ""
    #: Length of all that was written, thoughts included, in bytes.
    n_bytes: int = 0


class Completion(NamedTuple):
    """Answers of a model, and the tokens they took where the server says so."""

    answers: tuple[Answer, ...] = ()
    n_input: int = 0
    n_output: int = 0


class Refusal(NamedTuple):
    """A server's own words for not answering, and the codes that come with them."""

    words: str = ""
    status: int = 0
    codes: frozenset[str] = frozenset()


def read_completion(content: Any) -> Completion:
    """Read a completion; one without answers is none."""
    content = mapping(content)
    used = mapping(content.get("usage"))
    details = mapping(used.get("completion_tokens_details"))
    thinks = _count(details.get("reasoning_tokens")) > 0
    answers, seen = list[Answer](), set[int]()
    for choice in _items(content.get("choices")):
        index = choice.get("index") if isinstance(choice, Mapping) else None
        if isinstance(index, int) and index in seen:
            continue  # the same answer once more
        answer = _answer(mapping(choice))
        if answer is not None:
            answers.append(answer._replace(thinks=answer.thinks or thinks))
            seen.update([index] if isinstance(index, int) else ())
    n_input, n_output = (
        _count(used.get(name)) for name in ("prompt_tokens", "completion_tokens")
    )
    n_input = n_input or max(0, _count(used.get("total_tokens")) - n_output)
    return Completion(tuple(answers), n_input, n_output)


def read_refusal(content: Any, status: int = 0) -> Refusal | None:
    """Read an error in the body of an answer, with whatever status; None for none."""
    content = mapping(content)
    choices = [mapping(choice) for choice in _items(content.get("choices"))]
    error = next(
        (part["error"] for part in (content, *choices) if part.get("error")), ""
    )
    if not error and not choices and not status:
        names = ("detail", "message", "msg", "errors", "title")
        error = content if any(content.get(name) for name in names) else ""
    if not error and not status:
        return None
    error = error or content
    codes = (mapping(error).get(name) for name in ("code", "type", "param", "status"))
    named = frozenset(str(code) for code in codes if isinstance(code, (str, int)))
    stated = (int(code) for code in map(number, named) if 400 <= code < 600)
    return Refusal(_words(error) or "no reason", status or next(stated, 0), named)


def number(value: Any) -> float:
    """Read a number, also one written as a string; NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def _is_known(log_prob: float) -> bool:
    """Tell a log-probability from a number that stands for none."""
    return _LEAST_LOG_PROB < log_prob <= _LARGEST_LOG_PROB


def _answer(choice: Mapping[str, Any]) -> Answer | None:
    """Read one of the choices; None if there is no answer in it."""
    message = mapping(choice.get("message"))
    finish = str(choice.get("finish_reason") or "")
    if not message and not {"message", "text"} & {*choice} and not finish:
        return None
    written = message.get("content", choice.get("text"))
    if not isinstance(written, (str, int, float, list, dict, type(None))):
        return None
    content, thoughts = _parts(written)
    parts = (mapping(part).get("type") for part in _items(written))
    for name in ("reasoning_content", "reasoning"):
        thoughts += str(message.get(name) or "")
    text = _after_thoughts(content)
    letters = re.sub("[^a-z]", "", finish.casefold())
    is_broken_off = not text and any(word in letters for word in _BROKEN_OFF)
    return Answer(
        text,
        _tokens(mapping(choice.get("logprobs"))),
        bool(message.get("refusal")) or _DECLINED in (letters, *parts),
        any(word in letters for word in _FILTERED),
        letters in ("length", "maxtokens"),
        bool(thoughts) or len(text) < len(content.strip()),
        finish if is_broken_off else "",
        len((content + thoughts).encode("utf-8", "replace")),
    )


def _after_thoughts(content: str) -> str:
    """Return the answer in a content, "" where the thoughts have not ended."""
    ended = _THOUGHTS_END.match(content)
    text = content[ended.end() :] if ended else content
    return "" if _THOUGHTS_BEGIN.match(text) else text.strip()


def _parts(content: Any) -> tuple[str, str]:
    """Put the parts of a content together: the answer, and the thoughts."""
    said, thoughts = "", ""
    for part in _items(content):
        if isinstance(part, Mapping):
            text = part.get("text")
            if str(part.get("type")) in _THOUGHTS:
                thoughts += json.dumps(part)
            elif isinstance(text, (str, int)):
                said += str(text)
        elif isinstance(part, (str, int, float)) and not isinstance(part, bool):
            said += str(part)
    return said, thoughts


def _tokens(logprobs: Mapping[str, Any]) -> tuple[Token, ...]:
    """Read the log-probabilities of a chat completion, or in the form of older APIs."""
    if isinstance(logprobs.get("content"), list):
        return tuple(map(_token, logprobs["content"]))
    columns = (
        _items(logprobs.get(n)) for n in ("tokens", "token_logprobs", "top_logprobs")
    )
    names = ("token", "logprob", "top_logprobs")
    rows = zip_longest(*columns)
    return tuple(_token(dict(zip(names, row, strict=True))) for row in rows)


def _token(entry: Any) -> Token:
    """Read a token and the list of likely ones; of a repeated one the likelier counts."""
    entry = mapping(entry)
    listed = entry.get("top_logprobs")
    if isinstance(listed, Mapping):
        pairs = list(listed.items())
    else:
        some = map(mapping, _items(listed))
        pairs = [(_token_text(each), each.get("logprob")) for each in some]
    likeliest: dict[str, float] = {}
    for text, value in pairs:
        log_prob = number(value)
        if isinstance(text, str) and not log_prob <= likeliest.get(text, -math.inf):
            likeliest[text] = log_prob
    text = _token_text(entry)
    written = text if isinstance(text, str) else ""
    return Token(written, number(entry.get("logprob")), likeliest)


def _token_text(entry: Mapping[str, Any]) -> Any:
    """Return a token as it is written; some servers give its number, and its bytes."""
    text, content = entry.get("token"), entry.get("bytes")
    if isinstance(text, str) and text.startswith(("token_id:", "bytes:")):
        try:
            return bytes(content).decode() if isinstance(content, list) else text
        except (TypeError, ValueError):
            return text
    return text


def _words(error: Any) -> str:
    """Find the words in an error, in whichever form it comes."""
    if isinstance(error, str):
        return error
    if not isinstance(error, Mapping):
        return json.dumps(error, ensure_ascii=False) if error else ""
    for name in ("error", "message", "detail", "msg", "errors", "title"):
        words = _words(error.get(name))
        if words:
            raw = mapping(error.get("metadata")).get("raw")  # a provider's own words
            return f"{words}: {raw}" if isinstance(raw, str) else words
    return json.dumps(error, ensure_ascii=False) if error else ""


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping as it is, an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[Any]:
    """Return a list as it is, none for nothing, anything else as the only item."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _count(value: Any) -> int:
    """Read a number of tokens; 0 for anything else."""
    count = number(value)
    return int(count) if 0 < count < 1e12 else 0
