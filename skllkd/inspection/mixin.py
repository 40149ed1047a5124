"""Methods of the classifier that measure it, most of which ask the teacher."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin

from skllkd._core.arrays import FloatArray
from skllkd._core.labels import gold_accuracy
from skllkd._core.sample_weight import check_sample_weight
from skllkd._core.tags import tags_accuracy
from skllkd._fitted import FittedState, fitted_state
from skllkd.exceptions import InvalidParameterError
from skllkd.inspection.evaluation import Evaluation
from skllkd.inspection.measuring import evaluate_classifier, make_report
from skllkd.inspection.report import Report
from skllkd.metrics import agreement_of_rows
from skllkd.teachers import TeacherLabels
from skllkd.teachers.wrapping import as_teacher
from skllkd.training.training_set import in_class_order


class InspectionMixin(ClassifierMixin):
    """`score`, `label` and `report` of a classifier that holds a `FittedState`."""

    teacher: Any
    classes: Any
    verbose: int
    _fitted: FittedState

    @abstractmethod
    def _read(self, X: Any) -> Any:
        """Return the input as the fitted student takes it."""

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy against labels, or the agreement with the teacher.

        Of several classes a text, the accuracy is the share of the texts of which all
        classes are right, as in scikit-learn, and the agreement the micro-F1 that the
        teacher's probabilities lead to expect.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts.
        y : array-like of shape (n_texts,), optional
            Their gold labels; of several classes a text, rows of 0 and 1 or lists of
            names. Without, the teacher is asked about texts it has not labelled before,
            and the score is the mean probability its calibrated distribution gives to
            the student's prediction.
        sample_weight : array-like of shape (n_texts,), optional
            The weight of each text.

        Returns
        -------
        float
            The score, in [0, 1].

        Raises
        ------
        InvalidParameterError
            If there are neither labels nor a teacher, or a label is not in `classes`.
        """
        state = fitted_state(self)
        if y is not None and state.thresholds is not None:
            has = state.student.predict_proba(self._read(X)) >= state.thresholds
            return tags_accuracy(has, y, state.classes.tolist(), sample_weight)
        if y is not None:
            texts, names = self._read(X), state.predicted_classes
            most_probable = state.student.predict_proba(texts).argmax(axis=1)
            is_named = self.classes is not None
            given = (names[most_probable], y, names, sample_weight)
            return gold_accuracy(*given, all_known=is_named)
        texts, weight = self._read(X), None
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, len(texts))
        teacher_proba = self._teacher_columns(self._ask_teacher(texts))
        student_proba = state.student.predict_proba(texts)
        agreement = agreement_of_rows(student_proba, teacher_proba, state.thresholds)
        if weight is None:
            return agreement.mean()
        if not weight[agreement.rows].any():
            raise InvalidParameterError(
                "`sample_weight` is 0 for each text that the teacher has a label of."
            )
        return agreement.mean(weight[agreement.rows])

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
        return self._teacher_columns(self._ask_teacher(self._read(X)))

    def _teacher_columns(self, labels: TeacherLabels) -> FloatArray:
        """Return the teacher's distributions, columns as `classes_`."""
        return in_class_order(labels.proba, self._fitted.given_classes)

    def _ask_teacher(self, texts: Any) -> TeacherLabels:
        """Return the teacher's labels of texts that were read."""
        if self.teacher is None:
            raise InvalidParameterError(
                "this needs the teacher, and the classifier has none (a loaded one has "
                "left it behind). Give gold labels as `y`, or set_params(teacher=...)."
            )
        state = self._fitted
        return as_teacher(self.teacher).label(
            texts,
            state.given_classes,
            class_bias=state.fixed_bias,
            verbose=self.verbose,
        )

    def report(self, X: Any = None) -> Report:
        """Measure, print and return the agreement with the teacher and the label issues.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,), optional
            The texts to measure on. By default those it was fitted on, which it
            remembers as long as it lives, but not in pickles. Of others the teacher
            is asked what it has not labelled before; without a teacher the report is
            about the student alone.

        Returns
        -------
        Report
            Agreement with the teacher, label issues, costs, size and speed.

        Raises
        ------
        InvalidParameterError
            If `X` is needed.
        """
        state = fitted_state(self)
        if X is None and state.pool is None:
            raise InvalidParameterError(
                "`report` of a loaded classifier needs `X`: the texts it was fitted on, "
                "or others."
            )
        texts = state.pool if X is None else self._read(X)
        report = make_report(state, texts, *self._known_labels(texts))
        print(report)
        return report

    def evaluate(
        self, X: Any, y: Any, *, teacher_labels: Any = None, level: int | None = None
    ) -> Evaluation:
        """Evaluate the classifier on texts with gold labels.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts; at best none of those of `fit`.
        y : sequence of shape (n_texts,)
            Their gold labels.
        teacher_labels : sequence of shape (n_texts,), optional
            The labels of the teacher, None where there is none, to be compared with.
        level : int, optional
            With `classes` in a tree: the level whose groups are told apart, 1 at the
            top. Labels are those of classes, or of groups there.

        Returns
        -------
        Evaluation
            Accuracy, macro-F1, scores of each class, the confusion matrix, calibration,
            coverage, others that judge the same texts, speed and size.

        Raises
        ------
        InvalidParameterError
            If a label is not in `classes_`.
        """
        fitted_state(self)
        return evaluate_classifier(self, self._read(X), y, teacher_labels, level)

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
        """Return the distributions of `fit` for its own texts, or ask the teacher."""
        if self._fitted.is_pool(texts):
            return self._fitted.teacher_proba
        return self._teacher_columns(self._ask_teacher(texts))

    def _known_labels(self, texts: Any) -> tuple[FloatArray, int]:
        """Return the teacher's distributions, NaN without one, and the calls they took."""
        state = self._fitted
        if state.is_pool(texts):
            return state.teacher_proba, 0
        if self.teacher is None:
            return np.full((len(texts), len(state.classes)), np.nan), 0
        labels = self._ask_teacher(texts)
        return self._teacher_columns(labels), labels.n_asked
