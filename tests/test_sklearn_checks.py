"""Some of scikit-learn's checks, on numbers; tests/integration runs all of them."""

import pytest
from sklearn.linear_model import SGDClassifier
from sklearn.utils.estimator_checks import estimator_checks_generator
from skllkd import LLKDClassifier
from skllkd.students import SklearnStudent

QUICK = [
    "check_dont_overwrite_parameters",
    "check_dict_unchanged",
    "check_estimators_overwrite_params",
    "check_estimators_dtypes",
    "check_estimators_nan_inf",
    "check_fit_check_is_fitted",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_f_contiguous_array_estimator",
    "check_classifiers_one_label",
    "check_methods_subset_invariance",
]


@pytest.fixture(scope="module")
def checks():
    """Return scikit-learn's checks by name, each with the classifier it is run on."""
    student = SklearnStudent(
        SGDClassifier(loss="log_loss", alpha=1e-3), vectorizer="passthrough"
    )
    classifier = LLKDClassifier(student=student, n_epochs=2)
    return {
        check.func.__name__: (check, estimator)
        for estimator, check in estimator_checks_generator(classifier)
    }


@pytest.mark.parametrize("name", QUICK)
def test_check_passes(name, checks):
    check, classifier = checks[name]
    check(classifier)
