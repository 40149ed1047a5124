"""Several classes a text: teachers that cannot say so refuse."""

import pytest
from skllkd import LLKDClassifier, Multilabel
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers import CallableTeacher

TAGS = Multilabel(["billing", "urgent"])


def test_a_teacher_of_one_class_a_text_refuses_several():
    teacher = CallableTeacher(lambda texts: ["billing"] * len(texts), store=False)
    for ask in (teacher.label, teacher.plan):
        with pytest.raises(InvalidParameterError, match=r"Multilabel\(\['billing'"):
            ask(["a text"], TAGS)


def test_the_classifier_refuses_several_classes_a_text():
    with pytest.raises(InvalidParameterError, match="LLKDClassifier"):
        LLKDClassifier(classes=TAGS).fit(["a", "b"], ["billing", "urgent"])
