"""Several classes a text from the logits: as yes or no asked one at a time."""

import numpy as np
import pytest
from skllkd import Multilabel
from skllkd._core.classes import as_classes
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers import TransformersTeacher
from skllkd.teachers.huggingface.loading import loaded_model
from skllkd.teachers.prompting.template import one_line

from tests.tiny_llama import write_tiny_llama

TAGS = Multilabel({"business": "money", "business news": "", "sport": ""})
EXAMPLES = [("Rates rise.", ["business", "business news"]), ("Hi.", [])]


@pytest.fixture(scope="module")
def model(tmp_path_factory, news):
    return write_tiny_llama(tmp_path_factory.mktemp("llama") / "tiny", news[0])


def asked_one_by_one(teacher, texts):
    """Return P(yes) and P(no) after each class's name, a plain evaluation each."""
    import torch

    tokens = teacher._tokenizer()
    network = loaded_model(teacher._source(), "cpu", "float32").network
    template = teacher._template(tokens, as_classes(TAGS))
    start = tokens.tokenize(template.before, special=True)
    after = tokens.tokenize(template.after, special=True)
    found = np.empty((len(texts), len(template.answers)))
    for row, text in enumerate(texts):
        before = [*start, *tokens.tokenize(one_line(text), special=False), *after]
        for place, answer in enumerate(template.answers):
            name = answer.rpartition(":")[0]
            said = tokens.tokenize(answer, special=False)
            n_name = len(tokens.tokenize(f"{name}:", special=False))
            with torch.inference_mode():
                logits = network(torch.tensor([before + said])).logits[0].double()
            steps = logits.log_softmax(-1)[len(before) - 1 : -1]
            steps = steps[range(len(said)), said]
            found[row, place] = float(steps[n_name:].sum().exp())
    return found[:, ::2], found[:, 1::2]


@pytest.mark.parametrize("chat", [False, True])
def test_the_probability_of_yes_is_that_of_each_question_alone(model, news, chat):
    texts = [text[:90] for text in news[0][:4]]
    teacher = TransformersTeacher(
        model, examples=EXAMPLES, chat=chat, calibration=None, store=False
    )
    labels = teacher.label(texts, TAGS)
    yes, no = asked_one_by_one(teacher, texts)
    np.testing.assert_allclose(labels.proba, yes / (yes + no), rtol=1e-3)
    np.testing.assert_allclose(labels.label_mass, (yes + no).mean(axis=1), rtol=1e-3)
    assert labels.log_prob.std(axis=0).min() > 0.01  # else the test would tell nothing
    short = teacher.set_params(whole_labels=False).label(texts, TAGS)
    assert short.log_prob.shape == (4, 3)


def test_plans_and_answers_are_those_of_one_call_a_text(model, news, tmp_path):
    teacher = TransformersTeacher(model, store=tmp_path / "s.sqlite")
    texts = news[0][:3]
    assert teacher.plan(texts, TAGS).n_calls == 3
    labels = teacher.label(texts, TAGS)
    assert labels.usage.n_calls == 3
    assert teacher.plan(texts, list(TAGS.classes)).n_stored == 0
    other = Multilabel(dict(reversed(TAGS.classes.items())))
    again = teacher.label(texts, other, class_bias=np.zeros(3))
    assert again.n_asked == 0
    np.testing.assert_allclose(again.raw_proba, labels.raw_proba[:, ::-1])


def test_examples_list_their_classes(model):
    teacher = TransformersTeacher(model, examples=EXAMPLES, chat=False)
    prompt = teacher._prompt_of("A text.", as_classes(TAGS))
    assert "Text: Rates rise.\nbusiness: yes\nbusiness news: yes\nsport: no\n" in prompt
    assert prompt.endswith("Text: A text.\n")
    assert "- business: money" in prompt
    for bad, match in [(("x", "sport"), r"\['sport'\]"), (("x", ["spam"]), "'spam'")]:
        with pytest.raises(InvalidParameterError, match=match):
            teacher.set_params(examples=[bad]).label(["y"], TAGS)
