"""Texts that say how a student and a teacher answer them: no training, no model."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

CLASSES = ["ham", "spam"]


class ToldStudent(ClassifierMixin, BaseEstimator):
    """Read confidence and label off a text such as "7 0.93 spam ham"."""

    def __init__(self):
        self.n_fits = 0

    def fit(self, X, y=None):
        self.classes_ = np.array(CLASSES)
        self.learned_ = list(X)
        self.y_ = y
        return self

    def predict_proba(self, X):
        sure = np.array([float(text.split()[1]) for text in X])
        spam = np.array([text.split()[2] == "spam" for text in X])
        p_spam = np.where(spam, sure, 1 - sure)
        return np.column_stack([1 - p_spam, p_spam])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        tags.target_tags.required = False
        return tags


class ToldTeacher:
    """Say the last word of a text, and remember what was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        self.asked += texts
        return [text.split()[3] for text in texts]


def told_texts(n, seed=0, error=None):
    """Return texts of a calibrated student, or of one with a constant share of errors."""
    rng = np.random.default_rng(seed)
    sure = 0.5 + 0.5 * rng.beta(4, 0.8, n)
    wrong = rng.random(n) < (1 - sure if error is None else error)
    said = rng.integers(2, size=n)
    truth = np.where(wrong, 1 - said, said)
    return [
        f"{seed}.{i} {sure[i]:.6f} {CLASSES[said[i]]} {CLASSES[truth[i]]}"
        for i in range(n)
    ]
