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
from sklearn.utils.validation import _check_sample_weight, validate_data
from typing_extensions import override

from skllkd._core.arrays import FloatArray, nan_rows
from skllkd._core.classes import Classes, as_classes
from skllkd._core.cloning import clone_sharing
from skllkd._core.params import check_number, check_option
from skllkd._core.streaming import predict_in_chunks
from skllkd._core.texts import as_texts
from skllkd._fitted import SAMPLE_SIZE, FittedState, fitted_state, state_after
from skllkd.exceptions import (
    InvalidClassesError,
    InvalidParameterError,
    SkllkdWarning,
    TeacherOutputError,
)
from skllkd.inspection.report import Report, make_report, summary_html
from skllkd.persistence import folder as _folder
from skllkd.persistence.file_format import FORMAT, check_format
from skllkd.persistence.onnx_export import ONNXExport, export
from skllkd.selection import AcceptReject, Pool, RankedImportance, Selection
from skllkd.students import Student, as_student
from skllkd.teachers import TeacherLabels, as_teacher
from skllkd.training.acquisition import label_in_rounds
from skllkd.training.cross_fit import out_of_fold_proba
from skllkd.training.log import Callback, TrainingLog
from skllkd.training.loop import distil
from skllkd.training.schedule import Schedule
from skllkd.training.targets import labels_in_proba, labels_in_y, take
from skllkd.training.training_set import TrainingSet, in_class_order

#: A selection or a student.
Part = TypeVar("Part", Selection, Student)


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
    teacher_proba_: FloatArray
    pseudo_labels_: npt.NDArray[np.object_]
    label_mass_: FloatArray
    times_selected_: npt.NDArray[np.int32]
    history_: dict[str, npt.NDArray[Any]]
    validation_agreement_: FloatArray
    agreement_: float
    n_teacher_calls_: int
    n_teacher_calls_saved_: int
    seconds_: dict[str, float]
    _fitted: FittedState  # the learned attributes are its fields

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
            If the teacher's answer is no labelling of the texts, or it chose a class
            for no text (unless `on_missing_class="warn"`).

        Warns
        -----
        MissingLabelWarning
            If texts have no label; they take no part in training.
        TruncationWarning
            If texts are longer than a model's window.
        """
        resume = self.warm_start and hasattr(self, "_fitted")
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
        resume = hasattr(self, "_fitted")
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
        _warn_of_hard_targets(selection, student)
        texts, columns = self._read_pool(X, student, resume)
        random_state = check_random_state(self.random_state)
        weight: FloatArray = np.broadcast_to(1.0, len(texts))  # takes no memory
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, texts, ensure_non_negative=True
            )
        start = time.perf_counter()
        ask = self._known_labels if self.acquisition is None else self._bought_labels
        training_set = TrainingSet.of(
            texts, *ask(texts, y, classes, teacher_proba, resume, student, random_state)
        )
        training_set.check_labelled()
        if not resume:  # what is new today need not hold every class
            training_set.check_classes(self.on_missing_class)
        labelled = time.perf_counter()
        log, agreement = self._train(
            student, selection, training_set, weight, random_state, resume
        )
        seconds = {
            "labelling": labelled - start,
            "training": time.perf_counter() - labelled,
        }
        state = state_after(
            training_set,
            student,
            selection,
            log,
            self._fitted if resume else None,
            agreement=agreement,
            seconds=seconds,
            **columns,
        )
        return self._with_state(state)  # a fit that fails changes nothing

    def _train(
        self,
        student: Student,
        selection: Selection,
        training_set: TrainingSet,
        row_weight: FloatArray,
        random_state: np.random.RandomState,
        resume: bool,
    ) -> tuple[TrainingLog, float]:
        """Train a student on the rows with a label; also return its agreement."""
        seed = int(random_state.randint(2**31 - 1))
        rows = training_set.labelled
        texts, proba = take(training_set.texts, rows), training_set.teacher_proba
        proba, row_weight = take(proba, rows), take(row_weight, rows)
        first_step = self._fitted.n_steps if resume else 0
        schedule = self._schedule(random_state, first_step)
        student_proba, n_folds = None, selection.n_folds
        if n_folds:
            student_proba = out_of_fold_proba(
                student, texts, proba, row_weight, n_folds, schedule, resume=resume
            )
        student.begin_fit(texts, len(training_set.classes), seed, resume=resume)
        del texts  # a pool may hold millions: nothing is kept that is not needed
        n_steps = schedule.n_steps(len(proba))
        selection.begin(Pool(proba, student_proba), n_steps, random_state, first_step)
        log = distil(student, selection, proba, row_weight, schedule)
        agreement = _sample_agreement(student, proba, self.batch_size)
        student.end_fit()
        return log, agreement

    def _with_state(self, state: FittedState) -> LLKDClassifier:
        """Set the learned attributes, all of them, to those of a state."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        self._fitted = state
        self.__dict__.update(state.attributes())
        return self

    def _schedule(
        self, random_state: np.random.RandomState, first_step: int
    ) -> Schedule:
        """Return the training schedule."""
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
        likeliest = self.predict_proba(X).argmax(axis=1)
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
        texts = self._read(X)
        return self._fitted.student.predict_proba(texts)

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
        if not fitted_state(self).student.takes_text:
            raise InvalidParameterError(
                "`predict_stream` reads texts, and this `student` takes numbers. Give "
                "`predict` the rows in arrays."
            )
        return predict_in_chunks(self, texts, chunk_size, method)

    def _read(self, X: Any) -> Any:
        """Return the input as the fitted student takes it: texts, or numbers."""
        if fitted_state(self).student.takes_text:
            return as_texts(X)
        return validate_data(self, X, reset=False, dtype=np.float64)

    def _read_pool(
        self, X: Any, student: Student, resume: bool
    ) -> tuple[Any, dict[str, Any]]:
        """Return the input as a student takes it, and the facts about its columns."""
        if student.takes_text:
            return as_texts(X), {}
        # A fit that fails must not change this one.
        reader = self if resume else LLKDClassifier()
        rows = validate_data(reader, X, reset=not resume, dtype=np.float64)
        return rows, {
            "n_features": getattr(reader, "n_features_in_", None),
            "feature_names": getattr(reader, "feature_names_in_", None),
        }

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
        if y is not None:
            return float(super().score(X, y, sample_weight=sample_weight))
        texts = self._read(X)
        proba = self._ask_teacher(texts)
        known = np.flatnonzero(~nan_rows(proba))
        if not len(known):
            raise TeacherOutputError("the teacher has no usable label for these texts.")
        chosen = self._fitted.student.predict_proba(texts).argmax(axis=1)
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
        return self._ask_teacher(self._read(X))

    def _ask_teacher(self, texts: Any) -> FloatArray:
        """Return the teacher's distribution for texts that were read."""
        if self.teacher is None:
            raise InvalidParameterError(
                "this needs the teacher, and the classifier has none (a loaded one has "
                "left it behind). Give gold labels as `y`, or set_params(teacher=...)."
            )
        state = self._fitted
        labels = as_teacher(self.teacher).label(
            texts,
            state.given_classes,
            class_bias=state.fixed_bias,
            verbose=self.verbose,
        )
        return in_class_order(labels.proba, state.given_classes)

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
            Agreement with the teacher, label issues, costs, size and speed.

        Raises
        ------
        InvalidParameterError
            If `X` is needed, or a teacher.
        """
        state = fitted_state(self)
        if X is None and state.pool is None:
            raise InvalidParameterError(
                "`report` of a loaded classifier needs `X`: the texts it was fitted on, "
                "or others."
            )
        texts = state.pool if X is None else self._read(X)
        report = make_report(state, texts, self._teacher_proba_of(texts))
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
        return self._teacher_proba_of(self._read(X))

    def _teacher_proba_of(self, texts: Any) -> FloatArray:
        """Return what is known of texts that were read, or ask the teacher."""
        is_pool = self._fitted.is_pool(texts)
        return self._fitted.teacher_proba if is_pool else self._ask_teacher(texts)

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
        return fitted_state(self).is_pool(self._read(X))

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
        state, params = fitted_state(self), self.get_params(deep=False)
        _folder.save(Path(folder), state, params, card)

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
            If the student has no pretrained encoder.
        MissingDependencyError
            If onnx or onnxruntime is not installed (`skllkd[onnx]`).
        """
        state = fitted_state(self)
        return export(state, Path(path), as_texts(texts), quantize, max_disagreement)

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
        ModelFileError
            If the folder holds no classifier this version can load.
        """
        params, state = _folder.load(Path(folder))
        return cls(**params)._with_state(state)

    def _known_labels(
        self,
        texts: Any,
        y: Any,
        classes: Any,
        teacher_proba: Any,
        resume: bool,
        *_: Any,
    ) -> tuple[TeacherLabels, Classes]:
        """Return the labels given, the teacher's for all texts, or those in `y`."""
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
            class_bias=self._fitted.fixed_bias if resume else None,
            verbose=self.verbose,
        )
        return labels, classes

    def _bought_labels(
        self,
        texts: Any,
        y: Any,
        classes: Any,
        teacher_proba: Any,
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
        learned = self._fitted.given_classes
        if classes is not None and as_classes(classes).names != learned.names:
            raise InvalidClassesError(
                "`classes` must stay the same to go on learning; got "
                f"{list(as_classes(classes).names)!r} after {list(learned.names)!r}. "
                "Call `fit` with warm_start=False to begin anew."
            )
        return learned

    def _new_selection(self, resume: bool) -> Selection:
        """Return a selection whose parameters are allowed, unused or to go on with."""
        if resume:
            unchanged = copy.deepcopy(self._fitted.selection)
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
            return _with_parameters(copy.copy(self._fitted.student), self.student)
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
        is_fitted = hasattr(self, "_fitted")
        return diagram + (summary_html(self._fitted) if is_fitted else "")

    @override
    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__()) | {"_format": FORMAT}
        if "_fitted" not in state:
            return state
        state = {k: v for k, v in state.items() if not k.endswith("_")}
        state |= {"_fitted": self._fitted.portable(), "teacher": None, "callbacks": ()}
        if isinstance(self.student, Student):
            state["student"] = self.student.portable()
        return state

    @override
    def __setstate__(self, state: dict[str, Any]) -> None:
        check_format(state.pop("_format"), "this pickle")
        super().__setstate__(state)
        if "_fitted" in state:
            self._with_state(self._fitted)

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


def _warn_of_hard_targets(selection: Selection, student: Student) -> None:
    """Warn where the student's loss needs a distribution and the selection gives none."""
    if student.requires_soft_targets and getattr(selection, "target", None) == "hard":
        warnings.warn(
            "`student__loss` needs the teacher's distribution and is plain cross-entropy "
            'with `selection__target="hard"`. Set selection__target="soft".',
            SkllkdWarning,
            stacklevel=4,
        )


def _sample_agreement(student: Student, proba: FloatArray, batch_size: int) -> float:
    """Return a student's agreement with the teacher on a sample of its pool."""
    rows = np.random.RandomState(0).permutation(len(proba))[:SAMPLE_SIZE]
    parts = np.array_split(rows, -(-len(rows) // batch_size))
    chosen = np.concatenate(
        [student.predict_rows(part).argmax(axis=1) for part in parts]
    )
    return float(np.mean(chosen == proba[rows].argmax(axis=1)))


__all__ = ["LLKDClassifier"]
