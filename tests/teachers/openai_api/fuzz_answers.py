"""Fuzz of reading: `python -m tests.teachers.openai_api.fuzz_answers N SEED`.

Bodies in the forms that servers give them are changed in some places, at random, and
read: each is a row of probabilities, a reason, a fault or a refusal, never an exception.
It makes some thousand examples a second, where hypothesis makes a hundred.
"""

import copy
import json
import math
import random
import sys
from collections import Counter

import numpy as np
from skllkd.teachers.openai_api.capabilities import Capabilities
from skllkd.teachers.openai_api.client import usage_of
from skllkd.teachers.openai_api.completion import read_completion, read_refusal
from skllkd.teachers.openai_api.refusals import kind_of

from tests.faulty_server import completion, top_logprobs
from tests.teachers.openai_api.test_completion import MANY, NAMED, NAMES, request_for

LEAVES = [None, True, False, 0, 1, -1, 7, 2**70, 0.5, -0.1, 3e-4, -9999.0, math.nan]
LEAVES += [
    math.inf,
    -math.inf,
    "",
    "A",
    "B",
    "b",
    "17",
    "stop",
    "length",
    "-0.2",
    "\ud800",
]
LEAVES += ["content_filter", "<think>", "</think>", "{", '{"class": "A"}', [], {}]
TOP = top_logprobs({"A": 0.7, "B": 0.2, "The": 0.05})
OLDER = {
    "tokens": ["A"],
    "token_logprobs": [-0.3],
    "top_logprobs": [{"A": -0.3, "B": -2}],
}
PARTS = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "B"}]
BODIES = [
    completion("A", TOP),
    completion("A", OLDER),
    completion("17", {"content": [{"token": t, "logprob": -0.1} for t in "17"]}),
    completion(PARTS, None, n=2),
    completion("<think>A?</think>B", TOP, "length", reasoning_content="hm"),
    {"error": {"message": "slow down", "code": "429", "metadata": {"raw": "busy"}}},
    {"detail": [{"loc": ["body", "top_logprobs"], "msg": "at most 5"}]},
]


def places_of(value, place=()):
    """Generate the places of all values inside a value."""
    yield place
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for name, part in items:
        yield from places_of(part, (*place, name))


def changed(rng, body):
    """Return a body with some places changed."""
    body = copy.deepcopy(body)
    for _ in range(rng.randint(1, 4)):
        place = rng.choice([place for place in places_of(body) if place] or [()])
        if not place:
            return rng.choice(LEAVES)
        holder = body
        for name in place[:-1]:
            holder = holder[name]
        value = copy.deepcopy(rng.choice(LEAVES))
        what = rng.random()
        if what < 0.15:
            del holder[place[-1]]
        elif what < 0.3 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[place[-1]]))
        elif what < 0.5 and isinstance(holder, dict):
            holder[rng.choice(NAMED)] = value
        elif what < 0.6:
            holder[place[-1]] = [holder[place[-1]]]
        else:
            holder[place[-1]] = value
    return body


def outcome(body, request):
    """Read a body, check the invariants, and name what came of it."""
    refusal = read_refusal(body)
    if refusal is not None:
        assert isinstance(refusal.words, str) and refusal.words
        Capabilities().changes_after_refusal(refusal, {"max_tokens": 1, "n": 2})
        return f"refusal: {kind_of(refusal)}"
    answers = read_completion(body)
    usage = usage_of(answers, 50)
    assert usage.n_calls == 1 and usage.input_tokens >= 13 and usage.output_tokens >= 0
    fault = request.reader.fault(answers)
    if fault:
        return f"fault: {fault}"
    result = request.reader.read(answers.answers)
    assert math.isnan(result.label_mass) or 0 <= result.label_mass <= 1
    if result.reason:
        assert np.isnan(result.log_prob).all()
        return "a reason"
    assert not np.isnan(result.log_prob).any() and -9 < result.log_prob.max() < 1e-9
    return "a row"


def main(n, seed=0):
    """Read `n` bodies, and print how often each outcome came."""
    rng, counts = random.Random(seed), Counter()
    requests = [
        request_for(method, names)
        for method in ("logprobs", "votes", "label")
        for names in (NAMES, MANY)
    ]
    for i in range(n):
        body = changed(rng, rng.choice(BODIES))
        try:
            counts[outcome(json.loads(json.dumps(body)), rng.choice(requests))] += 1
        except Exception:
            print(f"example {i}: {body!r}")
            raise
    for name, count in counts.most_common():
        print(f"{count:>9,}  {name}")
    print(f"{n:>9,}  in all")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
