"""LLKDClassifier: from unlabeled text and a teacher to a small classifier."""

from __future__ import annotations

import copy
import os
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils._repr_html.estimator import estimator_html_repr
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from skllkd._core.arrays import FloatArray, IntArray, nan_rows
from skllkd._core.classes import Classes, as_classes
from skllkd._core.cloning import add_later_parameters, clone_sharing
from skllkd._core.params import check_number, check_option
from skllkd._core.streaming import predict_in_chunks
from skllkd._core.texts import as_texts
from skllkd.exceptions import (
    InvalidClassesError,
    InvalidParameterError,
    SkllkdWarning,
    TeacherOutputError,
    UnchosenClassError,
    UnchosenClassWarning,
)
from skllkd.inspection.report import Report, make_report, summary_html
from skllkd.persistence import folder as _persistence
from skllkd.persistence.model_card import check_card, write_card
from skllkd.persistence.onnx_export import ONNXExport, export
from skllkd.selection import AcceptReject, Pool, RankedImportance, Selection
from skllkd.students import Student, as_student
from skllkd.teachers import TeacherLabels, as_teacher
from skllkd.training.acquisition import label_in_rounds
from skllkd.training.cross_fit import out_of_fold_proba
from skllkd.training.log import Callback, TrainingLog
from skllkd.training.loop import distil
from skllkd.training.schedule import Schedule
from skllkd.training.targets import (
    columns_in_order,
    digest,
    labels_in_proba,
    labels_in_y,
    likeliest_names,
    take,
)

#: How many texts the agreement after `fit` is measured on.
_SAMPLE_SIZE = 500
_FEATURES = ("n_features_in_", "feature_names_in_")
#: A selection or a student.
Part = TypeVar("Part", Selection, Student)
_PER_TEXT = ("teacher_proba_", "label_mass_", "times_selected_")


class LLKDClassifier(ClassifierMixin, BaseEstimator):
    """A text classifier that learns from unlabeled text and a teacher.

    The teacher, a language model for instance, labels the texts once. The student, a
    small transformer, learns from them, at each step only from those the selection
    keeps: with LLKD, texts whose label is confident and about which the student is
    still uncertain; by default, those drawn by how far the teacher can be trusted and
    how much there is to learn.

    Parameters
    ----------
    teacher : Teacher or callable, optional
        Who labels the texts: a teacher of `skllkd.teachers`, a function of a list of
        texts (see `CallableTeacher`), or a fitted classifier (see `SklearnTeacher`).
        None if `fit` is given labels bought elsewhere as `y`.
    classes : sequence or mapping
        The class names, or each name with a description for the teacher. A teacher's
        columns follow this order. May be None without a teacher.
    selection : Selection, optional
        Which texts the student learns from at each step. By default
        `RankedImportance()`, the rule that served best in our comparison;
        `LLKDSelection()` is the paper's.
    acquisition : AcceptReject, optional
        Which texts the teacher is asked about, where a budget does not reach for all.
        By default every text. The others take no part in training.
    student : Student or estimator, optional
        What learns: a student of `skllkd.students`, or a scikit-learn classifier with
        `partial_fit` and `predict_proba`. By default `TransformerStudent()`.
    n_epochs : int, default=3
        How often every text is presented.
    batch_size : int, default=32
        Texts presented at a step; those of them that are selected are trained on, at
        once by a `TransformerStudent`, else when they fill such a batch.
    on_missing_class : {"raise", "warn"}, default="raise"
        What to do about a class the teacher chose for no text: the student cannot
        learn it.
    early_stopping : bool, default=False
        Whether to hold a share of the texts out of training, measure the agreement
        with the teacher on them after each epoch, end when it stops to rise, and keep
        the student that agreed most. Needs no gold labels.
    validation_fraction : float in (0, 1), default=0.1
        The share held out for `early_stopping`.
    n_iter_no_change : int, default=1
        Epochs without a rise before `early_stopping` ends the training.
    callbacks : sequence of callable, default=()
        Called at the end of each epoch with an `EpochEnd`; a true answer ends the
        training. Not pickled with a fitted classifier.
    warm_start : bool, default=False
        Whether `fit` goes on from what was learned before, as `partial_fit` does.
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
        "n_presented", "n_scored", "n_selected", and "loss", the mean loss in nats of
        the training steps taken at it (NaN for none).
    n_teacher_calls_ : int
        How many texts the teacher's model was asked about.
    n_teacher_calls_saved_ : int
        How many needed no call: their answer was stored, or they repeat others.
    agreement_ : float
        How often the student says what the teacher says, on a sample of 500 of the
        texts it was fitted on, in [0, 1].
    validation_agreement_ : ndarray of shape (n_epochs,)
        The agreement on the held-out texts after each epoch; empty without
        `early_stopping`.
    n_features_in_ : int
        The number of features, with a student that takes numbers.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, where `X` was a DataFrame with such a student.
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

    classes_: npt.NDArray[Any]
    student_: Student
    selection_: Selection
    _is_recalibrated: bool = False  # files of earlier versions do not say
    teacher_proba_: FloatArray
    label_mass_: FloatArray
    pseudo_labels_: npt.NDArray[np.object_]
    times_selected_: IntArray
    history_: dict[str, npt.NDArray[Any]]
    validation_agreement_: FloatArray
    agreement_: float
    n_teacher_calls_: int
    n_teacher_calls_saved_: int
    seconds_: dict[str, float]

    def __init__(
        self,
        teacher: Any = None,
        classes: Any = None,
        *,
        selection: Selection | None = None,
        acquisition: AcceptReject | None = None,
        student: Any = None,
        n_epochs: int = 3,
        batch_size: int = 32,
        on_missing_class: str = "raise",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 1,
        callbacks: Sequence[Callback] = (),
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 1,
    ) -> None:
        self.teacher = teacher
        self.classes = classes
        self.selection = selection
        self.acquisition = acquisition
        self.student = student
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.on_missing_class = on_missing_class
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        teacher_proba: Any = None,
    ) -> LLKDClassifier:
        """Label the texts with the teacher and train the student on them.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts: a list, an array, a Series, or another column of strings. With
            a student that takes numbers, an array of shape (n_rows, n_features).
        y : array-like of shape (n_texts,), optional
            Without a teacher, labels bought elsewhere; None or NaN where there is
            none. With a teacher, ignored.
        sample_weight : array-like of shape (n_texts,), optional
            The weight of each text's loss, not negative.
        teacher_proba : array-like of shape (n_texts, n_classes), optional
            The teacher's distribution for each text, columns in the order of
            `classes`, where it is known already: the teacher is not asked.

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
            If the teacher chose a class for no text, unless `on_missing_class="warn"`.

        Warns
        -----
        MissingLabelWarning
            If texts have no label; they take no part in training.
        TruncationWarning
            If texts are longer than a model's window.
        """
        resume = self.warm_start and hasattr(self, "student_")
        return self._fit(X, y, self.classes, sample_weight, teacher_proba, resume)

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        sample_weight: Any = None,
        teacher_proba: Any = None,
    ) -> LLKDClassifier:
        """Go on learning from new texts.

        The student goes on from what it learned; the selection's thresholds, the
        teacher's calibration, `history_` and the counts of teacher calls are carried
        on. `teacher_proba_`, `pseudo_labels_` and `times_selected_` are of the new
        texts. The first call is a `fit`.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The new texts.
        y : array-like of shape (n_texts,), optional
            Their labels, without a teacher.
        classes : sequence, optional
            All class names, for a first call without a teacher whose `y` lacks some.
            By default the classifier's own `classes`.
        sample_weight : array-like of shape (n_texts,), optional
            The weight of each text's loss, not negative.
        teacher_proba : array-like of shape (n_texts, n_classes), optional
            The teacher's distribution for each text, where it is known already.

        Returns
        -------
        LLKDClassifier
            The classifier.
        """
        names = self.classes if self.classes is not None else classes
        if classes is not None and set(as_classes(names).names) != set(
            as_classes(classes).names
        ):
            raise InvalidClassesError(
                f"`classes` of partial_fit must be those of the classifier; got "
                f"{list(as_classes(classes).names)!r}."
            )
        resume = hasattr(self, "student_")
        return self._fit(X, y, names, sample_weight, teacher_proba, resume)

    def _fit(
        self,
        X: Any,
        y: Any,
        classes: Any,
        sample_weight: Any,
        teacher_proba: Any,
        resume: bool,
    ) -> LLKDClassifier:
        """Learn from a pool, anew or going on from what was learned."""
        self._check_parameters(classes)
        selection, student = self._new_selection(resume), self._new_student(resume)
        _warn_of_labels_alone(selection, student)
        texts, features = self._read_pool(X, student, resume)
        random_state = check_random_state(self.random_state)
        weight: FloatArray = np.broadcast_to(1.0, len(texts))  # takes no memory
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, texts, ensure_non_negative=True
            )
        start = time.perf_counter()
        if self.acquisition is None:
            given = self._labels(texts, y, classes, teacher_proba, resume)
        else:
            given = self._bought(
                texts, teacher_proba, classes, resume, student, random_state
            )
        labels, given_classes = given
        del given
        class_names = np.unique(np.array(given_classes.names))
        proba = columns_in_order(labels.proba, given_classes, class_names)
        labelled = self._usable(proba, class_names, resume)
        class_bias, label_mass = labels.class_bias, labels.label_mass
        is_recalibrated = labels.recalibration is not None
        calls = (labels.n_asked, labels.n_reused)
        del labels  # what it holds of each text is not needed any more
        labelling_done = time.perf_counter()

        seed = int(random_state.randint(2**31 - 1))
        pool, known = take(texts, labelled), take(proba, labelled)
        weight = take(weight, labelled)
        del labelled  # a pool may hold millions: nothing is kept that is not needed
        first_step = len(self.history_["epoch"]) if resume else 0
        schedule = self._schedule(random_state, first_step)
        student_proba = None
        if selection.n_folds:
            n_folds = selection.n_folds
            student_proba = out_of_fold_proba(
                student, pool, known, weight, n_folds, schedule, resume=resume
            )
        student.start(pool, len(class_names), seed, resume=resume)
        del pool
        n_steps = schedule.n_steps(len(known))
        selection.begin(Pool(known, student_proba), n_steps, random_state, first_step)
        log = distil(student, selection, known, weight, schedule)
        agreement = _sample_agreement(student, known, self.batch_size)
        student.finish()

        # Nothing is learned until all went well: a fit that fails changes nothing.
        self.classes_ = class_names
        self.student_, self.selection_ = student, selection
        self._given_classes = given_classes
        if not resume or class_bias is not None:
            self._class_bias = class_bias
        self._is_recalibrated = is_recalibrated
        self.teacher_proba_, self.label_mass_ = proba, label_mass
        self.pseudo_labels_ = likeliest_names(proba, class_names)
        self.times_selected_ = np.zeros(len(texts), dtype=np.int32)
        self.times_selected_[~nan_rows(proba)] = log.times_selected
        self._pool, self._pool_digest = texts, digest(texts)
        for name in _FEATURES:
            self.__dict__.pop(name, None)
        self.__dict__.update(features)
        self.agreement_ = agreement
        self._add_to_record(log, *calls, resume)
        self.seconds_ = {
            "labelling": labelling_done - start,
            "training": time.perf_counter() - labelling_done,
        }
        return self

    def _schedule(
        self, random_state: np.random.RandomState, first_step: int
    ) -> Schedule:
        """Return the schedule of a training run."""
        return Schedule(
            n_epochs=self.n_epochs,
            batch_size=self.batch_size,
            random_state=random_state,
            callbacks=tuple(self.callbacks),
            validation_fraction=self.validation_fraction if self.early_stopping else 0,
            patience=self.n_iter_no_change,
            first_step=first_step,
            verbose=self.verbose,
        )

    def _add_to_record(
        self, log: TrainingLog, asked: int, reused: int, resume: bool
    ) -> None:
        """Set, or add to, what is kept over all that was learned from."""
        history = log.history
        validation = log.validation_agreement
        if resume:
            epochs = self.history_["epoch"].max() + 1
            history = history | {"epoch": history["epoch"] + epochs}
            history = {  # files of earlier versions lack what was added later
                name: np.concatenate([self.history_[name], column])
                for name, column in history.items()
                if name in self.history_
            }
            asked, reused = (
                asked + self.n_teacher_calls_,
                reused + self.n_teacher_calls_saved_,
            )
            validation = np.concatenate([self.validation_agreement_, validation])
        self.history_ = history
        self.validation_agreement_ = validation
        self.n_teacher_calls_, self.n_teacher_calls_saved_ = asked, reused
        for name in ("teacher_thresholds_", "student_thresholds_"):
            self.__dict__.pop(name, None)
            if hasattr(self.selection_, name):
                done = getattr(self.selection_, name)[: len(history["epoch"])]
                setattr(self, name, done)

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

    def predict_stream(
        self, texts: Iterable[str], *, chunk_size: int = 4096, method: str = "predict"
    ) -> Iterator[npt.NDArray[Any]]:
        """Predict texts as they come, in memory that does not grow.

        Parameters
        ----------
        texts : iterable of str
            The texts: a generator, an open file, or another iterable. It is read a
            chunk at a time, when that chunk is asked for.
        chunk_size : int, default=4096
            Texts a chunk.
        method : {"predict", "predict_proba"}, default="predict"
            What to return of each chunk.

        Returns
        -------
        iterator of ndarray of shape (chunk_size,) or (chunk_size, n_classes)
            Class names, or distributions, of the texts of a chunk; the last may be
            shorter.

        Raises
        ------
        InvalidTextsError
            If an item is no string; its position is named.
        InvalidParameterError
            If the student takes numbers.
        """
        check_is_fitted(self, "student_")
        if not self.student_.takes_text:
            raise InvalidParameterError(
                "`predict_stream` reads texts, and this `student` takes numbers. Give "
                "`predict` the rows in arrays."
            )
        return predict_in_chunks(self, texts, chunk_size, method)

    def _proba(self, X: Any) -> FloatArray:
        """Return the student's distributions."""
        check_is_fitted(self, "student_")
        return self.student_.predict_proba(self._read(X))

    def _read(self, X: Any) -> Any:
        """Return the input as the fitted student takes it: texts, or numbers."""
        if self.student_.takes_text:
            return as_texts(X)
        return validate_data(self, X, reset=False, dtype=np.float64)

    def _read_pool(
        self, X: Any, student: Student, resume: bool
    ) -> tuple[Any, dict[str, Any]]:
        """Return the input as a student takes it, and what to remember of its columns."""
        if student.takes_text:
            return as_texts(X), {}
        if resume:
            rows = validate_data(self, X, reset=False, dtype=np.float64)
            return rows, {k: v for k, v in vars(self).items() if k in _FEATURES}
        blank = LLKDClassifier()  # a fit that fails must not change this one
        rows = validate_data(blank, X, dtype=np.float64)
        return rows, {k: v for k, v in vars(blank).items() if k in _FEATURES}

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
        if y is not None:
            return float(super().score(X, y, sample_weight=sample_weight))
        texts = self._read(X)
        proba = self._ask_teacher(texts)
        known = np.flatnonzero(~nan_rows(proba))
        if not len(known):
            raise TeacherOutputError("the teacher has no usable label for these texts.")
        chosen = self.student_.predict_proba(texts).argmax(axis=1)
        weight = None if sample_weight is None else np.asarray(sample_weight)[known]
        return float(np.average(proba[known, chosen[known]], weights=weight))

    def label(self, X: Any) -> FloatArray:
        """Return the teacher's distribution for texts, calibrated as in `fit`.

        The teacher is asked only about texts it has not labelled before.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts.

        Returns
        -------
        ndarray of shape (n_texts, n_classes)
            Distributions, columns as `classes_`; rows of NaN without an answer.

        Raises
        ------
        InvalidParameterError
            If there is no teacher.
        """
        check_is_fitted(self, "student_")
        return self._ask_teacher(self._read(X))

    def _ask_teacher(self, texts: Any) -> FloatArray:
        """Return the teacher's distribution for texts that were read."""
        if self.teacher is None:
            raise InvalidParameterError(
                "this needs the teacher, and the classifier has none (a loaded one has "
                "left it behind). Give gold labels as `y`, or set_params(teacher=...)."
            )
        labels = as_teacher(self.teacher).label(
            texts,
            self._given_classes,
            class_bias=self._fixed_bias(),
            verbose=self.verbose,
        )
        return columns_in_order(labels.proba, self._given_classes, self.classes_)

    def _fixed_bias(self) -> FloatArray:
        """Return the calibration of `fit`, which other texts must not change."""
        if self._class_bias is None:
            return np.zeros(len(self.classes_))
        bias: FloatArray = self._class_bias
        return bias

    def uncalibrated(self, proba: FloatArray) -> FloatArray | None:
        """Return the teacher's distributions as they were before calibration.

        Parameters
        ----------
        proba : ndarray of shape (n_texts, n_classes)
            Calibrated distributions, columns as `classes_`.

        Returns
        -------
        ndarray of shape (n_texts, n_classes) or None
            Distributions before calibration. Shares of votes are not calibrated as
            such, and stay as they are. None where the teacher was calibrated on gold
            labels, which cannot be taken back.
        """
        if self._is_recalibrated:
            return None
        if self._class_bias is None or self._class_bias.ndim == 2:
            return proba
        bias = columns_in_order(
            self._class_bias[None, :], self._given_classes, self.classes_
        )
        weight = proba * np.exp(bias - bias.max())
        raw: FloatArray = weight / weight.sum(axis=1, keepdims=True)
        return raw

    def report(self, X: Any = None) -> Report:
        """Measure, print and return what to look at before trusting the classifier.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,), optional
            The texts to measure on. By default those it was fitted on, which it
            remembers as long as it lives, but not in pickles. Of others the teacher
            is asked what it has not labelled before.

        Returns
        -------
        Report
            Agreement with the teacher, suspects, costs, size and speed.

        Raises
        ------
        InvalidParameterError
            If `X` is needed, or a teacher.
        """
        check_is_fitted(self, "student_")
        if X is None and getattr(self, "_pool", None) is None:
            raise InvalidParameterError(
                "`report` of a loaded classifier needs `X`: the texts it was fitted on, "
                "or others."
            )
        texts = self._pool if X is None else self._read(X)
        report = make_report(self, texts, self._teacher_proba_of(texts))
        print(report)
        return report

    def known_teacher_proba(self, X: Any) -> FloatArray:
        """Return the teacher's distribution: that of `fit` for the texts of `fit`.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts `fit` was given, or others, which the teacher is asked about.

        Returns
        -------
        ndarray of shape (n_texts, n_classes)
            Distributions, columns as `classes_`; rows of NaN without an answer.
        """
        check_is_fitted(self, "student_")
        return self._teacher_proba_of(self._read(X))

    def _teacher_proba_of(self, texts: Any) -> FloatArray:
        """Return what is known of texts that were read, or ask the teacher."""
        is_pool = digest(texts) == self._pool_digest
        return self.teacher_proba_ if is_pool else self._ask_teacher(texts)

    def is_pool(self, X: Any) -> bool:
        """Return whether these are the texts the classifier was last fitted on.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts.

        Returns
        -------
        bool
            Whether they are, in the same order.
        """
        return digest(self._read(X)) == self._pool_digest

    def save(
        self, folder: str | os.PathLike[str], *, card: Mapping[str, str] | None = None
    ) -> None:
        """Write the fitted classifier to a folder, without pickle.

        The folder holds JSON, safetensors, the tokenizer and a model card: nothing in it
        runs when it is loaded. The teacher is left behind.

        Parameters
        ----------
        folder : str or Path
            The folder; created when missing. What it holds of an earlier save is
            overwritten.
        card : mapping of str to str, optional
            What the model card (README.md) should say: "name", "description", "data"
            (where the texts are from), "language" (a code, as "en"), "licence" (an
            identifier, as "mit") and "teacher". What is not given is said to be not
            stated.

        Raises
        ------
        InvalidParameterError
            If `card` holds anything else.
        NotImplementedError
            If the student or the selection cannot be saved without pickle.

        Warns
        -----
        SkllkdWarning
            If the folder holds another README.md; it is left as it is.
        """
        check_is_fitted(self, "student_")
        fields = check_card(card)
        _persistence.save(self, Path(folder))
        write_card(self, Path(folder), fields)

    def export_onnx(
        self,
        path: str | os.PathLike[str],
        texts: Any,
        *,
        quantize: str | None = None,
        max_disagreement: float = 0.01,
    ) -> ONNXExport:
        """Write the fitted classifier as one file that `ONNXClassifier` opens.

        The file holds graph, weights, tokenizer and class names. Before it is put in
        its place it predicts the texts given, beside the classifier.

        Parameters
        ----------
        path : str or Path
            The file, replaced if it is there.
        texts : sequence of str of shape (n_texts,)
            What to compare the two on: some hundred texts of the kind to be predicted.
        quantize : {None, "int8"}, default=None
            "int8" multiplies in eight bits: a quarter of the size, faster, and other
            probabilities.
        max_disagreement : float in [0, 1], default=0.01
            The largest share of the texts whose label may differ.

        Returns
        -------
        ONNXExport
            How the two compare.

        Raises
        ------
        DisagreementError
            If more labels differ; nothing is written.
        InvalidParameterError
            If the student is no `TransformerStudent`.
        MissingDependencyError
            If onnx or onnxruntime is not installed (`skllkd[onnx]`).
        """
        check_is_fitted(self, "student_")
        return export(self, Path(path), as_texts(texts), quantize, max_disagreement)

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

    def _labels(
        self, texts: Any, y: Any, classes: Any, teacher_proba: Any, resume: bool
    ) -> tuple[TeacherLabels, Classes]:
        """Return the labels to learn from: known already, the teacher's, or `y`."""
        if resume:
            classes = self._same_classes(classes)
        if teacher_proba is not None:
            return labels_in_proba(texts, teacher_proba, classes)
        if self.teacher is None:
            return labels_in_y(texts, y, classes)
        classes = as_classes(classes)
        labels = as_teacher(self.teacher).label(
            texts,
            classes,
            class_bias=self._fixed_bias() if resume else None,
            verbose=self.verbose,
        )
        return labels, classes

    def _bought(
        self,
        texts: Any,
        teacher_proba: Any,
        classes: Any,
        resume: bool,
        student: Student,
        random_state: np.random.RandomState,
    ) -> tuple[TeacherLabels, Classes]:
        """Return the labels of the texts that the teacher is asked about in rounds."""
        if resume or self.teacher is None or teacher_proba is not None:
            raise InvalidParameterError(
                "`acquisition` chooses which texts of a new pool the `teacher` is asked "
                "about. With labels that are known already, or to go on learning, set "
                "acquisition=None."
            )
        assert self.acquisition is not None  # as the caller has seen
        named, teacher = as_classes(classes), as_teacher(self.teacher)
        rounds = (self.acquisition, teacher, student, texts, named)
        return label_in_rounds(*rounds, self._schedule(random_state, 0)), named

    def _same_classes(self, classes: Any) -> Classes:
        """Return the classes learned so far, if they are those asked for."""
        learned: Classes = self._given_classes
        if classes is not None and as_classes(classes).names != learned.names:
            raise InvalidClassesError(
                "`classes` must stay the same to go on learning; got "
                f"{list(as_classes(classes).names)!r} after {list(learned.names)!r}. "
                "Call `fit` with warm_start=False to begin anew."
            )
        return learned

    def _usable(
        self, proba: FloatArray, class_names: npt.NDArray[Any], resume: bool
    ) -> IntArray:
        """Return the labelled rows; raise or warn if they leave a class out."""
        labelled = np.flatnonzero(~nan_rows(proba))
        if not len(labelled):
            raise TeacherOutputError(
                f"none of the {len(proba)} texts has a usable teacher label, so there is "
                "nothing to learn from. Look at what the teacher answers: "
                "teacher.label(texts[:5], classes)."
            )
        if resume:  # what is new today need not hold every class
            return labelled
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
        if self.on_missing_class == "raise":
            raise UnchosenClassError(
                f"{message} Describe the class better (classes={{name: description}}), "
                "drop it, or set on_missing_class='warn' to go on without. The labels "
                "bought are kept."
            )
        warnings.warn(message, UnchosenClassWarning, stacklevel=4)
        return labelled

    def _new_selection(self, resume: bool) -> Selection:
        """Return a selection whose parameters are allowed, unused or to go on with."""
        if resume:
            unchanged = copy.deepcopy(self.selection_)
            return _with_parameters(unchanged, self.selection)
        if self.selection is None:
            return RankedImportance()
        if not isinstance(self.selection, Selection):
            raise InvalidParameterError(
                "`selection` must be a strategy of skllkd.selection; got "
                f"{type(self.selection).__name__}."
            )
        selection: Selection = clone(self.selection)
        selection.check()
        return selection

    def _new_student(self, resume: bool) -> Student:
        """Return a student whose parameters are allowed, untrained or to go on with."""
        if resume:
            return _with_parameters(copy.copy(self.student_), self.student)
        student: Student = clone(as_student(self.student))
        student.check()
        return student

    def _check_parameters(self, classes: Any) -> None:
        """Raise if a parameter has a value that is not allowed."""
        check_number(self.n_epochs, "n_epochs", 1, integer=True)
        check_number(self.batch_size, "batch_size", 1, integer=True)
        check_option(self.on_missing_class, "on_missing_class", ["raise", "warn"])
        check_number(
            self.validation_fraction,
            "validation_fraction",
            0,
            1,
            open_low=True,
            open_high=True,
        )
        check_number(self.n_iter_no_change, "n_iter_no_change", 1, integer=True)
        if not isinstance(self.callbacks, Iterable) or not all(
            map(callable, self.callbacks)
        ):
            raise InvalidParameterError(
                f"`callbacks` must hold functions of an EpochEnd; got {self.callbacks!r}."
            )
        if self.acquisition is not None:
            if not isinstance(self.acquisition, AcceptReject):
                raise InvalidParameterError(
                    "`acquisition` must be a skllkd.selection.AcceptReject, or None to "
                    f"ask about every text; got {type(self.acquisition).__name__}."
                )
            self.acquisition.check()
        if classes is None and self.teacher is not None:
            raise InvalidClassesError(
                "`classes` must name the labels the teacher chooses from; got None. "
                "E.g. classes=['spam', 'ham']."
            )

    def __sklearn_clone__(self) -> LLKDClassifier:
        """Return an unfitted clone; a callable or classifier as teacher is shared."""
        return clone_sharing(self, "teacher")

    def _html_repr(self) -> str:
        """Return the notebook's view: parameters and, once fitted, a summary."""
        diagram = str(estimator_html_repr(self))
        return diagram + (summary_html(self) if hasattr(self, "student_") else "")

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled; once fitted, without teacher and texts."""
        state = dict(super().__getstate__())
        state["_format"] = _persistence.FORMAT
        if "student_" in state:
            state["teacher"], state["callbacks"] = None, ()
            state.pop("_pool", None)
            names = [name for name in _PER_TEXT if name in state]
            state |= _persistence.compact({name: state[name] for name in names})
            if isinstance(self.student, Student):
                state["student"] = self.student.portable()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take back what was pickled, unless a later version pickled it."""
        _persistence.check_format(state.pop("_format", 0), "this pickle")
        super().__setstate__(state)
        add_later_parameters(self)

    def __copy__(self) -> LLKDClassifier:
        """Return a shallow copy that, unlike a pickle, keeps its teacher."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> LLKDClassifier:
        """Return a copy that keeps its teacher; a plain callable is shared."""
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        for shared in (self.teacher, self.callbacks):
            if not hasattr(shared, "get_params"):
                memo[id(shared)] = shared
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn may expect: texts or numbers, as the student."""
        tags = super().__sklearn_tags__()
        takes_text = as_student(self.student).takes_text
        tags.input_tags.string = takes_text
        tags.input_tags.one_d_array = takes_text
        tags.input_tags.two_d_array = not takes_text
        tags.target_tags.required = self.teacher is None
        return tags


def _with_parameters(part: Part, given: Any) -> Part:
    """Return a part with the parameters given now, if they are of its kind."""
    if type(part) is type(given):
        part.set_params(**given.get_params(deep=False))
        part.check()
    return part


def _warn_of_labels_alone(selection: Selection, student: Student) -> None:
    """Warn where the student's loss needs a distribution and the selection gives none."""
    if student.needs_distribution and getattr(selection, "target", None) == "hard":
        warnings.warn(
            "`student__loss` needs the teacher's distribution and is plain cross-entropy "
            'with `selection__target="hard"`. Set selection__target="soft".',
            SkllkdWarning,
            stacklevel=4,
        )


def _sample_agreement(student: Student, proba: FloatArray, batch_size: int) -> float:
    """Return a student's agreement with the teacher on a sample of its pool."""
    rows = np.random.RandomState(0).permutation(len(proba))[:_SAMPLE_SIZE]
    parts = np.array_split(rows, -(-len(rows) // batch_size))
    chosen = np.concatenate([student.rows_proba(part).argmax(axis=1) for part in parts])
    return float(np.mean(chosen == proba[rows].argmax(axis=1)))


__all__ = ["LLKDClassifier"]
