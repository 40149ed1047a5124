"""A vectorizer and an incremental scikit-learn classifier as the student."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.base import clone
from typing_extensions import override

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.nested import Defaults
from skllkd.exceptions import InvalidParameterError
from skllkd.students.base import Student

#: Smallest probability of each of several classes a text.
_NEVER = 1e-15


class SklearnStudent(Student):
    """A vectorizer and an incremental scikit-learn classifier.

    Seconds instead of minutes, and no torch: for quick looks, for grid searches, and
    where words alone decide the class. The loss is the classifier's own.

    Parameters
    ----------
    classifier : estimator, optional
        A scikit-learn classifier with `partial_fit`, `predict_proba` and sample
        weights. By default logistic regression by stochastic gradient descent.
    vectorizer : transformer or "passthrough", optional
        Turns texts into features; fitted on the pool, without labels. By default
        TF-IDF of words and word pairs. "passthrough" learns from rows of numbers as
        they are.

    Attributes
    ----------
    classifier_ : estimator or list of estimator
        The fitted classifier; of several classes a text, one for each class.
    vectorizer_ : transformer or None
        The fitted vectorizer; None for "passthrough".

    See Also
    --------
    TransformerStudent : A pretrained text encoder, fine-tuned.

    Notes
    -----
    The vocabulary of the default vectorizer, and with it each file of the fitted
    student, holds words and word pairs of the pool, names and numbers included. A
    `HashingVectorizer` keeps none.

    Examples
    --------
    >>> from sklearn.naive_bayes import MultinomialNB
    >>> from skllkd.students import SklearnStudent
    >>> SklearnStudent(MultinomialNB(alpha=0.1))
    SklearnStudent(classifier=MultinomialNB(alpha=0.1))
    """

    _learner: Learner

    def __init__(self, classifier: Any = None, *, vectorizer: Any = None) -> None:
        self.classifier = classifier
        self.vectorizer = vectorizer

    @override
    def _defaults(self) -> Defaults:
        return {"classifier": _default_classifier, "vectorizer": _default_vectorizer}

    @override
    def check(self) -> None:
        for method in ("partial_fit", "predict_proba"):
            if self.classifier is not None and not hasattr(self.classifier, method):
                raise InvalidParameterError(
                    f"`classifier` must have `{method}`; "
                    f"{type(self.classifier).__name__} has not. Use one that learns in "
                    "steps and gives probabilities, as SGDClassifier(loss='log_loss')."
                )

    @property
    @override
    def takes_text(self) -> bool:
        return not (
            isinstance(self.vectorizer, str) and self.vectorizer == "passthrough"
        )

    @override
    def begin_fit(
        self,
        texts: Any,
        n_classes: int,
        seed: int,
        *,
        multilabel: bool = False,
        resume: bool = False,
    ) -> None:
        if resume:
            self.restore(self.snapshot())  # a copy: the original may be needed yet
        else:
            self._learner = Learner(self._new_classifier(seed), n_classes)
            if multilabel:
                self._learner = LearnerPerClass(self._new_classifier(seed), n_classes)
            self.vectorizer_ = self._new_vectorizer()
            if self.vectorizer_ is not None:
                self._fit_vectorizer(texts)
        self._features = self._transform(texts)

    @property
    def classifier_(self) -> Any:
        """The fitted classifier; of several classes a text, one for each class."""
        return self._learner.classifier

    def _fit_vectorizer(self, texts: Any) -> None:
        """Fit the vectorizer, or raise that there is nothing in the texts for it."""
        try:
            self.vectorizer_.fit(texts)
        except ValueError as error:
            raise InvalidParameterError(
                f"the student's vectorizer cannot be fitted on the texts: {error}. Give "
                "texts with words, or another `vectorizer`."
            ) from error

    def _transform(self, texts: Any) -> Any:
        """Return the features of texts, or rows of numbers as they are."""
        return texts if self.vectorizer_ is None else self.vectorizer_.transform(texts)

    def _new_classifier(self, seed: int) -> Any:
        """Return an unfitted classifier."""
        classifier = clone(_default_classifier(self.classifier))
        if classifier.get_params().get("random_state", seed) is None:
            classifier.set_params(random_state=seed)
        return classifier

    def _new_vectorizer(self) -> Any:
        """Return an unfitted vectorizer, None for rows of numbers."""
        if not self.takes_text:
            return None
        return clone(_default_vectorizer(self.vectorizer))

    @property
    @override
    def n_rows(self) -> int:
        return int(self._features.shape[0])

    @override
    def predict_rows(self, rows: IntArray) -> FloatArray:
        return self._learner.proba(self._features[rows])

    @override
    def train_step(
        self, rows: IntArray, target: FloatArray, weight: FloatArray, progress: float
    ) -> float:
        self._learner.learn(self._features[rows], target, weight)
        return float("nan")

    @override
    def snapshot(self) -> Any:
        return copy.deepcopy(self._learner)

    @override
    def restore(self, snapshot: Any) -> None:
        self._learner = copy.deepcopy(snapshot)

    @override
    def end_fit(self) -> None:
        del self._features

    @override
    def predict_proba(self, texts: Any) -> FloatArray:
        return self._learner.proba(self._transform(texts))


class Learner:
    """A classifier that learns in steps, and knows nothing before the first."""

    def __init__(self, classifier: Any, n_classes: int) -> None:
        self.classifier, self._n_classes = classifier, n_classes
        self._started = False

    def learn(self, features: Any, target: FloatArray, weight: FloatArray) -> None:
        """Learn rows with their distributions and weights."""
        row, label = np.nonzero(target > 1e-6)
        if not weight[row].any():  # which scikit-learn refuses
            return
        self.classifier.partial_fit(
            features[row],
            label,
            classes=np.arange(self._n_classes),
            sample_weight=weight[row] * target[row, label],
        )
        self._started = True

    def proba(self, features: Any) -> FloatArray:
        """Return distributions; uniform before anything was learned."""
        if not self._started:
            return np.full((features.shape[0], self._n_classes), 1 / self._n_classes)
        proba: FloatArray = self.classifier.predict_proba(features)
        return proba


class LearnerPerClass(Learner):
    """A classifier for each of the classes of which a text has several."""

    def __init__(self, classifier: Any, n_classes: int) -> None:
        self._learners = [Learner(clone(classifier), 2) for _ in range(n_classes)]

    @property
    def classifier(self) -> list[Any]:
        """The classifiers."""
        return [learner.classifier for learner in self._learners]

    @override
    def learn(self, features: Any, target: FloatArray, weight: FloatArray) -> None:
        for k, learner in enumerate(self._learners):
            rows = np.flatnonzero(weight[:, k])  # those that are trained on for others
            answers = np.column_stack([1 - target[rows, k], target[rows, k]])
            learner.learn(features[rows], answers, weight[rows, k])

    @override
    def proba(self, features: Any) -> FloatArray:
        yes = [learner.proba(features)[:, 1] for learner in self._learners]
        # Neither 0 nor 1, whose log-odds are infinite; scikit-learn's checks ask for it.
        return np.clip(np.column_stack(yes), _NEVER, 1 - _NEVER)


def _default_classifier(given: Any) -> Any:
    """Return the classifier given, by default logistic regression by gradient descent."""
    if given is not None:
        return given
    from sklearn.linear_model import SGDClassifier  # slow to import

    return SGDClassifier(
        loss="log_loss", alpha=1e-6, learning_rate="adaptive", eta0=0.5
    )


def _default_vectorizer(given: Any) -> Any:
    """Return the vectorizer given, by default TF-IDF of words and word pairs."""
    if given is not None:
        return given
    from sklearn.feature_extraction.text import TfidfVectorizer  # slow to import

    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, dtype=np.float64)
