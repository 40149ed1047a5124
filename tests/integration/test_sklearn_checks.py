"""scikit-learn's checks with every selection, refined labels and a precomputed teacher."""

import pytest
from skllkd import LLKDClassifier
from skllkd.selection import LLKDSelection

from tests.selection.test_contract import STRATEGIES
from tests.test_sklearn_checks import (
    EXPECTED,
    TaughtByCallable,
    TaughtByPrecomputed,
    all_pass,
    numeric_student,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::skllkd.exceptions.SkllkdWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.EstimatorCheckFailedWarning"
    ),
]
OTHER_LABELS = "one of the two fits is given labels as `y`, which are not refined"
EXPECTED_REFINED = {
    "check_classifier_data_not_an_array": OTHER_LABELS,
    "check_supervised_y_2d": OTHER_LABELS,
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_check_fails(strategy):
    student, rule = numeric_student(), strategy()
    if "n_folds" in rule.get_params():
        rule.set_params(n_folds=2)
    all_pass(LLKDClassifier(selection=rule, student=student, n_epochs=5), EXPECTED)


def test_no_check_fails_with_a_precomputed_teacher():
    classifier = TaughtByPrecomputed(
        refine=None, selection=LLKDSelection(), student=numeric_student(), n_epochs=5
    )
    all_pass(classifier, EXPECTED)


def test_no_check_fails_with_refined_labels():
    classifier = TaughtByCallable(student=numeric_student(), n_epochs=5)
    all_pass(classifier, EXPECTED | EXPECTED_REFINED)
