"""The seam every student fills: what learns from the selected rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone

from skllkd._core.arrays import FloatArray, IntArray


class Student(BaseEstimator, ABC):
    """Base class of the students.

    A student takes the pool in once (`start`), then answers for any rows of it what it
    believes (`rows_proba`) and learns from any rows of it (`train_step`). After
    `finish` only what predicting needs is left.

    See Also
    --------
    TransformerStudent : A pretrained text encoder, fine-tuned.
    SklearnStudent : A vectorizer and a linear model; seconds, no torch.

    Examples
    --------
    >>> from sklearn.linear_model import SGDClassifier
    >>> from skllkd.students import Student, as_student
    >>> student = as_student(SGDClassifier(loss="log_loss"))
    >>> isinstance(student, Student), student.takes_text
    (True, True)
    """

    #: Whether selected rows wait until they fill a batch before they are trained on.
    full_batches: bool = True

    @property
    def takes_text(self) -> bool:
        """Whether the student learns from texts, or else from rows of numbers."""
        return True

    @property
    def needs_distribution(self) -> bool:
        """Whether the loss makes no sense of pseudo-labels, only of distributions."""
        return False

    def check(self) -> None:
        """Raise if a parameter has a value that is not allowed.

        Called before labels are bought.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        """

    def second_opinion(self, n_epochs: int) -> tuple[Student, int]:
        """Return an untrained student to say quickly what can be learned from others.

        Parameters
        ----------
        n_epochs : int
            For how long this student is trained.

        Returns
        -------
        student : Student
            By default one as this.
        n_epochs : int
            For how long to train it.
        """
        return clone(self), n_epochs

    @abstractmethod
    def start(
        self, texts: Any, n_classes: int, seed: int, *, resume: bool = False
    ) -> None:
        """Prepare to learn from a pool.

        Parameters
        ----------
        texts : list of str, or ndarray of shape (n_rows, n_features)
            The pool.
        n_classes : int
            The number of classes.
        seed : int
            The seed of all randomness.
        resume : bool, default=False
            Whether to go on from what was learned before `finish`.
        """

    def warm_up(self, rows: IntArray, target: FloatArray, weight: FloatArray) -> None:
        """Learn what may be learned before the first step; by default nothing.

        Called once before the first step of a `fit`, not when going on.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            The rows of the pool that may be learned from.
        target : ndarray of shape (n, n_classes)
            The teacher's distribution for each of them.
        weight : ndarray of shape (n,)
            The weight of each row's loss.
        """

    def batches(self, batch_size: int, rng: np.random.RandomState) -> list[IntArray]:
        """Return the rows of the pool in shuffled batches, for one epoch.

        Parameters
        ----------
        batch_size : int
            Rows a batch.
        rng : RandomState
            The source of the order.

        Returns
        -------
        list of ndarray of int
            Every row once.
        """
        order = rng.permutation(self.n_rows)
        return [order[i : i + batch_size] for i in range(0, self.n_rows, batch_size)]

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """The size of the pool."""

    @abstractmethod
    def rows_proba(self, rows: IntArray) -> FloatArray:
        """Return the student's distributions for some rows of the pool.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            The rows.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Distributions, rows summing to 1.
        """

    @abstractmethod
    def train_step(
        self, rows: IntArray, target: FloatArray, weight: FloatArray, progress: float
    ) -> float:
        """Learn from some rows of the pool.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            The rows.
        target : ndarray of shape (n, n_classes)
            The distributions to learn.
        weight : ndarray of shape (n,)
            The weight of each row's loss.
        progress : float
            How much of training is done, in (0, 1].

        Returns
        -------
        float
            The loss, in nats where it is cross-entropy; NaN where the student does not
            know it.
        """

    @abstractmethod
    def snapshot(self) -> Any:
        """Return what was learned so far, to go back to.

        Returns
        -------
        object
            What `go_back` takes.
        """

    @abstractmethod
    def go_back(self, snapshot: Any) -> None:
        """Return to what was learned at a snapshot.

        Parameters
        ----------
        snapshot : object
            As from `snapshot`.
        """

    @abstractmethod
    def finish(self) -> None:
        """Let go of the pool and of all that only training needs."""

    @abstractmethod
    def predict_proba(self, texts: Any) -> FloatArray:
        """Return the student's distributions for texts.

        Parameters
        ----------
        texts : list of str, or ndarray of shape (n_rows, n_features)
            The texts.

        Returns
        -------
        ndarray of shape (n_texts, n_classes)
            Distributions, rows summing to 1.
        """

    def without_cache(self) -> Student:
        """Return the student as it predicts texts it has never read, to time it.

        Returns
        -------
        Student
            The student; itself where it remembers nothing of texts.
        """
        return self

    def portable(self) -> Student:
        """Return the student without anything that holds on this machine only.

        Returns
        -------
        Student
            The student itself, or a copy.
        """
        return self
