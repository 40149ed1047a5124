"""Evaluation of a classifier on texts with gold labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from skllkd._core.arrays import BoolArray, FloatArray, IntArray
from skllkd.inspection.evaluation_text import evaluation_markdown
from skllkd.refinement.gold import Accuracy


@dataclass(frozen=True)
class ClassScores:
    """Scores of a class.

    Parameters
    ----------
    name : object
        The class.
    n_texts, n_predicted : int
        The number of texts that are of the class, and that are predicted to be.
    precision, recall, f1 : float
        The scores, in [0, 1]; NaN where there is nothing to judge.
    precision_interval, recall_interval : tuple of float
        The 95 % Wilson intervals.
    calibration_error : float or None
        The expected calibration error of the probability of the class, in [0, 1], where
        a text may have several classes.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.inspection.scoring import evaluate_predictions
    >>> proba = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    >>> found = evaluate_predictions(["ham", "spam"], proba, ["ham", "ham", "spam"])
    >>> found.per_class[0].recall
    0.5
    """

    name: Any
    n_texts: int
    n_predicted: int
    precision: float
    recall: float
    f1: float
    precision_interval: tuple[float, float]
    recall_interval: tuple[float, float]
    calibration_error: float | None = None


@dataclass(frozen=True)
class Rival:
    """Another judge of the same texts, and the classifier's lead over it.

    Parameters
    ----------
    name : str
        The name.
    accuracy : Accuracy
        Its accuracy, on the texts that it labels.
    lead : float
        The classifier's accuracy less its, on these texts.
    lead_interval : tuple of float
        The 95 % interval of the lead, from the paired differences.
    micro_f1 : float or None
        Its micro-F1, where a text may have several classes.

    Examples
    --------
    >>> from skllkd.inspection.evaluation import Rival
    >>> from skllkd.refinement.gold import Accuracy
    >>> Rival("teacher", Accuracy(50, 40), 0.02, (-0.05, 0.09)).accuracy.share
    0.8
    """

    name: str
    accuracy: Accuracy
    lead: float
    lead_interval: tuple[float, float]
    micro_f1: float | None = None


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Scores of a classifier on texts with gold labels.

    Parameters
    ----------
    classes : list
        The class names, in the order of rows and columns.
    accuracy : Accuracy
        The accuracy; where a text may have several classes, the share of the texts of
        which all classes are right.
    macro_f1 : float
        The mean of the classes' F1 scores, over the classes that occur.
    macro_f1_interval : tuple of float
        Its 95 % interval, from 1,000 resamples of the texts.
    per_class : list of ClassScores
        The scores of each class.
    confusion : ndarray of shape (n_classes, n_classes) or (n_classes, 2, 2), int
        The number of texts of each class (row) that are predicted as each (column); of
        several classes a text, for each class of those without and with it.
    confidence : ndarray of shape (n_texts,)
        The probability of each prediction, in [0, 1]; of several classes a text, the
        smallest of those of its classes, with each threshold moved to one half.
    is_right : ndarray of shape (n_texts,), bool
        Whether each prediction is right.
    calibration_error : float
        The expected calibration error, in [0, 1]; of several classes a text, of the
        probabilities of all texts and classes.
    coverage : list of (float, float, float)
        Share of the texts kept, the most confident first, the confidence of the least
        confident of them, and the accuracy on them.
    rivals : list of Rival
        The most frequent class, and the others that were given.
    cost : dict of str to float
        "model_bytes" and "texts_per_second", where they were measured.
    micro_f1 : float or None
        The F1 score of all texts and classes together, where a text may have several.
    micro_f1_interval : tuple of float or None
        Its 95 % interval.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.inspection.scoring import evaluate_predictions
    >>> proba = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    >>> found = evaluate_predictions(["ham", "spam"], proba, ["ham", "ham", "spam"])
    >>> print(found.accuracy)
    66.7% [20.8%, 93.9%] of 3 texts
    >>> found.confusion
    array([[1, 1],
           [0, 1]])
    """

    classes: list[Any]
    accuracy: Accuracy
    macro_f1: float
    macro_f1_interval: tuple[float, float]
    per_class: list[ClassScores]
    confusion: IntArray
    confidence: FloatArray
    is_right: BoolArray
    calibration_error: float
    coverage: list[tuple[float, float, float]]
    rivals: list[Rival]
    cost: dict[str, float]
    micro_f1: float | None = None
    micro_f1_interval: tuple[float, float] | None = None

    def __repr__(self) -> str:
        """Return the accuracy and the F1 scores in one line."""
        if self.micro_f1 is not None:
            return (
                f"<Evaluation: all classes right {self.accuracy}, micro-F1 "
                f"{self.micro_f1:.3f}, macro-F1 {self.macro_f1:.3f}>"
            )
        return f"<Evaluation: accuracy {self.accuracy}, macro-F1 {self.macro_f1:.3f}>"

    def to_markdown(self) -> str:
        """Return the scores as a page of Markdown.

        Returns
        -------
        str
            The page.
        """
        return evaluation_markdown(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as values of JSON; None where there is nothing to judge.

        Returns
        -------
        dict
            The scores by name, without those of single texts.
        """
        content = asdict(self) | {"confusion": self.confusion.tolist()}
        del content["confidence"], content["is_right"]
        content["accuracy"] |= {
            "share": self.accuracy.share,
            "interval": self.accuracy.interval,
        }
        plain: dict[str, Any] = _without_nan(content)
        return plain


def _without_nan(value: Any) -> Any:
    """Return a value in which NaN is None, as JSON knows no NaN."""
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and np.isnan(value) else value
