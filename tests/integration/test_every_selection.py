"""scikit-learn's checks with every exported selection."""

import pytest
from sklearn.linear_model import SGDClassifier
from sklearn.utils.estimator_checks import check_estimator
from skllkd import LLKDClassifier
from skllkd.students import SklearnStudent

from tests.selection.test_contract import STRATEGIES
from tests.test_sklearn_checks import EXPECTED


@pytest.mark.filterwarnings("ignore::skllkd.exceptions.SkllkdWarning")
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.EstimatorCheckFailedWarning")
def test_no_check_fails(strategy):
    student = SklearnStudent(
        SGDClassifier(loss="log_loss", alpha=1e-3), vectorizer="passthrough"
    )
    classifier = LLKDClassifier(selection=strategy(), student=student, n_epochs=5)
    results = check_estimator(
        classifier, expected_failed_checks=EXPECTED, on_fail=None, on_skip=None
    )
    failed = {r["check_name"]: r["exception"] for r in results}
    status = {r["check_name"]: r["status"] for r in results}
    assert not {n: failed[n] for n in failed if status[n] == "failed"}
    assert sum(found == "passed" for found in status.values()) >= 50
