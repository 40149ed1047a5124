"""FittedState: the result of `fit`, read by everything that comes after it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from sklearn.utils.validation import check_is_fitted

from skllkd._core.arrays import BoolArray, FloatArray, IntArray, nan_rows
from skllkd._core.class_tree import Level, level_of
from skllkd._core.classes import Classes, as_classes
from skllkd._core.digest import text_keys
from skllkd._core.tags import names_of
from skllkd._core.texts import as_texts
from skllkd.exceptions import InvalidParameterError
from skllkd.refinement.gold import Accuracy
from skllkd.refinement.record import RefinementRecord, Source, refinement_record
from skllkd.selection import Selection
from skllkd.students import Student
from skllkd.training.log import TrainingLog
from skllkd.training.training_set import TrainingSet, in_class_order

#: Properties that are the classifier's learned attributes, with a `_` at the end.
_ATTRIBUTES = (
    *(
        "classes",
        "student",
        "selection",
        "teacher_proba",
        "pseudo_labels",
        "label_mass",
    ),
    *("times_selected", "history", "validation_agreement", "agreement", "seconds"),
    *("n_teacher_calls", "n_teacher_calls_saved", "n_features_in", "feature_names_in"),
    *("refined_proba", "refinement", "gold_accuracy", "thresholds", "level_classes"),
)
#: Learned attributes of selections that have thresholds.
_THRESHOLDS = ("teacher_thresholds_", "student_thresholds_")
#: Number of new texts of a class, as expected, below which its threshold stays.
_FEW = 20


@dataclass(frozen=True, kw_only=True)
class FittedState:
    """The result of `fit`; columns of all arrays follow `classes`, in sorted order."""

    classes: npt.NDArray[Any]
    given_classes: Classes  # in the user's order
    student: Student
    selection: Selection
    teacher_proba: FloatArray  # (n_texts, n_classes), calibrated
    label_mass: FloatArray  # (n_texts,)
    #: (n_texts,); of several classes a text, (n_texts, n_classes)
    times_selected: npt.NDArray[np.int32]
    class_bias: FloatArray | None  # in nats, in the order of `given_classes`
    is_recalibrated: bool
    history: dict[str, npt.NDArray[Any]]  # (n_steps,) each
    validation_agreement: FloatArray  # (n_epochs,)
    agreement: float
    n_teacher_calls: int
    n_teacher_calls_saved: int
    seconds: dict[str, float]
    pool_digest: str
    pool: Any = None  # the texts of `fit`; not stored in files
    feature_names_in: npt.NDArray[np.object_] | None = None  # of numeric input
    n_features_in: int | None = None
    refined_proba: FloatArray | None = None  # (n_texts, n_classes)
    #: (n_texts,), predicted column; -1 for none. Of several classes a text, (n_texts,
    #: n_classes) of 0 and 1.
    out_of_fold: IntArray | None = None
    sources: tuple[Source, ...] = ()  # of the refinement
    gold_accuracy: dict[str, Accuracy] | None = None  # with gold labels
    predicts_codes: bool = False  # the classes' numbers, as `y` of `fit` held them
    #: (n_classes,): from which on a text has the class, where it may have several
    thresholds: FloatArray | None = None
    #: (n_learned,), digests of the distinct texts learned, those of earlier calls included
    learned_keys: npt.NDArray[np.uint32] | None = None

    @property
    def multilabel(self) -> bool:
        """Whether a text has none, one or several of the classes."""
        return self.given_classes.multilabel

    @property
    def predicted_classes(self) -> npt.NDArray[Any]:
        """The classes as they are predicted: the names, or their numbers."""
        return np.arange(len(self.classes)) if self.predicts_codes else self.classes

    @cached_property
    def level_classes(self) -> dict[int, npt.NDArray[Any]] | None:
        """The names at each level of a tree of classes, None without one."""
        tree = self.given_classes.tree
        if tree is None:
            return None
        return {k: self.level(k).names for k in range(1, tree.depth + 1)}

    def level(self, level: Any) -> Level:
        """Return the groups at a level of the tree of classes, or raise without one."""
        given = self.given_classes
        return level_of(self.classes, given.names, given.tree, level)

    @cached_property
    def pseudo_labels(self) -> npt.NDArray[np.object_]:
        """The most probable class of each text of `fit`, None where there is none.

        Of several classes a text, those of a probability of one half or more.
        """
        if self.multilabel:
            has = np.where(
                nan_rows(self.teacher_proba)[:, None], np.nan, self.teacher_proba >= 0.5
            )
            return names_of(has, self.classes.tolist())
        labels = np.full(len(self.teacher_proba), None, dtype=object)
        known = ~nan_rows(self.teacher_proba)
        # One object a class, not one a text.
        names = self.classes.astype(object)
        labels[known] = names[self.teacher_proba[known].argmax(axis=1)]
        return labels

    @cached_property
    def refinement(self) -> RefinementRecord | None:
        """The record of the refinement, None without one."""
        if self.refined_proba is None:
            return None
        labels = (self.classes, self.teacher_proba, self.refined_proba)
        return refinement_record(*labels, self.sources, multilabel=self.multilabel)

    @property
    def n_steps(self) -> int:
        """The number of training steps so far."""
        return len(self.history["epoch"])

    @property
    def share_selected(self) -> float:
        """The share of the texts presented that was selected, in [0, 1]."""
        selected, presented = self.history["n_selected"], self.history["n_presented"]
        return float(selected.sum() / presented.sum())

    @property
    def fixed_bias(self) -> FloatArray:
        """The calibration of `fit`, which other texts must not change."""
        if self.class_bias is None:
            return np.zeros(len(self.classes))
        return self.class_bias

    def attributes(self) -> dict[str, Any]:
        """Return the classifier's learned attributes that exist, by name."""
        learned = {f"{name}_": getattr(self, name) for name in _ATTRIBUTES}
        learned["classes_"] = self.predicted_classes
        for name in _THRESHOLDS:
            if hasattr(self.selection, name):
                learned[name] = getattr(self.selection, name)[: self.n_steps]
        return {name: value for name, value in learned.items() if value is not None}

    def is_pool(self, X: Any) -> bool:
        """Return whether these are the texts of `fit`, in the same order."""
        takes_text = self.student.takes_text
        texts = as_texts(X) if takes_text else np.asarray(X, dtype=np.float64)
        return digest(texts) == self.pool_digest

    def has_learned(self, X: Any) -> BoolArray:
        """Return which of the texts, or rows of numbers, the student learned from."""
        if self.learned_keys is None:
            return np.full(len(X), self.is_pool(X))
        return np.isin(text_keys(X), self.learned_keys)

    def same_classes(self, classes: Any) -> Classes:
        """Return the classes learned, or raise if others are given."""
        learned = self.given_classes
        given = learned if classes is None else as_classes(classes)
        if (given.names, given.multilabel) != (learned.names, learned.multilabel):
            raise InvalidParameterError(
                "`classes` must stay the same to go on learning; got "
                f"{_in_words(given)} after {_in_words(learned)}. "
                "Call `fit` with warm_start=False to begin anew."
            )
        return learned

    def uncalibrated(self, proba: FloatArray) -> FloatArray | None:
        """Undo the calibration of teacher distributions, columns as `classes`.

        A calibration on gold labels cannot be undone: None.
        """
        if self.is_recalibrated:
            return None
        if self.class_bias is None:
            return proba
        bias = in_class_order(self.class_bias[None, :], self.given_classes)
        if self.multilabel:
            uncalibrated: FloatArray = expit(logit(proba) + bias)
            return uncalibrated
        weight = proba * np.exp(bias - bias.max())
        raw: FloatArray = weight / weight.sum(axis=1, keepdims=True)
        return raw

    def portable(self) -> FittedState:
        """Return the state as files hold it: without texts, in half the bytes."""
        refined, out_of_fold = self.refined_proba, self.out_of_fold
        return replace(
            self,
            pool=None,
            out_of_fold=None if out_of_fold is None else out_of_fold.astype(np.int16),
            teacher_proba=self.teacher_proba.astype(np.float32),
            label_mass=self.label_mass.astype(np.float32),
            refined_proba=None if refined is None else refined.astype(np.float32),
        )


def state_after(
    training_set: TrainingSet,
    student: Student,
    selection: Selection,
    log: TrainingLog,
    earlier: FittedState | None,
    **others: Any,
) -> FittedState:
    """Return the state after training; counts and history go on from an earlier one."""
    labels = training_set
    shape = (len(labels.teacher_proba), *log.times_selected.shape[1:])
    times_selected = np.zeros(shape, dtype=np.int32)
    times_selected[labels.labelled] = log.times_selected
    history, validation = log.history, log.validation_agreement
    n_asked, n_reused, class_bias = labels.n_asked, labels.n_reused, labels.class_bias
    keys = text_keys(labels.texts)
    if earlier is not None:
        if earlier.learned_keys is not None:
            keys = np.concatenate([earlier.learned_keys, keys])
        history = _continued(earlier.history, history)
        validation = np.concatenate([earlier.validation_agreement, validation])
        n_asked += earlier.n_teacher_calls
        n_reused += earlier.n_teacher_calls_saved
        class_bias = earlier.class_bias if class_bias is None else class_bias
        if earlier.thresholds is not None:
            kept = (
                labels.proba[labels.labelled].sum(axis=0) < _FEW,
                earlier.thresholds,
            )
            others["thresholds"] = np.where(*kept, others["thresholds"])
    return FittedState(
        classes=labels.classes,
        given_classes=labels.given_classes,
        student=student,
        selection=selection,
        teacher_proba=labels.teacher_proba,
        label_mass=labels.label_mass,
        times_selected=times_selected,
        class_bias=class_bias,
        is_recalibrated=labels.is_recalibrated,
        history=history,
        validation_agreement=validation,
        n_teacher_calls=n_asked,
        n_teacher_calls_saved=n_reused,
        refined_proba=labels.refined_proba,
        out_of_fold=labels.out_of_fold,
        sources=labels.sources,
        gold_accuracy=labels.gold_accuracy,
        pool=labels.texts,
        pool_digest=digest(labels.texts),
        learned_keys=np.unique(keys),
        **others,
    )


def _in_words(classes: Classes) -> str:
    """Return classes as the user gives them."""
    names = repr(list(classes.names))
    return f"Multilabel({names})" if classes.multilabel else names


def _continued(
    before: dict[str, npt.NDArray[Any]], new: dict[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    """Append a history to an earlier one; epochs count on."""
    new = new | {"epoch": new["epoch"] + before["epoch"].max() + 1}
    return {name: np.concatenate([before[name], new[name]]) for name in new}


def fitted_state(estimator: Any) -> FittedState:
    """Return the state of a fitted classifier, or raise NotFittedError."""
    check_is_fitted(estimator, "student_")
    state: FittedState = estimator._fitted
    return state


def digest(texts: Any) -> str:
    """Return a BLAKE2b digest of texts, or of rows of numbers, in their order."""
    total = hashlib.blake2b(digest_size=16)
    if isinstance(texts, np.ndarray):
        total.update(np.ascontiguousarray(texts).tobytes())
    else:
        for text in texts:
            data = text.encode("utf-8", "surrogatepass")
            total.update(len(data).to_bytes(8, "little") + data)
    return total.hexdigest()
