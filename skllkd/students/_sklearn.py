"""A vectorizer and an incremental scikit-learn classifier as the student."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from skllkd._validation import FloatArray, IntArray
from skllkd.exceptions import InvalidParameterError
from skllkd.students._base import Student


class SklearnStudent(Student):
    """A vectorizer and an incremental scikit-learn classifier.

    Seconds instead of minutes, and no torch: for quick looks, for grid searches, and
    where words alone decide the class.

    Parameters
    ----------
    classifier : estimator, optional
        A scikit-learn classifier with `partial_fit`, `predict_proba` and sample
        weights. By default logistic regression by stochastic gradient descent.
    vectorizer : transformer, optional
        Turns texts into features; fitted on the pool, without labels. By default
        TF-IDF of words and word pairs.

    Attributes
    ----------
    classifier_ : estimator
        The fitted classifier.
    vectorizer_ : transformer
        The fitted vectorizer.

    See Also
    --------
    TransformerStudent : A pretrained text encoder, fine-tuned.

    Examples
    --------
    >>> from sklearn.naive_bayes import MultinomialNB
    >>> from skllkd.students import SklearnStudent
    >>> SklearnStudent(MultinomialNB(alpha=0.1))
    SklearnStudent(classifier=MultinomialNB(alpha=0.1))
    """

    def __init__(self, classifier: Any = None, *, vectorizer: Any = None) -> None:
        self.classifier = classifier
        self.vectorizer = vectorizer

    def check(self) -> None:
        """Raise if the classifier cannot learn in steps.

        Raises
        ------
        InvalidParameterError
            If it has no `partial_fit` or no `predict_proba`.
        """
        for method in ("partial_fit", "predict_proba"):
            if self.classifier is not None and not hasattr(self.classifier, method):
                raise InvalidParameterError(
                    f"`classifier` must have `{method}`; "
                    f"{type(self.classifier).__name__} has not. Use one that learns in "
                    "steps and gives probabilities, as SGDClassifier(loss='log_loss')."
                )

    def start(self, texts: list[str], n_classes: int, seed: int) -> None:
        """Fit the vectorizer on the pool.

        Parameters
        ----------
        texts : list of str
            The pool.
        n_classes : int
            The number of classes.
        seed : int
            The seed given to the classifier, unless it has one.
        """
        self.classifier_ = self._new_classifier(seed)
        self.vectorizer_ = self._new_vectorizer()
        self._features = self.vectorizer_.fit_transform(texts)
        self._n_classes = n_classes
        self._started = False

    def _new_classifier(self, seed: int) -> Any:
        """Return an unfitted classifier."""
        if self.classifier is None:
            from sklearn.linear_model import SGDClassifier

            return SGDClassifier(
                loss="log_loss",
                alpha=1e-6,
                learning_rate="adaptive",
                eta0=0.5,
                random_state=seed,
            )
        classifier = clone(self.classifier)
        if classifier.get_params().get("random_state", seed) is None:
            classifier.set_params(random_state=seed)
        return classifier

    def _new_vectorizer(self) -> Any:
        """Return an unfitted vectorizer."""
        if self.vectorizer is None:
            from sklearn.feature_extraction.text import TfidfVectorizer

            return TfidfVectorizer(
                ngram_range=(1, 2), sublinear_tf=True, dtype=np.float64
            )
        return clone(self.vectorizer)

    @property
    def n_rows(self) -> int:
        """The size of the pool."""
        return int(self._features.shape[0])

    def rows_proba(self, rows: IntArray) -> FloatArray:
        """Return the student's distributions for some rows of the pool.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            The rows.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Distributions; uniform before the first step.
        """
        return self._proba(self._features[rows])

    def train_step(
        self, rows: IntArray, target: FloatArray, weight: FloatArray, progress: float
    ) -> float:
        """Learn from some rows: a distribution is a row for each class it holds.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            The rows.
        target : ndarray of shape (n, n_classes)
            The distributions to learn.
        weight : ndarray of shape (n,)
            The weight of each row's loss.
        progress : float
            Unused.

        Returns
        -------
        float
            NaN: the classifier does not tell.
        """
        place, label = np.nonzero(target > 1e-6)
        self.classifier_.partial_fit(
            self._features[rows[place]],
            label,
            classes=np.arange(self._n_classes),
            sample_weight=weight[place] * target[place, label],
        )
        self._started = True
        return float("nan")

    def finish(self) -> None:
        """Let go of the pool."""
        del self._features

    def predict_proba(self, texts: list[str]) -> FloatArray:
        """Return the student's distributions for texts.

        Parameters
        ----------
        texts : list of str
            The texts.

        Returns
        -------
        ndarray of shape (n_texts, n_classes)
            Distributions, rows summing to 1.
        """
        return self._proba(self.vectorizer_.transform(texts))

    def _proba(self, features: Any) -> FloatArray:
        """Return distributions; uniform before anything was learned."""
        if not self._started:
            return np.full((features.shape[0], self._n_classes), 1 / self._n_classes)
        proba: FloatArray = self.classifier_.predict_proba(features)
        return proba
