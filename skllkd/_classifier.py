"""LLKDClassifier: from unlabeled text and a teacher to a small classifier."""

from __future__ import annotations

import os
import time
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skllkd import _persistence
from skllkd._cloning import clone_sharing
from skllkd._progress import progress_bar
from skllkd._validation import (
    FloatArray,
    IntArray,
    as_classes,
    as_texts,
    check_number,
    check_option,
    nan_rows,
)
from skllkd.exceptions import (
    InvalidClassesError,
    InvalidParameterError,
    MissingLabelWarning,
    SkllkdWarning,
    TeacherOutputError,
    UnchosenClassError,
    UnchosenClassWarning,
)
from skllkd.selection import LLKDSelection, Selected, Selection
from skllkd.students import Student, as_student
from skllkd.teachers import TeacherLabels, as_teacher, log_prob_of_output


class LLKDClassifier(ClassifierMixin, BaseEstimator):
    """A text classifier that learns from unlabeled text and a teacher.

    The teacher, a language model for instance, labels the texts once. The student, a
    small transformer, learns from them, at each step only from those the selection
    keeps: with LLKD, texts whose label is confident and about which the student is
    still uncertain.

    Parameters
    ----------
    teacher : Teacher or callable, optional
        Who labels the texts: a teacher of `skllkd.teachers`, or a function of a list
        of texts (see `CallableTeacher`). None if `fit` is given labels bought
        elsewhere as `y`.
    classes : sequence or mapping
        The class names, or each name with a description for the teacher. A teacher's
        columns follow this order. May be None without a teacher.
    selection : Selection, optional
        Which texts the student learns from at each step. By default
        `LLKDSelection()`.
    student : Student or estimator, optional
        What learns: a student of `skllkd.students`, or a scikit-learn classifier with
        `partial_fit` and `predict_proba`. By default `TransformerStudent()`.
    n_epochs : int, default=3
        How often every text is presented.
    batch_size : int, default=32
        Texts presented, and texts trained on, at a step.
    unchosen : {"raise", "warn"}, default="raise"
        What to do about a class the teacher chose for no text: the student cannot
        learn it.
    random_state : int, RandomState or None, default=None
        The source of all randomness.
    verbose : int, default=1
        Whether to show progress, on standard error, on work of over two seconds.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class names, sorted: the order of `predict_proba`'s columns.
    student_ : Student
        The trained student.
    selection_ : Selection
        The selection after training, with what it learned.
    teacher_proba_ : ndarray of shape (n_texts, n_classes)
        The teacher's calibrated distribution for each text given to `fit`; a row of
        NaN where it has none.
    pseudo_labels_ : ndarray of shape (n_texts,), object
        The class the teacher finds likeliest; None where there is none.
    label_mass_ : ndarray of shape (n_texts,)
        The probability the teacher's model put on any of the labels, in [0, 1]; NaN
        where not known.
    times_selected_ : ndarray of shape (n_texts,), int
        How often each text was selected.
    teacher_thresholds_, student_thresholds_ : ndarray of shape (n_steps, n_classes)
        The selection's thresholds after each step, columns as `classes_`; only where
        the selection has them.
    history_ : dict of str to ndarray
        What happened at each step, arrays of shape (n_steps,): "epoch",
        "n_presented", "n_selected", and "loss", the mean loss in nats of the training
        steps taken at it (NaN for none).
    n_teacher_calls_ : int
        How many texts the teacher's model was asked about.
    n_teacher_calls_saved_ : int
        How many needed no call: their answer was stored, or they repeat others.
    seconds_ : dict of str to float
        Wall time of "labelling" and "training".

    See Also
    --------
    skllkd.teachers : The teachers.
    skllkd.selection : The selection strategies.
    skllkd.students : The students.

    Notes
    -----
    With a teacher, `y` is accepted and never trained on: `GridSearchCV` passes gold
    labels to `fit`, and training on them would make its scores meaningless.

    Once fitted and pickled, or saved, the classifier holds no teacher and no path of
    this machine: it predicts anywhere, and needs a teacher again only to be refitted.

    References
    ----------
    .. [1] Li et al., "Learning with Less: Knowledge Distillation from Large
       Language Models via Unlabeled Data", Findings of NAACL 2025,
       arXiv:2411.08028.

    Examples
    --------
    >>> from skllkd import LLKDClassifier
    >>> from skllkd.students import SklearnStudent
    >>> def keyword_teacher(texts):
    ...     return ["billing" if "card" in text else "outage" for text in texts]
    >>> texts = ["my card was charged twice", "nothing loads",
    ...          "the card was declined", "the site is down"]
    >>> clf = LLKDClassifier(
    ...     keyword_teacher, ["billing", "outage"], student=SklearnStudent(),
    ...     random_state=0,
    ... ).fit(texts)
    >>> clf.predict(["they charged my card"])
    array(['billing'], dtype='<U7')
    """

    def __init__(
        self,
        teacher: Any = None,
        classes: Any = None,
        *,
        selection: Selection | None = None,
        student: Any = None,
        n_epochs: int = 3,
        batch_size: int = 32,
        unchosen: str = "raise",
        random_state: Any = None,
        verbose: int = 1,
    ) -> None:
        self.teacher = teacher
        self.classes = classes
        self.selection = selection
        self.student = student
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.unchosen = unchosen
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> LLKDClassifier:
        """Label the texts with the teacher and train the student on them.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts: a list, an array, a Series, or another column of strings.
        y : array-like of shape (n_texts,), optional
            Without a teacher, labels bought elsewhere; None or NaN where there is
            none. With a teacher, ignored.

        Returns
        -------
        LLKDClassifier
            The fitted classifier.

        Raises
        ------
        InvalidTextsError, InvalidClassesError, InvalidParameterError
            If the input or a parameter is not allowed.
        TeacherOutputError
            If the teacher's answer is no labelling of the texts.
        UnchosenClassError
            If the teacher chose a class for no text, unless `unchosen="warn"`.

        Warns
        -----
        MissingLabelWarning
            If texts have no label; they take no part in training.
        TruncationWarning
            If texts are longer than a model's window.
        """
        texts = as_texts(X)
        self._check_parameters()
        start = time.perf_counter()
        labels = self._in_class_order(self._labels(texts, y))
        self.seconds_ = {"labelling": time.perf_counter() - start}

        self.teacher_proba_ = labels.proba
        self.label_mass_ = labels.label_mass
        self.n_teacher_calls_ = labels.n_asked
        self.n_teacher_calls_saved_ = labels.n_reused if self.teacher is not None else 0
        labelled = np.flatnonzero(~labels.missing)
        if not len(labelled):
            raise TeacherOutputError(
                f"none of the {len(texts)} texts has a usable teacher label, so there is "
                "nothing to learn from. Look at what the teacher answers: "
                "teacher.label(texts[:5], classes)."
            )
        proba = self.teacher_proba_[labelled]
        self.pseudo_labels_ = np.full(len(texts), None, dtype=object)
        self.pseudo_labels_[labelled] = self.classes_[proba.argmax(axis=1)]
        self._check_every_class_chosen(proba)

        random_state = check_random_state(self.random_state)
        selection = LLKDSelection() if self.selection is None else self.selection
        self.selection_: Selection = clone(selection)
        self.student_: Student = clone(as_student(self.student))
        start = time.perf_counter()
        seed = int(random_state.randint(2**31 - 1))
        self.student_.start([texts[row] for row in labelled], len(self.classes_), seed)
        times_selected = self._train(proba, random_state)
        self.student_.finish()
        self.seconds_["training"] = time.perf_counter() - start

        self.times_selected_ = np.zeros(len(texts), dtype=np.int64)
        self.times_selected_[labelled] = times_selected
        for name in ("teacher_thresholds_", "student_thresholds_"):
            self.__dict__.pop(name, None)
            if hasattr(self.selection_, name):
                setattr(self, name, getattr(self.selection_, name))
        return self

    def _train(
        self, proba: FloatArray, random_state: np.random.RandomState
    ) -> IntArray:
        """Train the student on the rows the selection keeps; return how often each was.

        Every step presents a batch of the pool. The rows kept wait until they fill a
        batch, which then is trained on, so that a backward pass is never half empty.
        """
        student, selection = self.student_, self.selection_
        n_rows, n_classes = proba.shape
        pseudo_label = proba.argmax(axis=1)
        n_steps = self.n_epochs * -(-n_rows // self.batch_size)
        selection.reset(n_classes, n_steps, random_state, proba)
        waiting = _Waiting(n_classes)
        times_selected = np.zeros(n_rows, dtype=np.int64)
        history: list[tuple[int, int, int, float]] = []

        with progress_bar(
            self.n_epochs * n_rows, "student", "text", self.verbose
        ) as bar:
            for epoch in range(self.n_epochs):
                for rows in student.batches(self.batch_size, random_state):
                    step = len(history)
                    student_proba = (
                        student.rows_proba(rows) if selection.uses_student else None
                    )
                    kept = selection.select(
                        pseudo_label[rows], proba[rows], student_proba, step
                    )
                    times_selected[rows[kept.mask]] += 1
                    waiting.add(rows, pseudo_label[rows], kept)
                    last = step == n_steps - 1
                    losses = [
                        student.train_step(*batch, (step + 0.5) / n_steps)
                        for batch in waiting.full_batches(self.batch_size, last)
                    ]
                    loss = float(np.mean(losses)) if losses else float("nan")
                    history.append((epoch, len(rows), int(kept.mask.sum()), loss))
                    bar.update(len(rows))

        columns = map(np.array, zip(*history, strict=True))
        names = ("epoch", "n_presented", "n_selected", "loss")
        self.history_ = dict(zip(names, columns, strict=True))
        if not times_selected.any():
            warnings.warn(
                f"{type(selection).__name__} kept none of the {n_rows} texts, so the "
                "student learned nothing. Loosen the selection.",
                SkllkdWarning,
                stacklevel=3,
            )
        return times_selected

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the class of each text.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts.

        Returns
        -------
        ndarray of shape (n_texts,)
            Class names.
        """
        likeliest = self._proba(X).argmax(axis=1)
        predicted: npt.NDArray[Any] = self.classes_[likeliest]
        return predicted

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the student's distribution over the classes for each text.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts.

        Returns
        -------
        ndarray of shape (n_texts, n_classes)
            Distributions, columns as `classes_`, rows summing to 1.
        """
        return self._proba(X)

    def _proba(self, X: Any) -> FloatArray:
        """Return the student's distributions."""
        check_is_fitted(self, "student_")
        return self.student_.predict_proba(as_texts(X))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy against labels, or the agreement with the teacher.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts.
        y : array-like of shape (n_texts,), optional
            Their gold labels. Without, the teacher is asked about texts it has not
            labelled before, and the score is the mean probability its calibrated
            distribution gives to the student's prediction.
        sample_weight : array-like of shape (n_texts,), optional
            The weight of each text.

        Returns
        -------
        float
            The score, in [0, 1].

        Raises
        ------
        InvalidParameterError
            If there are neither labels nor a teacher.
        """
        check_is_fitted(self, "student_")
        texts = as_texts(X)
        if y is not None:
            return float(super().score(texts, y, sample_weight=sample_weight))
        if self.teacher is None:
            raise InvalidParameterError(
                "`score` without `y` measures the agreement with the teacher, and this "
                "classifier has none (a loaded one has left it behind). Give `y`, or "
                "set_params(teacher=...)."
            )
        predicted = self.predict(texts)
        labels = as_teacher(self.teacher).label(
            texts, self._classes, class_bias=self._class_bias, verbose=self.verbose
        )
        proba = self._in_class_order(labels).proba
        place = np.searchsorted(self.classes_, predicted)
        agreement = proba[np.arange(len(texts)), place]
        known = ~labels.missing
        if not known.any():
            raise TeacherOutputError("the teacher has no usable label for these texts.")
        weight = None if sample_weight is None else np.asarray(sample_weight)[known]
        return float(np.average(agreement[known], weights=weight))

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the fitted classifier to a folder, without pickle.

        The folder holds JSON, safetensors and the tokenizer: nothing in it runs when
        it is loaded. The teacher is left behind.

        Parameters
        ----------
        folder : str or Path
            The folder; created when missing. What it holds of an earlier save is
            overwritten.
        """
        check_is_fitted(self, "student_")
        _persistence.save(self, Path(folder))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> LLKDClassifier:
        """Return the classifier a folder holds.

        Parameters
        ----------
        folder : str or Path
            As written by `save`.

        Returns
        -------
        LLKDClassifier
            The fitted classifier, without its teacher.

        Raises
        ------
        SavedModelError
            If the folder holds no classifier this version can load.
        """
        return _persistence.load(cls(), Path(folder))

    def _labels(self, texts: list[str], y: Any) -> TeacherLabels:
        """Return the labels to learn from: the teacher's, or those in `y`."""
        if self.teacher is not None:
            self._classes = as_classes(self.classes)
            teacher = as_teacher(self.teacher)
            labels = teacher.label(texts, self._classes, verbose=self.verbose)
            self._class_bias = labels.class_bias
            return labels
        if y is None:
            raise InvalidParameterError(
                "`fit` needs a `teacher`, or labels bought elsewhere as `y`; got "
                "neither. Set teacher=..., or call fit(X, y)."
            )
        self._class_bias = None
        given = np.asarray(y, dtype=object)
        if given.shape != (len(texts),):
            raise InvalidParameterError(
                f"`y` must hold one label a text; got shape {given.shape} for "
                f"{len(texts)} texts."
            )
        known = [label for label in given if label is not None and label == label]
        named = sorted(set(known)) if self.classes is None else self.classes
        self._classes = as_classes(named)
        log_prob = log_prob_of_output(given, len(texts), self._classes)
        n_missing = int(nan_rows(log_prob).sum())
        if n_missing:
            warnings.warn(
                f"{n_missing} of {len(texts)} texts have no label in `y`. They take no "
                "part in training.",
                MissingLabelWarning,
                stacklevel=3,
            )
        nothing = np.full(len(texts), np.nan)
        return TeacherLabels(self._classes.names, log_prob, nothing)

    def _in_class_order(self, labels: TeacherLabels) -> TeacherLabels:
        """Return labels with their columns sorted by class name, as `classes_` is."""
        self.classes_ = np.unique(np.array(labels.classes))
        order = [labels.classes.index(name) for name in self.classes_.tolist()]
        bias = labels.class_bias
        return replace(
            labels,
            classes=tuple(self.classes_.tolist()),
            log_prob=labels.log_prob[:, order],
            class_bias=None if bias is None else bias[order],
        )

    def _check_every_class_chosen(self, proba: FloatArray) -> None:
        """Raise or warn if a class is the likeliest of no text."""
        counts = np.bincount(proba.argmax(axis=1), minlength=len(self.classes_))
        absent = self.classes_[counts == 0].tolist()
        if not absent:
            return
        shown = ", ".join(map(repr, absent[:5])) + (", ..." if len(absent) > 5 else "")
        message = (
            f"the teacher chose {len(absent)} of the {len(counts)} `classes` for none of "
            f"the {len(proba)} texts: {shown}. The student cannot learn "
            f"{'it' if len(absent) == 1 else 'them'}."
        )
        if self.unchosen == "raise":
            raise UnchosenClassError(
                f"{message} Describe the class better (classes={{name: description}}), "
                "drop it, or set unchosen='warn' to go on without. The labels bought are "
                "kept."
            )
        warnings.warn(message, UnchosenClassWarning, stacklevel=3)

    def _check_parameters(self) -> None:
        """Raise if a parameter has a value that is not allowed."""
        check_number(self.n_epochs, "n_epochs", 1, integer=True)
        check_number(self.batch_size, "batch_size", 1, integer=True)
        check_option(self.unchosen, "unchosen", ["raise", "warn"])
        if self.selection is not None and not hasattr(self.selection, "select"):
            raise InvalidParameterError(
                "`selection` must be a strategy of skllkd.selection; got "
                f"{type(self.selection).__name__}."
            )
        if self.classes is None and self.teacher is not None:
            raise InvalidClassesError(
                "`classes` must name the labels the teacher chooses from; got None. "
                "E.g. classes=['spam', 'ham']."
            )

    def __sklearn_clone__(self) -> LLKDClassifier:
        """Return an unfitted clone; a plain callable as teacher is shared with it."""
        return clone_sharing(self, "teacher")

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled; once fitted, without the teacher."""
        state = dict(super().__getstate__())
        if "student_" in state:
            state["teacher"] = None
            if isinstance(self.student, Student):
                state["student"] = self.student.portable()
        return state

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn may expect: one column of strings, no labels."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.target_tags.required = self.teacher is None
        return tags


class _Waiting:
    """Rows that were selected and wait to fill a batch.

    Parameters
    ----------
    n_classes : int
        The number of classes.
    """

    def __init__(self, n_classes: int) -> None:
        self._one_hot = np.eye(n_classes)
        self._rows: deque[tuple[int, FloatArray, float]] = deque()

    def add(self, rows: IntArray, pseudo_label: IntArray, kept: Selected) -> None:
        """Take in the rows of a batch that were kept."""
        target = self._one_hot[pseudo_label] if kept.target is None else kept.target
        for place in np.flatnonzero(kept.mask):
            self._rows.append((rows[place], target[place], float(kept.weight[place])))

    def full_batches(
        self, batch_size: int, last: bool
    ) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
        """Yield (rows, targets, weights) a batch at a time; what is left at the end."""
        while len(self._rows) >= batch_size or (last and self._rows):
            size = min(batch_size, len(self._rows))
            taken = [self._rows.popleft() for _ in range(size)]
            rows, target, weight = zip(*taken, strict=True)
            yield np.array(rows), np.array(target), np.array(weight)


__all__ = ["LLKDClassifier"]
