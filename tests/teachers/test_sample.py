"""A few texts asked before all: prompt, answers, label mass, time."""

import numpy as np
import pytest
from skllkd._core.classes import as_classes
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers import (
    BatchCalibration,
    CallableTeacher,
    MeteredTeacher,
    OpenAITeacher,
    Scores,
)
from skllkd.teachers.sample import ask_sample

AB = ["a", "b"]


class Skewed(MeteredTeacher):
    """Prefers the first class, has no answer to "none", and notes what it is asked."""

    def __init__(self, asked=None, calibration=None, store=None):
        self.asked, self.calibration, self.store = asked, calibration, store

    def fingerprint(self, classes):
        return {"teacher": "skewed", "n": len(classes)}

    def score_batch(self, texts, classes):
        self.asked.append(list(texts))
        log_prob = np.log([[0.3, 0.1]] * len(texts))
        log_prob[[text == "none" for text in texts]] = np.nan
        return Scores(log_prob, np.full(len(texts), 0.4))

    def _prompt_of(self, text, classes):
        return f"Which is it?\n{text}"


def test_random_texts_are_asked_once_and_kept():
    teacher, texts = Skewed([]), [f"text {i}" for i in range(10)]
    sample = ask_sample(teacher, [*texts, texts[0], " "], AB, 5)
    assert len({*sample.texts} & {*texts}) == 5 and sample.texts != texts[:5]
    assert teacher.asked == [sample.texts[:1], sample.texts[1:]]
    assert sample.n_asked == 5 and sample.seconds_per_text > 0
    again = ask_sample(teacher, texts, AB, 5)
    assert again.n_asked == 0 and again.seconds_per_text is None
    np.testing.assert_array_equal(again.labels.log_prob, sample.labels.log_prob)
    assert teacher.plan(texts, AB).n_to_ask == 5


def test_the_table_says_what_was_found():
    teacher = Skewed([], calibration=BatchCalibration())
    shown = str(ask_sample(teacher, ["one text", "none"], AB, 5))
    assert "  | Which is it?\n  | none\n" in shown
    assert (
        "answers to 2 texts before calibration, 2 of them asked now, 0 known" in shown
    )
    assert "  0.75  a  'one text'" in shown
    assert "  no answer  'none': without a usable answer" in shown
    assert "mean: 0.400" in shown


def test_a_function_has_no_prompt_and_no_label_mass():
    teacher = CallableTeacher(lambda texts: ["b"] * len(texts))
    shown = str(ask_sample(teacher, ["x"], AB, 5))
    assert "prompt" not in shown and "mean:" not in shown
    with pytest.raises(InvalidParameterError, match="every text is empty"):
        ask_sample(teacher, ["", " "], AB, 5)


def test_the_prompt_of_a_server_is_that_of_its_messages():
    teacher = OpenAITeacher(
        "m", base_url="http://localhost:1/v1", instruction="Choose."
    )
    prompt = teacher._prompt_of("a text", as_classes({"red": "warm", "blue": ""}))
    assert prompt.startswith("[system] Choose.\n\nClasses:\nA: red (warm)\nB: blue\n")
    assert prompt.endswith("[user] Text: a text\nClass?")


def test_a_trial_does_not_wait_for_a_server_that_is_gone():
    class Retrying(Skewed):
        max_retries = 6

        def score_batch(self, texts, classes):
            assert self.max_retries == 1
            return super().score_batch(texts, classes)

    teacher = Retrying([])
    assert ask_sample(teacher, ["one", "two"], AB, 2).n_asked == 2
    assert teacher.max_retries == 6
