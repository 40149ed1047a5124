"""CascadeClassifier: answers of the student where it keeps a promise, else the teacher."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import (
    check_consistent_length,
    check_random_state,
    get_tags,
)
from sklearn.utils.validation import check_is_fitted, validate_data
from typing_extensions import override

from skllkd._classifier import LLKDClassifier
from skllkd._core.arrays import BoolArray, FloatArray, IntArray
from skllkd._core.class_tree import Level, level_of
from skllkd._core.cloning import clone_sharing
from skllkd._core.labels import gold_accuracy, label_entries
from skllkd._core.tags import holds_tags, tags_accuracy
from skllkd._core.texts import as_texts
from skllkd._fitted import fitted_state
from skllkd.exceptions import (
    GuaranteeWarning,
    InvalidParameterError,
    MissingLabelWarning,
)
from skllkd.serving import files
from skllkd.serving.audit import AuditLog
from skllkd.serving.coverage import CoverageCurve, coverage_curve, not_shown
from skllkd.serving.decisions import STUDENT, TEACHER, Decisions, Traffic, decide
from skllkd.serving.drift import MAX_TEXTS, Sample
from skllkd.serving.estimator import fitted_part, given_classes
from skllkd.serving.held_out import holds_strings, known_and_right, take_rows
from skllkd.serving.parameters import check_abstention_label, check_parameters
from skllkd.serving.reading import Reading
from skllkd.serving.watch import WatchMixin
from skllkd.teachers import Teacher
from skllkd.teachers.wrapping import as_teacher
from skllkd.training.training_set import in_class_order


class CascadeClassifier(WatchMixin, ClassifierMixin, BaseEstimator):
    """Answers of the student where they keep a promise, and of the teacher elsewhere.

    `fit` chooses a threshold on the student's confidence, on texts the student never
    learned from: with the stated confidence, the answers above it reach the target.
    The other texts go to the teacher, through the label store and within its budget, or
    are abstained from.

    Parameters
    ----------
    clf : classifier
        The classifier that answers what it can: an `LLKDClassifier`, or any other with
        `predict_proba`.
    teacher : Teacher, callable or False, optional
        Whom to ask for the other texts. By default the teacher of `clf`, calibrated as
        it was when `clf` learned; False for nobody. Another teacher than that of `clf`
        is calibrated on the held-out texts.
    target : float in (0, 1), default=0.97
        The share of the student's own answers that are to be right.
    confidence : float in (0, 1), default=0.95
        The probability, over the draw of the held-out texts, that they are.
    metric : {"agreement", "accuracy"}, default="agreement"
        Whether right is the teacher's label, or the gold label given as `y`. Without a
        teacher, agreement is with the labels in `y`.
    held_out : float in (0, 1) or "prefit", default=0.25
        Share of the distinct texts put aside for the threshold. With "prefit", `clf` is
        fitted already, and all texts given to `fit` are for the threshold; those that it
        is known to have learned from are left out.
    abstention_label : object, optional
        The label of texts that neither student nor teacher answers, of the type of the
        class names. By default None, in an array of objects.
    audit_share : float in [0, 1], default=0.01
        Share of the student's answers, drawn at random, that the teacher is asked about
        as well, to check the promise over time. Only for agreement.
    random_state : int, RandomState or None, default=None
        The source of the split, and of the answers drawn for checks.
    verbose : int, default=0
        Whether to show progress when the teacher is asked.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class names: the order of `predict_proba`'s columns.
    estimator_ : classifier
        The fitted classifier.
    curve_ : CoverageCurve
        The held-out answers above each threshold, with bounds.
    threshold_ : float
        The confidence from which the student answers; infinity if no threshold is shown
        to reach the target. Of several classes a text, the confidence is the smallest of
        max(p, 1 - p) over the classes, with their thresholds moved to one half.
    n_held_out_ : int
        Number of texts, with a label to compare with, that the threshold is chosen on.
    audit_ : AuditLog
        The checks since `fit`.
    n_features_in_ : int
        The number of features, for a classifier of numbers.
    feature_names_in_ : ndarray of shape (n_features,)
        The names of the features, if `X` was a DataFrame.

    See Also
    --------
    CoverageDisplay : The share of the texts answered against the share that is right.

    Notes
    -----
    Where a text may have several classes, an answer is right if all of them are. The
    promise is about new, distinct texts that are drawn as the held-out ones were:
    `drift` tests whether they are, and `audit` whether the promise holds. The threshold
    is chosen by fixed-sequence testing [1]_, which needs no correction for the number of
    thresholds looked at.

    Pickles leave the teacher behind, as those of `LLKDClassifier` do: name it again with
    ``set_params(teacher=...)``.

    References
    ----------
    .. [1] Angelopoulos et al., "Learn then Test: Calibrating Predictive Algorithms to
       Achieve Risk Control", arXiv:2110.01052.

    Examples
    --------
    >>> from skllkd import CascadeClassifier, LLKDClassifier
    >>> from skllkd.students import SklearnStudent
    >>> def teacher(texts):
    ...     return ["sports" if "goal" in text else "politics" for text in texts]
    >>> texts = [f"{word} {i}" for i in range(80) for word in ("goal", "law")]
    >>> clf = LLKDClassifier(
    ...     teacher, ["sports", "politics"], student=SklearnStudent(), random_state=0)
    >>> cascade = CascadeClassifier(clf, target=0.9, random_state=0).fit(texts)
    >>> cascade.decision(["a goal", "the unknown"]).source.tolist()
    ['student', 'teacher']
    """

    classes_: npt.NDArray[Any]
    estimator_: Any
    curve_: CoverageCurve
    threshold_: float
    n_held_out_: int
    audit_: AuditLog

    def __init__(
        self,
        clf: Any,
        teacher: Any = None,
        *,
        target: float = 0.97,
        confidence: float = 0.95,
        metric: str = "agreement",
        held_out: float | str = 0.25,
        abstention_label: Any = None,
        audit_share: float = 0.01,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.clf = clf
        self.teacher = teacher
        self.target = target
        self.confidence = confidence
        self.metric = metric
        self.held_out = held_out
        self.abstention_label = abstention_label
        self.audit_share = audit_share
        self.random_state = random_state
        self.verbose = verbose

    # ---- fit

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the classifier on a part of the texts, and choose the threshold on the rest.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts, or rows of numbers for a classifier that takes them.
        y : array-like of shape (n_texts,), optional
            Gold labels for the accuracy, None or NaN where there is none; without a
            teacher, the labels to learn from and to agree with. Handed to `clf.fit`.

        Returns
        -------
        CascadeClassifier
            The fitted cascade.

        Raises
        ------
        InvalidParameterError
            If the input or a parameter is not allowed.

        Warns
        -----
        GuaranteeWarning
            If no threshold is shown to reach the target: the student answers nothing.
        """
        check_parameters(self)
        texts = self._read(X, reset=True)
        if y is not None:
            check_consistent_length(texts, y)
            y = y if holds_tags(y) else label_entries(y, "y")
        random_state = check_random_state(self.random_state)
        estimator, rows = fitted_part(self.clf, self.held_out, texts, y, random_state)
        held_out = take_rows(texts, rows)
        self.estimator_, self.classes_ = estimator, estimator.classes_
        self._given_classes = given_classes(estimator)
        check_abstention_label(self.abstention_label, self._reading)
        proba = estimator.predict_proba(held_out)
        truth = self._truth(held_out, None if y is None else take_rows(y, rows))
        known, right = known_and_right(self._reading.label(proba), truth)
        sure = self._reading.confidence(proba)[known]
        curve = coverage_curve(sure, right, self.target, self.confidence)
        some = random_state.permutation(len(rows))[:MAX_TEXTS]
        reference = self._sample(take_rows(held_out, some))
        self._begin(curve, reference, random_state)
        if curve.chosen is None:
            warnings.warn(not_shown(curve), GuaranteeWarning, stacklevel=2)
        return self

    def _begin(
        self,
        curve: CoverageCurve,
        reference: Sample,
        random_state: np.random.RandomState,
    ) -> None:
        """Begin to answer, above the threshold chosen, and to watch."""
        self.curve_, self.threshold_ = curve, curve.chosen_threshold
        self.n_held_out_ = curve.n_texts
        self.audit_ = AuditLog(self.target, self.confidence)
        self._reference, self._traffic = reference, Traffic()
        self._draws = np.random.default_rng(random_state.randint(2**31))

    def _truth(self, texts: Any, y: Any) -> IntArray:
        """Return the column of the right label of held-out texts, -2 where not known."""
        teacher = self._named_teacher()
        self._class_bias = self._calibration(teacher, texts)
        if self.metric == "agreement" and teacher is not None:
            return self._reading.teacher_label(self._ask(teacher, texts))
        if y is None:
            raise InvalidParameterError(
                f'`metric="{self.metric}"` requires y to be passed, but the target y is '
                "None: give labels of the held-out texts as `y`"
                + (", or a teacher." if self.metric == "agreement" else ".")
            )
        return self._reading.given_label(y)

    @property
    @override
    def _reading(self) -> Reading:
        thresholds = getattr(self.estimator_, "thresholds_", None)
        return Reading(self.classes_, thresholds)

    @override
    def _named_teacher(self) -> Teacher | None:
        own = getattr(self.estimator_, "teacher", None)
        is_named = self.teacher is not None and self.teacher is not False
        teacher = self.teacher if is_named else own
        return None if teacher is None else as_teacher(teacher)

    def _calibration(self, teacher: Teacher | None, texts: Any) -> FloatArray:
        """Return the teacher's calibration: that of the classifier if it is its own."""
        if self.teacher is None or self.teacher is False:
            if isinstance(self.estimator_, LLKDClassifier):
                return fitted_state(self.estimator_).fixed_bias
        elif teacher is not None and teacher.calibration is not None:
            labels = teacher.label(texts, self._given_classes, verbose=self.verbose)
            if labels.class_bias is not None:
                return labels.class_bias
        return np.zeros(len(self.classes_))

    # ---- predict

    def predict(self, X: Any, level: int | None = None) -> npt.NDArray[Any]:
        """Return the label of each text, by the student or the teacher.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts.
        level : int, optional
            With `classes` in a tree: the level whose groups are told apart, 1 at the
            top. Who answers is decided by the classes, as without.

        Returns
        -------
        ndarray of shape (n_texts,) or (n_texts, n_classes)
            The labels; the abstention label where neither answers. Of several classes a
            text, rows of 0 and 1, of -1 where neither answers.
        """
        label = self.decision(X, level).label
        if self._reading.multilabel:
            label = np.maximum(self._reading.given_label(label), -1)
        return label

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the distribution of whoever answers each text.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts.

        Returns
        -------
        ndarray of shape (n_texts, n_classes)
            Distributions, columns as `classes_`; rows of NaN where neither answers.
        """
        return self.decision(X).proba

    def decision(self, X: Any, level: int | None = None) -> Decisions:
        """Return label, confidence and source of the answer to each text.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts.
        level : int, optional
            With `classes` in a tree: the level whose groups are told apart, 1 at the
            top. Who answers is decided by the classes, as without.

        Returns
        -------
        Decisions
            Labels, confidences, sources and distributions.

        Warns
        -----
        BudgetReachedWarning
            If the teacher's budget is spent: the rest is abstained from.
        GuaranteeWarning
            If the random checks say that the promise no longer holds.
        """
        check_is_fitted(self)
        texts, groups = self._read(X), self._groups(level)
        proba = self._student_proba(texts)
        teacher = self._fallback()
        said = np.full_like(proba, np.nan)
        checked = np.zeros(len(proba), dtype=bool)
        if teacher is not None:
            checked = self._drawn_for_checks(proba)
            asked = np.flatnonzero(checked | ~self._answered(proba))
            if len(asked):
                said[asked] = self._teacher_proba(teacher, take_rows(texts, asked))
        decided = self._decide(proba, said, checked)
        return decided if groups is None else decided.in_groups(groups)

    def _groups(self, level: int | None) -> Level | None:
        """Return the groups at a level of the tree of classes, None without a level."""
        if level is None:
            return None
        given = self._given_classes
        return level_of(self.classes_, given.names, given.tree, level)

    def _student_proba(self, texts: Any) -> FloatArray:
        """Return the student's distributions, and note how long they took."""
        start = time.perf_counter()
        proba: FloatArray = self.estimator_.predict_proba(texts)
        self._traffic.seconds[STUDENT].append(time.perf_counter() - start)
        return proba

    def _teacher_proba(self, teacher: Teacher, texts: Any) -> FloatArray:
        """Return the teacher's distributions, and note how long they took."""
        start = time.perf_counter()
        proba = self._ask(teacher, texts)
        self._traffic.seconds[TEACHER].append(time.perf_counter() - start)
        return proba

    def _answered(self, proba: FloatArray) -> BoolArray:
        """Return where the student is sure enough to answer."""
        return np.asarray(self._reading.confidence(proba) >= self.threshold_)

    def _fallback(self) -> Teacher | None:
        """Return whom to ask the texts the student does not answer, None for nobody."""
        return None if self.teacher is False else self._named_teacher()

    def _decide(
        self, proba: FloatArray, said: FloatArray, checked: BoolArray
    ) -> Decisions:
        """Return the decisions from student and teacher; some answers are checked."""
        reading = self._reading
        label = reading.label(proba[checked])
        self._add_checks(label, reading.teacher_label(said[checked]))
        answered = self._answered(proba)
        decided = decide(reading, answered, proba, said, self.abstention_label)
        self._traffic.add(decided.source, int(checked.sum()))
        return decided

    def _drawn_for_checks(self, proba: FloatArray) -> BoolArray:
        """Draw the student's answers that the teacher is asked about as well."""
        share = self.audit_share if self.metric == "agreement" else 0
        return (self._draws.random(len(proba)) < share) & self._answered(proba)

    @override
    def _ask(self, teacher: Teacher, texts: Any) -> FloatArray:
        with warnings.catch_warnings():
            # A text without an answer is one that is abstained from.
            warnings.simplefilter("ignore", MissingLabelWarning)
            labels = teacher.label(
                texts,
                self._given_classes,
                class_bias=self._class_bias,
                verbose=self.verbose,
            )
        return in_class_order(labels.proba, self._given_classes)

    @override
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of the texts answered right; an abstention is not.

        Of several classes a text all must be right.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts.
        y : array-like of shape (n_texts,)
            Their labels.
        sample_weight : array-like of shape (n_texts,), optional
            The weight of each text.

        Returns
        -------
        float
            The score, in [0, 1].
        """
        predicted = self.predict(X)
        if self._reading.multilabel:
            return tags_accuracy(predicted, y, self.classes_.tolist(), sample_weight)
        return gold_accuracy(
            predicted, y, self.classes_, sample_weight, all_known=False
        )

    # ---- files

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the fitted cascade and its classifier to a folder, without pickle.

        The teacher and the counts of the traffic are left behind.

        Parameters
        ----------
        folder : str or Path
            The folder, as of `LLKDClassifier.save`; of a cascade of an `ONNXClassifier`
            it holds the ONNX file.

        Raises
        ------
        InvalidParameterError
            If the classifier is neither an `LLKDClassifier` nor an `ONNXClassifier`.
        """
        check_is_fitted(self)
        learned = (self.curve_, self._given_classes, self._class_bias, self._reference)
        files.save(Path(folder), self.estimator_, self.get_params(deep=False), *learned)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], teacher: Any = None) -> Self:
        """Return the cascade saved in a folder.

        Parameters
        ----------
        folder : str or Path
            The folder.
        teacher : Teacher, callable or False, optional
            Whom to ask for the texts that the student does not answer. By default
            nobody, as the classifier has left its teacher behind.

        Returns
        -------
        CascadeClassifier
            The cascade, with nothing counted and checked yet.

        Raises
        ------
        SavedModelError
            If the folder holds no cascade, a damaged one, or another classifier than the
            one that it was saved with.
        """
        clf, parameters, learned = files.load(Path(folder))
        cascade = cls(clf, teacher, held_out="prefit", **parameters)
        cascade.estimator_, cascade.classes_ = clf, clf.classes_
        cascade._given_classes = learned["classes"]
        cascade._class_bias = learned["class_bias"]
        random_state = np.random.RandomState()
        cascade._begin(learned["curve"], learned["reference"], random_state)
        return cascade

    # ---- scikit-learn

    @override
    def _read(self, X: Any, reset: bool = False) -> Any:
        if get_tags(self.clf).input_tags.string or holds_strings(X):
            return as_texts(X)
        return validate_data(self, X, reset=reset, dtype=np.float64)

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted clone that shares the teacher, and a fitted `clf`."""
        twin = clone_sharing(self, "teacher")
        if self.held_out == "prefit":
            twin.clf = self.clf
        return twin

    @override
    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "estimator_" in state and self.teacher is not False:
            state["teacher"] = None
        return state

    @override
    def __sklearn_tags__(self) -> Any:
        tags, inner = super().__sklearn_tags__(), get_tags(self.clf)
        tags.input_tags = inner.input_tags
        tags.target_tags.required = self.metric == "accuracy" or (
            inner.target_tags.required
        )
        return tags
