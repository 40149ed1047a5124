"""Interface of the students."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from typing_extensions import override

from skllkd._core.arrays import Float32Array, FloatArray, IntArray
from skllkd._core.nested import Defaults, set_nested


class Student(BaseEstimator, ABC):
    """Base class of the students.

    A student takes the pool in once (`begin_fit`), then predicts any rows of it
    (`predict_rows`) and is trained on any rows of it (`train_step`). After `end_fit`
    only the parts needed to predict are left.

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
    full_batches: ClassVar[bool] = True

    @property
    def takes_text(self) -> bool:
        """Whether the student learns from texts, or else from rows of numbers."""
        return True

    @property
    def requires_soft_targets(self) -> bool:
        """Whether the loss requires soft targets."""
        return False

    def check(self) -> None:
        """Raise `InvalidParameterError` if a parameter's value is not allowed.

        Called before labels are bought.
        """

    def try_loading(self) -> int:
        """Load the parts that training needs, so that a missing one is known in time.

        Called before labels are bought.

        Returns
        -------
        int
            The size of the weights that are to be saved, in bytes; 0 where not known.

        Raises
        ------
        SavedModelError
            If the pretrained encoder cannot be loaded.
        MissingDependencyError
            If a package is not installed.
        """
        return 0

    @override
    def set_params(self, **params: Any) -> Self:
        set_nested(self, params, self._defaults())
        return self

    def _defaults(self) -> Defaults:
        """Return the objects that parameters without nested ones stand for."""
        return {}

    def fast_proxy(self, n_epochs: int) -> tuple[Student, int]:
        """Return an untrained student that learns quickly, for cross-fitting.

        Parameters
        ----------
        n_epochs : int
            Epochs this student is trained for.

        Returns
        -------
        student : Student
            By default a clone of this one.
        n_epochs : int
            Epochs to train it for.
        """
        return clone(self), n_epochs

    @abstractmethod
    def begin_fit(
        self,
        texts: Any,
        n_classes: int,
        seed: int,
        *,
        multilabel: bool = False,
        resume: bool = False,
    ) -> None:
        """Prepare to learn from a pool.

        Parameters
        ----------
        texts : list of str, or ndarray of shape (n_rows, n_features)
            The pool.
        n_classes : int
            Number of classes.
        seed : int
            Seed of all randomness.
        multilabel : bool, default=False
            Whether a text has none, one or several of the classes. Each of them is then
            a question of its own: probabilities and targets are those of yes, columns
            do not depend on each other, and a weight of shape (n, n_classes) is that of
            each class's loss, of which the sum is taken.
        resume : bool, default=False
            Whether to go on from the weights learned before; the optimizer starts anew.

        Warns
        -----
        TruncationWarning
            If texts are longer than the encoder's window.
        """

    def warm_up(self, rows: IntArray, target: FloatArray, weight: FloatArray) -> None:
        """Prepare for the first step of a `fit`; by default nothing.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            Rows of the pool that may be learned from.
        target : ndarray of shape (n, n_classes)
            The teacher's distribution for each of them, or its probability of each class.
        weight : ndarray of shape (n,) or (n, n_classes)
            Weight of each row's loss, or of each class's.
        """

    def batches(self, batch_size: int, rng: np.random.RandomState) -> list[IntArray]:
        """Return the rows of the pool in shuffled batches, for one epoch.

        Parameters
        ----------
        batch_size : int
            Rows a batch.
        rng : RandomState
            Source of the order.

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
        """Number of rows of the pool."""

    @abstractmethod
    def predict_rows(self, rows: IntArray) -> FloatArray:
        """Return the student's probabilities for some rows of the pool.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            The rows.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Distributions, rows summing to 1; of several classes a text, the probability
            of each by itself.
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
            Distributions to learn; of several classes a text, the probability of each.
        weight : ndarray of shape (n,) or (n, n_classes)
            Weight of each row's loss; of several classes a text, of each class's.
        progress : float
            Share of training done, in (0, 1].

        Returns
        -------
        float
            The mean of weight times loss, in nats where it is cross-entropy; NaN where
            the student does not know it.
        """

    @abstractmethod
    def snapshot(self) -> Any:
        """Return the state learned so far.

        Returns
        -------
        object
            The argument of `restore`.
        """

    @abstractmethod
    def restore(self, snapshot: Any) -> None:
        """Return to the state of a snapshot.

        Parameters
        ----------
        snapshot : object
            As from `snapshot`.
        """

    @abstractmethod
    def end_fit(self) -> None:
        """Let go of the pool and of all that only training needs.

        Raises
        ------
        DivergedError
            If training has diverged: weights are not finite.
        """

    @abstractmethod
    def predict_proba(self, texts: Any) -> FloatArray:
        """Return the student's probabilities for texts.

        Parameters
        ----------
        texts : list of str, or ndarray of shape (n_rows, n_features)
            The texts; empty ones are answered as the student sees them.

        Returns
        -------
        ndarray of shape (n_texts, n_classes)
            Distributions, rows summing to 1; of several classes a text, the probability
            of each by itself.

        Warns
        -----
        TruncationWarning
            If texts are longer than the encoder's window.
        """

    def embed(self, texts: list[str], verbose: int = 0) -> Float32Array | None:
        """Return texts as the pretrained encoder reads them, before any training.

        Parameters
        ----------
        texts : list of str
            The texts.
        verbose : int, default=0
            Whether to show progress.

        Returns
        -------
        ndarray of shape (n_texts, n_features), or None
            The features, of any length; None from a student without an encoder.

        Raises
        ------
        SavedModelError
            If the encoder is not found, as after a move to another machine.
        """
        return None

    def without_cache(self) -> Student:
        """Return the student as it predicts texts it has never read, to time it.

        Returns
        -------
        Student
            The student; itself where it caches nothing.
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
