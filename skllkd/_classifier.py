"""LLKDClassifier: from unlabeled text and a teacher to a small classifier."""

from __future__ import annotations

import copy
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skllkd import _persistence
from skllkd._cloning import clone_sharing
from skllkd._distillation import distil
from skllkd._labelling import columns_in_order, labels_in_y, likeliest_names
from skllkd._validation import (
    Classes,
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
    TeacherOutputError,
    UnchosenClassError,
    UnchosenClassWarning,
)
from skllkd.selection import LLKDSelection, Selection
from skllkd.students import Student, as_student
from skllkd.teachers import TeacherLabels, as_teacher


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
        random_state = check_random_state(self.random_state)
        selection, student = self._new_selection(), self._new_student()
        start = time.perf_counter()
        labels, given_classes = self._labels(texts, y)
        class_names = np.unique(np.array(given_classes.names))
        proba = columns_in_order(labels.proba, given_classes, class_names)
        labelled = self._usable(proba, class_names)
        labelling_done = time.perf_counter()

        seed = int(random_state.randint(2**31 - 1))
        student.start([texts[row] for row in labelled], len(class_names), seed)
        course = distil(
            student,
            selection,
            proba[labelled],
            n_epochs=self.n_epochs,
            batch_size=self.batch_size,
            random_state=random_state,
            verbose=self.verbose,
        )
        student.finish()

        # Nothing is learned until all went well: a fit that fails changes nothing.
        self.classes_ = class_names
        self.student_, self.selection_ = student, selection
        self._given_classes, self._class_bias = given_classes, labels.class_bias
        self.teacher_proba_, self.label_mass_ = proba, labels.label_mass
        self.pseudo_labels_ = likeliest_names(proba, class_names)
        self.times_selected_ = np.zeros(len(texts), dtype=np.int64)
        self.times_selected_[labelled] = course.times_selected
        self.history_ = course.history
        self.n_teacher_calls_ = labels.n_asked
        self.n_teacher_calls_saved_ = labels.n_reused
        self.seconds_ = {
            "labelling": labelling_done - start,
            "training": time.perf_counter() - labelling_done,
        }
        for name in ("teacher_thresholds_", "student_thresholds_"):
            self.__dict__.pop(name, None)
            if hasattr(selection, name):
                setattr(self, name, getattr(selection, name))
        return self

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
        labels = as_teacher(self.teacher).label(
            texts,
            self._given_classes,
            class_bias=self._class_bias,
            verbose=self.verbose,
        )
        known = np.flatnonzero(~labels.missing)
        if not len(known):
            raise TeacherOutputError("the teacher has no usable label for these texts.")
        proba = columns_in_order(labels.proba, self._given_classes, self.classes_)
        agreement = proba[known, self._proba(texts).argmax(axis=1)[known]]
        weight = None if sample_weight is None else np.asarray(sample_weight)[known]
        return float(np.average(agreement, weights=weight))

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

    def _labels(self, texts: list[str], y: Any) -> tuple[TeacherLabels, Classes]:
        """Return the labels to learn from, the teacher's or those in `y`."""
        if self.teacher is None:
            return labels_in_y(texts, y, self.classes)
        classes = as_classes(self.classes)
        teacher = as_teacher(self.teacher)
        return teacher.label(texts, classes, verbose=self.verbose), classes

    def _usable(self, proba: FloatArray, class_names: npt.NDArray[Any]) -> IntArray:
        """Return the labelled rows; raise or warn if they leave a class out."""
        labelled = np.flatnonzero(~nan_rows(proba))
        if not len(labelled):
            raise TeacherOutputError(
                f"none of the {len(proba)} texts has a usable teacher label, so there is "
                "nothing to learn from. Look at what the teacher answers: "
                "teacher.label(texts[:5], classes)."
            )
        chosen = proba[labelled].argmax(axis=1)
        counts = np.bincount(chosen, minlength=len(class_names))
        absent = class_names[counts == 0].tolist()
        if not absent:
            return labelled
        shown = ", ".join(map(repr, absent[:5])) + (", ..." if len(absent) > 5 else "")
        message = (
            f"the teacher chose {len(absent)} of the {len(counts)} `classes` for none of "
            f"the {len(labelled)} texts: {shown}. The student cannot learn "
            f"{'it' if len(absent) == 1 else 'them'}."
        )
        if self.unchosen == "raise":
            raise UnchosenClassError(
                f"{message} Describe the class better (classes={{name: description}}), "
                "drop it, or set unchosen='warn' to go on without. The labels bought are "
                "kept."
            )
        warnings.warn(message, UnchosenClassWarning, stacklevel=3)
        return labelled

    def _new_selection(self) -> Selection:
        """Return an unused selection whose parameters are allowed."""
        if self.selection is None:
            return LLKDSelection()
        if not isinstance(self.selection, Selection):
            raise InvalidParameterError(
                "`selection` must be a strategy of skllkd.selection; got "
                f"{type(self.selection).__name__}."
            )
        selection: Selection = clone(self.selection)
        selection.check()
        return selection

    def _new_student(self) -> Student:
        """Return an untrained student whose parameters are allowed."""
        student: Student = clone(as_student(self.student))
        student.check()
        return student

    def _check_parameters(self) -> None:
        """Raise if a parameter has a value that is not allowed."""
        check_number(self.n_epochs, "n_epochs", 1, integer=True)
        check_number(self.batch_size, "batch_size", 1, integer=True)
        check_option(self.unchosen, "unchosen", ["raise", "warn"])
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

    def __deepcopy__(self, memo: dict[int, Any]) -> LLKDClassifier:
        """Return a copy that, unlike a pickle, keeps its teacher."""
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn may expect: one column of strings, no labels."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.target_tags.required = self.teacher is None
        return tags


__all__ = ["LLKDClassifier"]
