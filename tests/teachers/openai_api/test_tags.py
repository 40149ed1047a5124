"""Several classes a text behind the OpenAI API: one answer for all, or one each."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from skllkd import Multilabel
from skllkd._core.classes import as_classes
from skllkd.exceptions import InvalidParameterError, MissingLabelWarning, SkllkdWarning
from skllkd.teachers.metered.store import text_key
from skllkd.teachers.openai_api.batch import BatchJobs
from skllkd.teachers.openai_api.capabilities import Capabilities
from skllkd.teachers.openai_api.completion import read_completion
from skllkd.teachers.openai_api.tag_requests import chat_request
from skllkd.teachers.prompting.shortening import Limit

from tests.faulty_server import completion
from tests.teachers.openai_api.common import error, teacher

TAGS = Multilabel({"billing": "invoices", "urgent": "", "legal": ""})
CLASSES = as_classes(TAGS)
WORDS = dict(zip("ABC", ["invoice", "now", "law"], strict=True))
TEXTS = ["an invoice now", "the law", "hello"]
HAS = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]])
SURE = 0.8


def written(has):
    """Return an answer and its tokens, with the probability of each value."""
    tokens = [{"token": "{", "logprob": 0.0, "top_logprobs": []}]
    for place, (code, is_yes) in enumerate(has.items()):
        tokens += [{"token": t} for t in ('"' if not place else ', "', code, '":')]
        said, other = (" true", " false") if is_yes else (" false", " true")
        listed = {said: SURE, other: 0.15, " maybe": 0.05}
        top = [{"token": t, "logprob": math.log(p)} for t, p in listed.items()]
        tokens.append({**top[0], "top_logprobs": top})
    tokens[0]["top_logprobs"] = [{"token": "{", "logprob": 0.0}]
    tokens.append({"token": "}"})
    return "".join(token["token"] for token in tokens), tokens


def all_at_once(body):
    """Answer about all classes in one JSON object, as a good server does."""
    text = body["messages"][-1]["content"]
    assert text.endswith("\nWhich classes?")
    content, tokens = written({code: word in text for code, word in WORDS.items()})
    logprobs = {"content": tokens} if body.get("logprobs") else None
    return completion(content, logprobs, n=body.get("n", 1))


def one_by_one(body):
    """Answer about the class that the system message names."""
    system = body["messages"][0]["content"]
    name = next(name for name in CLASSES.words if f"The class: {name}" in system)
    word = WORDS["ABC"[CLASSES.words.index(name)]]
    is_yes = word in body["messages"][-1]["content"]
    share = {"A": SURE, "B": 0.15} if is_yes else {"B": SURE, "A": 0.15}
    top = [{"token": t, "logprob": math.log(p)} for t, p in share.items()]
    logprobs = {"content": [{**top[0], "top_logprobs": top}]}
    return completion(top[0]["token"], logprobs)


def test_one_answer_tells_all_classes_with_their_probabilities(served):
    recorder = served(all_at_once)
    labels = teacher(store=False).label(TEXTS, TAGS)
    sure = SURE / (SURE + 0.15)
    np.testing.assert_allclose(labels.proba, np.where(HAS, sure, 1 - sure))
    np.testing.assert_allclose(labels.label_mass, SURE + 0.15)
    assert labels.usage.n_calls == 3 == len(recorder.bodies)
    body = recorder.bodies[0]
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["A", "B", "C"]
    assert "A: billing (invoices)" in body["messages"][0]["content"]


def test_a_question_for_each_class(served):
    recorder = served(one_by_one)
    asked = teacher(method="questions", store=False)
    assert asked.plan(TEXTS, TAGS).n_calls == 9
    labels = asked.label(TEXTS, TAGS)
    sure = SURE / (SURE + 0.15)
    np.testing.assert_allclose(labels.proba, np.where(HAS, sure, 1 - sure), rtol=1e-6)
    assert labels.usage.n_calls == 9 == len(recorder.bodies)
    assert {body["max_tokens"] for body in recorder.bodies} == {1}
    limited = asked.set_params(max_calls=4)
    with pytest.warns(SkllkdWarning) as caught:
        assert limited.label(TEXTS, TAGS).missing.sum() == 2
    assert any(issubclass(w.category, MissingLabelWarning) for w in caught)


def test_questions_are_for_several_classes_a_text(served):
    served(one_by_one)
    with pytest.raises(InvalidParameterError, match="Multilabel"):
        teacher(method="questions", store=False).label(TEXTS, ["a", "b"])


def test_plans_tell_the_costs_of_each_way(served):
    served(all_at_once)
    at_once = teacher(store=False).plan(TEXTS, TAGS)
    each = teacher(method="questions", store=False).plan(TEXTS, TAGS)
    assert (at_once.n_calls, each.n_calls) == (3, 9)
    assert each.tokens.input > 2 * at_once.tokens.input
    assert each.tokens.output < at_once.tokens.output


def test_labels_and_votes(served):
    served(all_at_once)
    labels = teacher(method="label", store=False).label(TEXTS, TAGS)
    np.testing.assert_array_equal(labels.proba, HAS)
    votes = teacher(method=("votes", 4), store=False).label(TEXTS, TAGS)
    np.testing.assert_allclose(votes.proba, np.where(HAS, 0.9, 0.1))


def test_examples_are_answers_in_json(served):
    recorder = served(all_at_once)
    examples = [("Pay now", ["billing", "urgent"]), ("Hi", [])]
    teacher(examples=examples, store=False).label(TEXTS[:1], TAGS)
    said = [m["content"] for m in recorder.bodies[0]["messages"][2:5:2]]
    assert [json.loads(answer) for answer in said] == [
        {"A": True, "B": True, "C": False},
        {"A": False, "B": False, "C": False},
    ]


def test_a_server_without_log_probabilities_gives_labels(served):
    def free(body):
        answer = all_at_once(body)
        answer["choices"][0]["logprobs"] = None
        return answer

    served(free)
    with pytest.warns(SkllkdWarning, match="without a confidence"):
        labels = teacher(store=False, max_retries=0).label(TEXTS, TAGS)
    np.testing.assert_array_equal(labels.proba, HAS)


def test_a_server_without_structured_output(served):
    def plain(body):
        if "response_format" in body:
            return error(400, "unsupported parameter: response_format")
        return all_at_once(body)

    served(plain)
    with pytest.warns(SkllkdWarning, match="structured output"):
        labels = teacher(store=False).label(TEXTS, TAGS)
    np.testing.assert_array_equal(labels.proba > 0.5, HAS)


@pytest.mark.parametrize(
    ("answer", "has"),
    [
        ('{"A": true, "B": false, "C": true}', [1, 0, 1]),
        ('```json\n{"A":true,\n "B":false, "C":false}\n```', [1, 0, 0]),
        ('{"billing": "yes", "urgent": "no", "legal": "no"}', [1, 0, 0]),
        ("A: true\nB: false\nC: false", [1, 0, 0]),
        ("A, C", [1, 0, 1]),
        ('["A", "B"]', [1, 1, 0]),
        ("billing", [1, 0, 0]),
        ("[]", [0, 0, 0]),
        ("None", [0, 0, 0]),
        ('{"A": true, "B": false}', None),
        ("I cannot say.", None),
        ('{"A": true, "B": fal', None),
    ],
)
def test_answers_in_many_forms(answer, has):
    request = chat_request("m", CLASSES, None, (), "label", 0, Limit(100, 0))
    answers = read_completion(completion(answer)).answers
    result = request.reader.read(answers)
    if has is None:
        assert np.isnan(result.log_prob).all()
        assert repr(answer)[:10] in result.reason
    else:
        np.testing.assert_array_equal(np.exp(result.log_prob), has)


def test_values_are_read_from_tokens_of_other_cuts():
    """Quotes, braces and beginnings of the values in the same token."""
    request = chat_request("m", CLASSES, None, (), "logprobs", 0, Limit(100, 0))
    pieces = ['{"A', '":tru', "e", ',"B":', '"fal', 'se"', ',"C":false}']
    listed = {1: {'":fal': 0.2}, 4: {'"tr': 0.3}, 6: {',"C":true}': 0.1}}
    tokens = []
    for place, piece in enumerate(pieces):
        share = {
            piece: 1 - sum(listed.get(place, {}).values()),
            **listed.get(place, {}),
        }
        top = [{"token": t, "logprob": math.log(p)} for t, p in share.items()]
        tokens.append({**top[0], "top_logprobs": top})
    made = completion("".join(pieces), {"content": tokens})
    result = request.reader.read(read_completion(made).answers)
    # The last value shares its token with a code, which hides it: it has no confidence.
    np.testing.assert_allclose(np.exp(result.log_prob), [0.8, 0.3, 0], atol=1e-9)


class Kept:
    """The part of a store that takes the answers of a batch."""

    def put(self, keys, scores, usage):
        self.keys, self.scores = keys, scores


class Masks:
    """The part of a client that a batch's answers need."""

    server = SimpleNamespace(mask=str)


def test_answers_of_a_batch_are_put_in_the_order_of_the_classes():
    request = chat_request("m", CLASSES, None, (), "questions", 0, Limit(100, 0))
    lines = []
    for text in TEXTS:
        for place, body in enumerate(request.bodies(text, Capabilities())):
            response = {"status_code": 200, "body": one_by_one(body)}
            name = f"{text_key(text).hex()}-{place}"
            lines.append({"custom_id": name, "response": response})
    del lines[-1]  # of the last text one answer is missing
    kept = Kept()
    status = BatchJobs(Masks(), kept, request)._store_lines(
        lines[::-1], "expired", 9, 10
    )
    row_of = {key: row for row, key in enumerate(kept.keys)}
    rows = [row_of[text_key(text)] for text in TEXTS[:2]]
    np.testing.assert_array_equal(np.exp(kept.scores.log_prob[rows]) > 0.5, HAS[:2])
    assert (status.n_answered, status.n_missing) == (2, 1)
    assert status.errors == {"no line for some of the classes, in the expired batch": 1}
