"""Reading of completions in the forms that servers give them."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skllkd._core.classes import as_classes
from skllkd.teachers.openai_api.capabilities import Capabilities
from skllkd.teachers.openai_api.chat import ChatRequest
from skllkd.teachers.openai_api.client import usage_of
from skllkd.teachers.openai_api.completion import (
    Refusal,
    Token,
    read_completion,
    read_refusal,
)
from skllkd.teachers.openai_api.reading import NO_LOGPROBS, THINKS
from skllkd.teachers.openai_api.refusals import kind_of
from skllkd.teachers.prompting.shortening import Limit

from tests.choices import Choices, built

ANY = Limit(100, 0)
NAMES = ("xx", "yy", "zz")
MANY = tuple(f"topic {i}" for i in range(40))


def request_for(method="logprobs", names=NAMES, n_votes=3):
    return ChatRequest("m", as_classes(list(names)), None, (), method, n_votes, ANY)


def said(content, logprobs=None, finish="stop", **more):
    """Return a completion with one answer."""
    message = {"role": "assistant", "content": content, **more}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"choices": [choice | {"logprobs": logprobs}]}


def label_of(content, method="logprobs", names=NAMES):
    """Return the class read from the body of an answer, None for none."""
    request = request_for(method, names)
    completion = read_completion(content)
    if request.reader.fault(completion):
        return None
    row = request.reader.read(completion.answers).log_prob
    return None if np.isnan(row).any() else names[row.argmax()]


# ---- any JSON

LEAVES = [
    lambda _: None,
    lambda c: bool(c.below(2)),
    Choices.integer,
    lambda c: c.text(8),
    Choices.number,
    lambda c: c.of(("A", "B", " a", "stop", "length")),
]
NAMED = (
    *("choices", "message", "content", "logprobs", "token", "logprob", "top_logprobs"),
    *("usage", "error", "code", "detail", "prompt_tokens", "completion_tokens", "text"),
    *("finish_reason", "index", "type", "refusal", "tokens", "token_logprobs", "raw"),
    *("reasoning_content", "metadata"),
)


def value(choices):
    """Make any JSON, whose keys are those that servers use."""
    return choices.nested(lambda c: c.of(LEAVES)(c), lambda c: c.of(NAMED))


def either(*options):
    """Return the function that makes a value with one of some functions."""
    return lambda choices: choices.of(options)(choices)


def fields(choices, always=None, perhaps=None):
    """Make a mapping of some fields, each with a function of its own."""
    chosen = {k: make for k, make in (perhaps or {}).items() if choices.below(2)}
    return {key: make(choices) for key, make in ((always or {}) | chosen).items()}


def token(choices):
    return fields(
        choices, None, dict.fromkeys(("token", "logprob", "top_logprobs"), value)
    )


def logprobs(choices):
    return {"content": choices.several(either(token, value), 3)}


def message(choices):
    return {"content": value(choices)}


def choice(choices):
    """Make one answer of a completion."""
    return fields(
        choices,
        {"message": either(message, value), "logprobs": either(logprobs, value)},
        dict.fromkeys(("finish_reason", "index", "error"), value),
    )


def body(choices):
    """Make a completion up to some point."""
    return fields(
        choices,
        {"choices": lambda c: c.several(either(choice, value), 3)},
        {"usage": value, "error": value},
    )


bodies = built(either(body, body, value), 512)


@given(bodies, st.sampled_from(["logprobs", "votes", "label"]), st.booleans())
def test_any_json_is_an_answer_a_refusal_or_a_fault(body, method, many):
    body = json.loads(json.dumps(body))
    refusal = read_refusal(body)
    if refusal is not None:
        assert refusal.words and kind_of(refusal) in (
            "passing",
            "text",
            "odd",
            "refused",
        )
        assert isinstance(
            Capabilities().changes_after_refusal(refusal, {"max_tokens": 1}), dict
        )
    request = request_for(method, MANY if many else NAMES)
    completion = read_completion(body)
    usage = usage_of(completion, 50)
    assert usage.n_calls == 1 and usage.input_tokens >= 13 and usage.output_tokens >= 0
    if not request.reader.fault(completion):
        result = request.reader.read(completion.answers)
        is_row = not np.isnan(result.log_prob).any() and not result.reason
        assert is_row or (np.isnan(result.log_prob).all() and result.reason)
        assert math.isnan(result.label_mass) or 0 <= result.label_mass <= 1
        if is_row:
            assert result.log_prob.max() <= 1e-9


# ---- round trip: an answer in any form is read as what it says

ODD = [None, "NaN", math.nan, math.inf, -9999.0, 4.0, "17", "x", [], True, 1e400]


def answer(c):
    """Make the log-probabilities of a first token whose surest class is known."""
    codes = ["A", "B", "C"]
    best = codes.pop(c.below(3))
    order = [codes.pop(c.below(2)), *codes]
    order.insert(c.below(3), best)
    number_of = {code: odd_or_low(c) for code in order}
    number_of[best] = c.of([-0.1, 0.0, 3e-4, 1e-6, "-0.05", *ODD])
    listed = [code for code in order if code == best or c.below(3)]
    entries = [{"token": code, "logprob": number_of[code]} for code in listed]
    if c.below(2):
        entries += [entries[-1]]  # once more
    if c.below(2):
        entries[0].pop("logprob")
        number_of[best] = None
    form = c.of(["list", "mapping", "older", "alone"])
    top = {"list": entries, "alone": c.of([None, [], {}])}.get(
        form, {entry["token"]: entry.get("logprob") for entry in entries}
    )
    written = {"token": best, "logprob": number_of[best], "top_logprobs": top}
    logprobs = {"content": [written]}
    if form == "older":
        columns = {"tokens": [best], "token_logprobs": [number_of[best]]}
        logprobs = columns | {"top_logprobs": [top]}
    return best, said(c.of([best, None, [best]]), logprobs)


def odd_or_low(c):
    """Choose an odd number, or one below those of the surest class, or its digits."""
    low = -0.8 - 8.2 * int.from_bytes(c.take(3)) / 2**24
    return c.of((low, str(low), c.of(ODD)))


@given(built(answer, 32))
def test_the_surest_answer_never_loses_by_an_odd_number(answer):
    best, body = answer
    body = json.loads(json.dumps(body))
    request = request_for()
    if not request.reader.fault(read_completion(body)):
        found = label_of(body)
        numbers = read_completion(body).answers[0].tokens[0].probabilities()
        assert found == NAMES["ABC".index(best)] or not numbers


@pytest.mark.parametrize("odd", ODD)
def test_the_token_that_was_written_has_what_the_others_leave(odd):
    top = [{"token": "B", "logprob": odd}, {"token": "A", "logprob": -3.0}]
    written = {"token": "B", "logprob": odd, "top_logprobs": top}
    body = json.loads(json.dumps(said("B", {"content": [written]})))
    request = request_for()
    read = request.reader.read(read_completion(body).answers)
    share = np.exp(read.log_prob)
    np.testing.assert_allclose(share[[0, 1]], [np.exp(-3), 1 - np.exp(-3)], rtol=1e-6)
    # where the written token's own number is known, the list's odd one does not count
    body["choices"][0]["logprobs"]["content"][0]["logprob"] = -0.2
    share = np.exp(request.reader.read(read_completion(body).answers).log_prob)
    np.testing.assert_allclose(share[1], np.exp(-0.2), rtol=1e-6)


def test_log_probabilities_above_0_keep_their_order():
    assert Token("A", 3e-4, {"A": 3e-4, "B": -8.0}).probabilities()["A"] <= 1
    share = Token("B", 2e-4, {"A": 1e-4, "B": 2e-4}).probabilities()
    assert share["B"] > share["A"] and sum(share.values()) <= 1
    assert Token("B", 5.0, {"A": 4.0, "B": 5.0}).probabilities() == {}  # logits
    share = Token("A", -0.3, {"A": -0.3, "B": 17.0, "C": -2.0}).probabilities()
    assert share.keys() == {"A", "C"} and max(share, key=share.get) == "A"


def test_a_class_that_is_not_listed_does_not_tie_with_the_likeliest():
    top = [{"token": "C", "logprob": math.log(0.3)}]
    written = {"token": "C", "logprob": math.log(0.3), "top_logprobs": top}
    assert label_of(said("C", {"content": [written]})) == "zz"


def test_answers_without_numbers_are_faults_and_withheld_ones_are_not():
    request = request_for()
    for logprobs in (None, {}, {"content": None}, {"content": []}, {"content": [None]}):
        assert request.reader.fault(read_completion(said("A", logprobs))) == NO_LOGPROBS
    held = [said("A", None, "content_filter"), said(None, refusal="I cannot say.")]
    held.append(said([{"type": "refusal", "refusal": "I cannot say."}]))
    for body in held:
        completion = read_completion(body)
        assert request.reader.fault(completion) == ""
        assert request.reader.read(completion.answers).reason
    assert "filter" in request.reader.read(read_completion(held[0]).answers).reason
    for thought in (said("", finish="length"), said("A", reasoning_content="hm")):
        assert request.reader.fault(read_completion(thought)) == THINKS


def test_a_code_of_several_tokens_with_an_unknown_number_is_the_least_sure():
    tokens = [{"token": "1", "logprob": -0.1}, {"token": "7", "logprob": None}]
    request = request_for(names=MANY)
    completion = read_completion(said("17", {"content": tokens}))
    assert request.reader.fault(completion) == ""
    share = np.exp(request.reader.read(completion.answers).log_prob)
    assert share.argmax() == 16 and share[16] < 1.1 / 40


# ---- answers in words


@pytest.mark.parametrize(
    ("content", "label"),
    [
        ([{"type": "text", "text": "B"}], "yy"),
        ([{"type": "thinking", "thinking": "A?"}, {"type": "text", "text": "B"}], "yy"),
        (["B"], "yy"),
        ({"type": "output_text", "text": "B"}, "yy"),
        ("<think>A or B?</think>\n\nB", "yy"),
        ("<think>It is A, but then", None),
        ("b", "yy"),
        ("YY", "yy"),
        ('```json\n{"class": "B"}\n```', "yy"),
        ('{"label": "yy"}', "yy"),
        ('{"class": ["B"]}', None),
        ("A or B", None),
        ([], None),
        (None, None),
    ],
)
def test_labels_in_words_parts_and_json(content, label):
    body = said(content)
    assert label_of(body, "label") == label
    if isinstance(content, str):
        older = {"choices": [{"text": content, "finish_reason": "stop"}]}
        assert label_of(older, "label") == label


@pytest.mark.parametrize(
    ("names", "content", "label"),
    [
        (("Polish", "polish"), "polish", "polish"),
        (("Polish", "polish"), "Polish.", "Polish"),
        (("Polish", "polish"), "POLISH", None),
        (("yes", "no"), "YES", "yes"),
        (("1", "2"), 2, "2"),
        (MANY, 17, "topic 16"),
        (MANY, "17: topic 16", "topic 16"),
        (("...", "!?"), "...", "..."),
        (("...", "!?"), "", None),
    ],
)
def test_what_differs_in_case_alone_is_told_apart(names, content, label):
    assert label_of(said(content), "label", names) == label


@pytest.mark.parametrize(
    ("content", "label"),
    [
        ("[THINK]A?[/THINK]B", "yy"),
        ("<thought>A</thought>\nB", "yy"),
        ("<seed:think>A</seed:think>B", "yy"),
        ("<|channel|>analysis<|message|>A?<|end|><|channel|>final<|message|>B", "yy"),
        ("<|channel|>analysis<|message|>A", None),
        ("[THINK]A", None),
        ("<think>a</think> <think>A", None),
    ],
)
def test_thoughts_that_a_server_leaves_in_are_no_answer(content, label):
    assert label_of(said(content), "label") == label
    assert read_completion(said(content)).answers[0].thinks


FILTERED = ["content_filter", "content-filter", "ContentFilter", "SAFETY", "SPII"]
FILTERED += ["IMAGE_SAFETY", "PROHIBITED_CONTENT", "sensitive", "guardrail_intervened"]


@pytest.mark.parametrize("finish", FILTERED)
def test_filters_by_the_names_that_servers_give_them(finish):
    (answer,) = read_completion(said(None, finish=finish)).answers
    assert answer.is_filtered and not answer.broken_off


@pytest.mark.parametrize("method", ["logprobs", "label", "votes"])
@pytest.mark.parametrize(
    "finish", ["error", "abort", "cancelled", "insufficient_system_resource", "TIMEOUT"]
)
def test_an_answer_that_broke_off_is_no_answer_of_the_model(finish, method):
    request = request_for(method)
    assert finish in request.reader.fault(read_completion(said("", finish=finish)))
    whole = read_completion(said("B", {"content": []}, finish=finish))
    assert not whole.answers[0].broken_off


def test_a_model_s_own_refusal_by_its_reason_to_finish():
    (answer,) = read_completion(said(None, finish="refusal")).answers
    assert answer.is_declined


@pytest.mark.parametrize(
    ("token", "content"), [("token_id:33", [66]), ("bytes:\\x42", [66]), ("B", None)]
)
def test_tokens_given_by_their_numbers_are_read_by_their_bytes(token, content):
    entry = {"token": token, "bytes": content, "logprob": -0.1}
    assert label_of(said("B", {"content": [entry | {"top_logprobs": [entry]}]})) == "yy"
    for odd in (["x"], [999], "B", [255]):
        body = said("B", {"content": [entry | {"token": "token_id:1", "bytes": odd}]})
        assert label_of(body) is None


def test_an_answer_that_comes_twice_is_one_vote():
    choice = said("A")["choices"][0]
    body = {"choices": [choice, choice, said("B")["choices"][0] | {"index": 1}]}
    assert [answer.text for answer in read_completion(body).answers] == ["A", "B"]
    assert len(read_completion({"choices": [None, choice]}).answers) == 1


def test_a_body_that_is_no_completion_has_no_answers():
    for body in (None, [], 3, "x", {}, {"choices": None}, {"choices": [{}]}):
        assert read_completion(body).answers == ()


# ---- errors


@pytest.mark.parametrize(
    ("body", "words", "status"),
    [
        ({"error": {"message": "no credits", "code": 402}}, "no credits", 402),
        ({"error": "busy"}, "busy", 0),
        ({"error": {"message": "slow", "code": "429"}}, "slow", 429),
        ({"error": {"message": "slow", "code": "rate_limited"}}, "slow", 0),
        ({"object": "error", "message": "too long", "code": 400}, "too long", 400),
        ({"detail": [{"loc": ["body"], "msg": "bad"}]}, '[{"loc": ["body"], "msg"', 0),
        ({"choices": [{"error": {"message": "gone", "code": 502}}]}, "gone", 502),
        ({"error": {"message": "Error", "metadata": {"raw": "why"}}}, "Error: why", 0),
        ({"error": {"code": {"kind": "x"}}}, '{"code": {"kind": "x"}}', 0),
    ],
)
def test_the_words_of_an_error_in_an_answer(body, words, status):
    refusal = read_refusal(body)
    assert refusal.words.startswith(words) and refusal.status == status


def test_an_answer_without_an_error_is_none():
    for body in (said("A"), said("A") | {"error": None}, said("A") | {"error": {}}):
        assert read_refusal(body) is None
    assert read_refusal({}, 500) == Refusal("no reason", 500)


# Words of servers about a text that is too long, or that a filter holds back: OpenAI,
# vLLM, SGLang, Gemini, TGI, xAI, llama-server, Anthropic, Mistral, Groq, Azure, DeepSeek.
ABOUT_A_TEXT = [
    (400, "This model's maximum context length is 8192 tokens. However, your messages "
     "resulted in 9001 tokens. Please reduce the length of the messages."),
    (400, "The decoder prompt (length 5012) is longer than the maximum model length of "
     "4096. Make sure that `max_model_len` is no smaller than the number of text tokens."),
    (400, "The input (5000 tokens) is longer than the model's context length (4096)."),
    (400, "The input token count (1200000) exceeds the maximum number of tokens allowed "
     "(1048576)."),
    (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. "
     "Given: 5000 `inputs` tokens and 1 `max_new_tokens`"),
    (422, "`inputs` must have less than 1024 tokens. Given: 2000"),
    (400, "This model's maximum prompt length is 131072 but the request contains 537812 "
     "tokens."),
    (400, "the request exceeds the available context size, try increasing it"),
    (500, "the request exceeds the available context size. try increasing the context"),
    (500, "input is too large to process. increase the physical batch size"),
    (400, "prompt is too long: 208310 tokens > 200000 maximum"),
    (400, "Prompt contains 40960 tokens and 0 draft tokens, too large for model with 32768 "
     "maximum context length"),
    (413, "Request too large for model `m`"),
    (429, "Request too large for m on tokens per min (TPM): Limit 30000, Requested 40000"),
    (400, "The response was filtered due to the prompt triggering content management "
     "policy."),
    (400, "Your prompt was flagged as potentially violating our usage policy."),
    (403, "Input was flagged: violence"),
    (400, "Content Exists Risk"),
    (400, "Input data may contain inappropriate content."),
    (0, "Output blocked by content filtering policy"),
    (400, "Unable to submit request because the input token count is 40000 but model only "
     "supports up to 32768. Reduce the input token count and try again."),
    (413, "Failed to buffer the request body: length limit exceeded"),
    (400, "inputs tokens 5000 should be less than 4097"),
    (400, "The number of tokens in your prompt is over the limit for this model"),
    (400, "Range of input length should be [1, 30720]"),
    (400, "request (5021 tokens) exceeds the available context size (4096 tokens)"),
    (403, "Content violates usage guidelines. Team: 0, API key ID: 0, Failed check: BIO"),
    (400, "系统检测到输入或生成内容可能包含不安全或敏感内容"),
    (400, "Sorry! We've encountered an issue with repetitive patterns in your prompt: "
     "flagged"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "words"), ABOUT_A_TEXT)
def test_refusals_of_one_text_are_known_by_their_words(status, words):
    assert kind_of(Refusal(words, status)) == "text"


@pytest.mark.parametrize(
    ("status", "words", "codes", "kind"),
    [
        (429, "slow down", (), "passing"),
        (429, "pay", ("insufficient_quota",), "refused"),
        (0, "Rate limit exceeded: free-models-per-day", (), "passing"),
        (0, "Rate limit exceeded for tokens per min", (), "passing"),
        (0, "Provider returned error", (), "passing"),
        (503, "queue length exceeded", (), "passing"),
        (500, "context canceled", (), "passing"),
        (500, "1 validation error for Request", (), "odd"),
        (402, "no credits left", (), "refused"),
        (401, "Incorrect API key", (), "refused"),
        (404, "model `x` not found", (), "refused"),
        (400, "Unknown parameter", (), "odd"),
        (403, "You may not", (), "odd"),
        (400, "API key not valid. Please pass a valid API key.", (), "refused"),
        (400, "Incorrect API key provided: xa***. Get one.", (), "refused"),
        (400, "User location is not supported for the API use.", (), "refused"),
        (403, "Key limit exceeded (total limit).", (), "refused"),
        (400, "Your credit balance is too low to access the API.", (), "refused"),
        (400, "Invalid value: 'my api key expired'", (), "odd"),  # words of a text
        (424, "Request failed during generation: out of memory.", (), "passing"),
        (501, "not implemented", (), "odd"),
    ],
)
def test_other_refusals(status, words, codes, kind):
    assert kind_of(Refusal(words, status, frozenset(codes))) == kind


@pytest.mark.parametrize(
    ("words", "sent", "changes"),
    [
        (
            "below the minimum value, 16; got 1. max_output_tokens",
            {},
            {"least_tokens": 16},
        ),
        ("max_tokens must be at least 8", {}, {"least_tokens": 8}),
        ("max_tokens must be greater than 1", {}, {"least_tokens": 32}),
        ("max_tokens: at least 16, at most 4096", {}, {"least_tokens": 16}),
        ("Invalid 'max_output_tokens': >= 16, but got 1", {}, {"least_tokens": 16}),
        ("max_tokens exceeds the context", {}, {}),
        ("use max_completion_tokens", {}, {"limit_name": "max_completion_tokens"}),
        ("top_logprobs must be at most 5", {"top_logprobs": 20}, {"top_logprobs": 5}),
        ("logprobs: not allowed", {}, {}),
        ("`temperature` is fixed", {"temperature": 0}, {"takes_temperature": False}),
        ("`temperature` is fixed", {}, {}),
        ("logprobs, response_format", {"response_format": 1}, {"takes_schema": False}),
        ('["body", "n"]', {"n": 8}, {"takes_n": False}),
        ("a nice n", {"n": 8}, {}),
        ("only n = 1 is supported", {"n": 8}, {"takes_n": False}),
        ("Number of completions must be 1", {"n": 8}, {"takes_n": False}),
        ("Multiple candidates is not enabled", {"n": 8}, {"takes_n": False}),
        ("Logprobs are not enabled", {"top_logprobs": 5}, {"top_logprobs": 5}),
        ("`top_n_tokens` must be <= 5", {"top_logprobs": 20}, {"top_logprobs": 5}),
        ("structured outputs: no", {"response_format": 1}, {"takes_schema": False}),
    ],
)
def test_what_to_give_up_is_among_what_was_sent(words, sent, changes):
    body = {"max_tokens": 1, **sent}
    refusal = Refusal(words, 400)
    assert Capabilities().changes_after_refusal(refusal, body) == changes
    assert Capabilities().changes_after_refusal(Refusal(words, 401), body) == {}
