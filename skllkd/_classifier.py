"""LLKDClassifier: from unlabeled text and a teacher to a small classifier."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._repr_html.estimator import estimator_html_repr
from sklearn.utils.validation import validate_data
from typing_extensions import override

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.class_tree import Level
from skllkd._core.classes import Classes, as_classes
from skllkd._core.cloning import clone_sharing
from skllkd._core.nested import replace_nested, set_nested, split_nested
from skllkd._core.progress import stage
from skllkd._core.sample_weight import check_sample_weight
from skllkd._core.streaming import PredictMixin
from skllkd._core.texts import as_texts
from skllkd._fitted import fitted_state, state_after
from skllkd.exceptions import InvalidParameterError
from skllkd.inspection.mixin import InspectionMixin
from skllkd.inspection.summary import summary_html
from skllkd.inspection.verdict import print_verdict
from skllkd.persistence.saving import SavingMixin
from skllkd.refinement import Refinement
from skllkd.refinement.gold import Accuracy
from skllkd.refinement.record import RefinementRecord
from skllkd.selection import AcceptReject, RankedImportance, Selection
from skllkd.students import Student, as_student
from skllkd.teachers import TeacherLabels
from skllkd.teachers.wrapping import as_teacher
from skllkd.training.acquisition import label_in_rounds
from skllkd.training.gold import gold_columns
from skllkd.training.log import Callback
from skllkd.training.preflight import preflight
from skllkd.training.preparation import (
    check_parameters,
    prepare_selection,
    prepare_student,
    warn_of_hard_targets,
)
from skllkd.training.refining import refined
from skllkd.training.schedule import Schedule
from skllkd.training.student_training import train_student
from skllkd.training.targets import holds_codes, label_pool
from skllkd.training.training_set import TrainingSet

#: The objects that parameters without nested ones stand for, of which a search may set
#: the nested ones: selection=None, student=None, and a function as teacher.
_DEFAULTS = {
    "teacher": lambda given: given if given is None else as_teacher(given),
    "selection": lambda given: RankedImportance() if given is None else given,
    "student": as_student,
}


class LLKDClassifier(InspectionMixin, PredictMixin, SavingMixin, BaseEstimator):
    """Text classifier distilled from a teacher, without labels.

    The teacher, such as a language model, labels the texts once. Its labels are refined
    by further evidence at hand: the class names, and the labels of the other texts. The
    student, a small transformer, is trained on the refined labels. A selection decides
    at each step which texts it is trained on: with LLKD those with a confident label
    about which the student is still uncertain; by default a sample weighted by the
    reliability of the label and by the student's uncertainty.

    Parameters
    ----------
    teacher : Teacher or callable, optional
        A teacher of `skllkd.teachers`, a function of a list of texts (see
        `CallableTeacher`), or a fitted classifier (see `SklearnTeacher`). None if
        `fit` is given labels as `y`.
    classes : sequence, mapping or Multilabel
        The class names, or each name with a description for the teacher. A teacher's
        columns follow this order. A nested mapping is a tree: the value of a group is a
        mapping, or a list, of what it holds. `Multilabel(names)` if a text may have none,
        one or several of the classes. May be None without a teacher.
    refine : Refinement or None, default=Refinement()
        The refinement of the teacher's labels before the student learns them; None for
        the teacher's labels as they are. Labels given as `y` are never changed.
    selection : Selection, optional
        The selection of texts at each step. By default `RankedImportance()`, the best
        rule of our comparison; `LLKDSelection()` is the rule of the paper.
    acquisition : AcceptReject, optional
        The choice of the texts to be labelled if the budget does not suffice for all.
        By default all texts. The others take part with the labels that `refine` gives
        them, and without it not at all.
    student : Student or estimator, optional
        A student of `skllkd.students`, or a scikit-learn classifier with `partial_fit`
        and `predict_proba`. By default `TransformerStudent()`.
    n_epochs : int, default=3
        Number of passes over the texts.
    batch_size : int, default=32
        Texts presented at a step. A `TransformerStudent` is trained on the selected
        ones at once, other students when they fill a batch.
    on_missing_class : {"raise", "warn"}, default="raise"
        Whether to raise or to warn if the teacher chose a class for no text: the
        student cannot learn that class.
    early_stopping : bool, default=False
        Whether to stop when the agreement with the labels learned no longer rises on
        held-out texts, and to keep the best student. Needs no gold labels.
    validation_fraction : float in (0, 1), default=0.1
        Share of the texts held out for `early_stopping`.
    n_iter_no_change : int, default=1
        Epochs without improvement before `early_stopping` stops the training.
    callbacks : sequence of callable, default=()
        Called with an `EpochEnd` after each epoch; a truthy return value stops the
        training. Not pickled with a fitted classifier.
    warm_start : bool, default=False
        Whether `fit` continues from the previous solution, as `partial_fit` does.
    random_state : int, RandomState or None, default=None
        The source of all randomness.
    verbose : int, default=1
        Whether to show progress on standard error for work of over two seconds, and
        the verdict at its end.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class names, sorted: the order of `predict_proba`'s columns.
    level_classes_ : dict of int to ndarray
        The names at each level of a tree of classes, sorted, 1 at the top: the order of
        the columns of `predict_proba` there. Only with `classes` in a tree.
    student_ : Student
        The trained student.
    selection_ : Selection
        The selection after training.
    thresholds_ : ndarray of shape (n_classes,)
        The probabilities from which a text has each of several classes: those with the
        largest expected F1 under the labels learned, or the largest F1 on `gold` labels
        of which there are enough; 0.5 for labels given as `y`. Only with `Multilabel`,
        or several labels a text in `y`.
    teacher_proba_ : ndarray of shape (n_texts, n_classes)
        The teacher's calibrated distribution for each text given to `fit`, or with
        several classes a text the probability of each; a row of NaN where it has none.
    refined_proba_ : ndarray of shape (n_texts, n_classes)
        The refined distributions, which the student learned; a row of NaN where there
        is none. Only with `refine`.
    refinement_ : RefinementRecord
        The weights of the evidence and the labels it changed. Only with `refine`.
    gold_accuracy_ : dict of str to Accuracy
        The accuracy on the texts with gold labels of the labels of the "teacher", of
        the "labels" that `refine` makes, and of a "student" trained on them, out of
        fold: each text is judged by what was found without its own gold label. Only
        with `gold`.
    pseudo_labels_ : ndarray of shape (n_texts,), object
        The teacher's most probable class of each text, or a tuple of those of at least
        one half where a text may have several; None where there is none.
    label_mass_ : ndarray of shape (n_texts,)
        The probability the teacher's model put on any of the labels, in [0, 1]; NaN
        where not known.
    times_selected_ : ndarray of shape (n_texts,) or (n_texts, n_classes), int
        Number of steps at which each text was selected; with several classes a text, for
        each of them.
    teacher_thresholds_, student_thresholds_ : ndarray of shape (n_steps, n_classes)
        The selection's thresholds after each step, columns as `classes_`; only if the
        selection has them. With several classes a text, of shape (n_steps, n_classes,
        2), the thresholds of the texts without and with the class.
    history_ : dict of str to ndarray
        Record of the steps, arrays of shape (n_steps,): "epoch", "n_presented",
        "n_scored", "n_selected", and "loss", the mean training loss in nats (NaN if
        there was no training step).
    n_teacher_calls_ : int
        Number of texts sent to the teacher's model.
    n_teacher_calls_saved_ : int
        Number of texts that needed no call: stored answers and repeats.
    agreement_ : float
        The agreement of student and teacher on a sample of 500 texts of `fit`, in
        [0, 1]; with several classes a text, the micro-F1 of their labels.
    validation_agreement_ : ndarray of shape (n_epochs,)
        The agreement with the labels learned on the held-out texts after each epoch;
        empty without `early_stopping`. With several classes a text, the micro-F1
        expected at the best threshold.
    n_features_in_ : int
        The number of features, for a student that takes numbers.
    feature_names_in_ : ndarray of shape (n_features,)
        The names of the features, if `X` was a DataFrame.
    seconds_ : dict of str to float
        Wall time of "labelling", "refinement" and "training".

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

    level_classes_: dict[int, npt.NDArray[Any]]
    student_: Student
    selection_: Selection
    teacher_proba_: FloatArray
    refined_proba_: FloatArray
    refinement_: RefinementRecord
    gold_accuracy_: dict[str, Accuracy]
    pseudo_labels_: npt.NDArray[np.object_]
    label_mass_: FloatArray
    times_selected_: npt.NDArray[np.int32]
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
        refine: Refinement | None = Refinement(),  # noqa: B008  (frozen)
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
        self.refine = refine
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
        gold: Any = None,
    ) -> LLKDClassifier:
        """Label the texts with the teacher and train the student on them.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts: a list, an array, a Series, or another column of strings. With
            a student that takes numbers, an array of shape (n_rows, n_features).
        y : array-like of shape (n_texts,) or (n_texts, n_classes), optional
            Without a teacher, labels bought elsewhere; None or NaN where there is
            none. With several classes a text, lists of names, or rows of 0 and 1. With a
            teacher, ignored.
        sample_weight : array-like of shape (n_texts,), optional
            The weight of each text's loss, not negative.
        teacher_proba : array-like of shape (n_texts, n_classes), optional
            The teacher's distribution for each text, columns in the order of
            `classes`, where it is known already: the teacher is not asked.
        gold : mapping or array-like of shape (n_texts,), optional
            Gold labels of a few texts, beside a teacher: a label for each row number or
            text, or a column with None or NaN where there is none. Equal texts share
            theirs. They weigh the evidence, are learned, and give `gold_accuracy_`. With
            several classes a text, lists of names, or rows of 0 and 1.

        Returns
        -------
        LLKDClassifier
            The fitted classifier.

        Raises
        ------
        InvalidParameterError
            If the input or a parameter is not allowed.
        TeacherOutputError
            If the teacher's answer is no labelling of the texts, or it chose a class
            for no text (unless `on_missing_class="warn"`).

        Warns
        -----
        MissingLabelWarning
            If texts have no label.
        TruncationWarning
            If texts are longer than a model's window.
        """
        resume = hasattr(self, "_fitted") and self.warm_start
        given = (sample_weight, teacher_proba, gold)
        return self._fit(X, y, self.classes, *given, resume)

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        sample_weight: Any = None,
        teacher_proba: Any = None,
        gold: Any = None,
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
        gold : mapping or array-like of shape (n_texts,), optional
            Gold labels of a few of the new texts, as for `fit`.

        Returns
        -------
        LLKDClassifier
            The classifier.
        """
        names = self.classes if self.classes is not None else classes
        if classes is not None and set(as_classes(names).names) != set(
            as_classes(classes).names
        ):
            raise InvalidParameterError(
                f"`classes` of partial_fit must be those of the classifier; got "
                f"{list(as_classes(classes).names)!r}."
            )
        resume = hasattr(self, "_fitted")
        return self._fit(X, y, names, sample_weight, teacher_proba, gold, resume)

    def _fit(
        self,
        X: Any,
        y: Any,
        classes: Any,
        sample_weight: Any,
        teacher_proba: Any,
        gold: Any,
        resume: bool,
    ) -> LLKDClassifier:
        """Learn from a pool, anew or going on from the learned state."""
        check_parameters(self, classes)
        learned = self._fitted if resume else None
        selection = prepare_selection(
            self.selection, learned.selection if learned else None
        )
        student = prepare_student(self.student, learned.student if learned else None)
        warn_of_hard_targets(selection, student)
        texts, columns = self._read_pool(X, student, resume)
        random_state = check_random_state(self.random_state)
        weight: FloatArray = np.broadcast_to(1.0, len(texts))  # takes no memory
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, len(texts))
        has_teacher = self.teacher is not None or teacher_proba is not None
        predicts_codes = has_teacher and holds_codes(y, as_classes(classes))
        gold_of_rows = self._read_gold(gold, texts, classes, has_teacher)
        if self.teacher is not None and learned is None:
            with stage("loading the student's encoder", self.verbose):
                preflight(student, classes)
        start = time.perf_counter()
        given = (texts, y, classes, teacher_proba, resume, student, random_state)
        training_set = TrainingSet.of(texts, *self._label_pool(*given))
        training_set = training_set.with_gold(gold_of_rows, is_given=not has_teacher)
        training_set.check_labelled()
        labelled = time.perf_counter()
        schedule = self._schedule(random_state, learned.n_steps if learned else 0)
        is_refined = has_teacher and (self.refine or gold_of_rows is not None)
        if is_refined:
            how = (self.refine or Refinement(()), student, weight, schedule, resume)
            training_set = refined(training_set, *how, gold_of_rows)
        if not resume:  # what is new today need not hold every class
            training_set.check_classes(self.on_missing_class)
        ready = time.perf_counter()
        training = (training_set, weight, schedule, resume)
        found = train_student(student, selection, *training)
        trained = time.perf_counter()
        state = state_after(
            training_set,
            student,
            found.selection,
            found.log,
            learned,
            agreement=found.agreement,
            thresholds=found.thresholds,
            seconds={
                "labelling": labelled - start,
                "refinement": ready - labelled,
                "training": trained - ready,
            },
            predicts_codes=predicts_codes,
            **columns,
        )
        self._with_state(state)  # a fit that fails changes nothing
        print_verdict(state, self.verbose)
        return self

    def _read_gold(
        self, gold: Any, texts: Any, classes: Any, has_teacher: bool
    ) -> IntArray | None:
        """Return the column of each text's gold label, None if there are none."""
        if gold is None:
            return None
        if not has_teacher:
            raise InvalidParameterError(
                "`gold` stands beside the labels of a `teacher`, and there is none. Give "
                "labels bought elsewhere as `y`, gold labels among them."
            )
        return gold_columns(gold, texts, as_classes(classes))

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

    @override
    def predict_proba(self, X: Any, level: int | None = None) -> FloatArray:
        texts = self._read(X)
        groups = None if level is None else self._level(level)
        proba = self._fitted.student.predict_proba(texts)
        return proba if groups is None else groups.sums(proba)

    @override
    def _level(self, level: Any) -> Level:
        return fitted_state(self).level(level)

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
            "n_features_in": getattr(reader, "n_features_in_", None),
            "feature_names_in": getattr(reader, "feature_names_in_", None),
        }

    def _label_pool(
        self,
        texts: Any,
        y: Any,
        classes: Any,
        teacher_proba: Any,
        resume: bool,
        student: Student,
        random_state: np.random.RandomState,
    ) -> tuple[TeacherLabels, Classes]:
        """Return the labels to learn from, of all texts or of those `acquisition` chose."""
        if self.acquisition is None:
            bias = None
            if resume:
                classes = self._fitted.same_classes(classes)
                bias = self._fitted.fixed_bias
            source = (self.teacher, classes, bias, self.verbose)
            return label_pool(texts, y, teacher_proba, *source)
        if resume or self.teacher is None or teacher_proba is not None:
            raise InvalidParameterError(
                "`acquisition` chooses which texts of a new pool the `teacher` is asked "
                "about. With labels that are known already, or to go on learning, set "
                "acquisition=None."
            )
        named, teacher = as_classes(classes), as_teacher(self.teacher)
        rounds = (self.acquisition, teacher, student, texts, named)
        return label_in_rounds(*rounds, self._schedule(random_state, 0)), named

    @override
    def set_params(self, **params: Any) -> Self:
        nested, others = split_nested(params, "refine")
        set_nested(self, others, _DEFAULTS)
        replace_nested(self, "refine", nested)
        return self

    def __sklearn_clone__(self) -> LLKDClassifier:
        """Return an unfitted clone; a callable or classifier as teacher is shared."""
        return clone_sharing(self, "teacher")

    def _html_repr(self) -> str:
        """Return the notebook's view: parameters and, once fitted, a summary."""
        diagram = str(estimator_html_repr(self))
        is_fitted = hasattr(self, "_fitted")
        return diagram + (summary_html(self._fitted) if is_fitted else "")

    @override
    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        takes_text = as_student(self.student).takes_text
        tags.input_tags.string = takes_text
        tags.input_tags.one_d_array = takes_text
        tags.input_tags.two_d_array = not takes_text
        tags.target_tags.required = self.teacher is None
        tags.classifier_tags.multi_label = True
        return tags


__all__ = ["LLKDClassifier"]
