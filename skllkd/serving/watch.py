"""Methods of a cascade that watch its traffic: checks, drift, report."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from skllkd._classifier import LLKDClassifier
from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.params import check_number
from skllkd._fitted import fitted_state
from skllkd.exceptions import GuaranteeWarning, InvalidParameterError, SavedModelError
from skllkd.serving.audit import AuditLog
from skllkd.serving.cascade_report import CascadeReport, cascade_report
from skllkd.serving.coverage import CoverageCurve
from skllkd.serving.decisions import Traffic
from skllkd.serving.drift import MAX_TEXTS, Drift, Sample, compare
from skllkd.serving.held_out import keys_of, known_and_right, take_rows
from skllkd.serving.reading import Reading
from skllkd.teachers import Teacher


class WatchMixin(ABC):
    """`audit`, `drift` and `report` of a fitted cascade."""

    teacher: Any
    target: float
    confidence: float
    metric: str
    audit_share: float
    classes_: npt.NDArray[Any]
    estimator_: Any
    curve_: CoverageCurve
    threshold_: float
    audit_: AuditLog
    _traffic: Traffic
    _reference: Sample

    @property
    @abstractmethod
    def _reading(self) -> Reading:
        """The labels and confidences of the classifier."""

    @abstractmethod
    def _read(self, X: Any, reset: bool = False) -> Any:
        """Return the input as the classifier takes it: texts, or numbers."""

    @abstractmethod
    def _named_teacher(self) -> Teacher | None:
        """Return the cascade's teacher, or else that of the classifier."""

    @abstractmethod
    def _ask(self, teacher: Teacher, texts: Any) -> FloatArray:
        """Return a teacher's distributions, NaN where it has none."""

    def audit(self, X: Any, y: Any = None) -> AuditLog:
        """Check the student's own answers to a random sample of the traffic.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            Texts drawn at random from the traffic.
        y : array-like of shape (n_texts,), optional
            Their right labels, None where not known. By default those of the teacher.

        Returns
        -------
        AuditLog
            All checks since `fit`, those of `decision` included.

        Raises
        ------
        InvalidParameterError
            If there is neither `y` nor a teacher, or the teacher's labels are not what the
            promise is about (``metric="accuracy"``).

        Warns
        -----
        GuaranteeWarning
            If the promise no longer holds.
        """
        check_is_fitted(self)
        texts, teacher = self._read(X), self._named_teacher()
        if y is None and (teacher is None or self.metric == "accuracy"):
            raise InvalidParameterError(
                f"`y` must hold the right labels: the promise is of {self.metric}, and "
                "there is no teacher that says them."
            )
        if y is not None:
            check_consistent_length(texts, y)
        proba = self.estimator_.predict_proba(texts)
        reading = self._reading
        rows = np.flatnonzero(reading.confidence(proba) >= self.threshold_)
        label = truth = reading.label(proba[rows])
        if len(rows) and y is not None:
            truth = reading.given_label(take_rows(y, rows))
        elif len(rows) and teacher is not None:
            said = self._ask(teacher, take_rows(texts, rows))
            truth = reading.teacher_label(said)
        self._add_checks(label, truth)
        return self.audit_

    def _add_checks(self, label: IntArray, truth: IntArray) -> None:
        """Add checks to the log, and warn once the promise no longer holds."""
        held = self.audit_.holds
        self.audit_.add(known_and_right(label, truth)[1])
        if held and not self.audit_.holds:
            warnings.warn(
                f"the promise of {self.target:g} no longer holds: of "
                f"{self.audit_.n_checked} answers checked {self.audit_.n_right} were "
                "right. The texts may have changed (see `drift`): fit again on new ones.",
                GuaranteeWarning,
                stacklevel=3,
            )

    def drift(self, X: Any) -> Drift:
        """Compare new texts with the held-out ones: confidence, classes, embeddings.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            New texts, as the traffic of a day; of more than 500 distinct ones a random
            sample is compared.

        Returns
        -------
        Drift
            The p-values of permutation tests, and the differences. Printed, it is a
            table.
        """
        check_is_fitted(self)
        texts = self._read(X)
        rows = np.array(list({key: i for i, key in enumerate(keys_of(texts))}.values()))
        some = np.random.default_rng(0).permutation(len(rows))[:MAX_TEXTS]
        new = self._sample(take_rows(texts, rows[some]))
        alpha = 1 - self.confidence
        return compare(self._reference, new, self.classes_.tolist(), alpha)

    def _sample(self, texts: Any) -> Sample:
        """Return the student's answers to texts, and their embeddings."""
        proba = self.estimator_.predict_proba(texts)
        embedding = None
        if isinstance(self.estimator_, LLKDClassifier) and isinstance(texts, list):
            try:
                embedding = fitted_state(self.estimator_).student.embed(texts)
            except SavedModelError:  # moved without the encoder it came from
                embedding = None
        reading = self._reading
        return Sample(reading.confidence(proba), reading.label(proba), embedding)

    def report(self, price: float | None = None) -> CascadeReport:
        """Return the promise, the shares of the traffic, costs and latency since `fit`.

        Parameters
        ----------
        price : float, optional
            The teacher's price of a thousand texts, in any currency.

        Returns
        -------
        CascadeReport
            The report. Printed, it is a page.
        """
        check_is_fitted(self)
        if price is not None:
            check_number(price, "price", 0)
        has_teacher = self.teacher is not False and self._named_teacher() is not None
        share = self.audit_share if self.metric == "agreement" and has_teacher else 0.0
        facts = (self._traffic, self.audit_, has_teacher, share, price)
        return cascade_report(self.curve_, self.metric, *facts)
