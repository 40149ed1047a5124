"""Interface of the sources of evidence about the labels of texts."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.classes import Classes, as_classes

#: From texts to their embeddings, or None without an encoder.
Embed = Callable[[Any], npt.NDArray[np.float32] | None]
#: From labels, weights and a number of folds to distributions; None if not possible.
CrossFit = Callable[[IntArray, FloatArray, int], FloatArray | None]


@dataclass(frozen=True)
class EvidenceContext:
    """The texts to be labelled, and the means to find evidence about them.

    Parameters
    ----------
    texts : list of str, or ndarray of shape (n_texts, n_features)
        The texts; rows of numbers with a student that takes numbers.
    classes : Classes
        The classes in the user's order, which the columns of all distributions
        follow: their `names` and `descriptions`.
    teacher_proba : ndarray of shape (n_texts, n_classes)
        The teacher's calibrated distributions; a row of NaN where it has none.
    labels : ndarray of shape (n_texts, n_classes)
        The distributions so far, of the teacher and of the evidence before; a row of
        NaN where nothing is known of a text.
    embed : callable
        Embeds a list of texts with the student's encoder as it is before training,
        ndarray of shape (n_texts, n_features); None if the student has no encoder.
        Embeddings are kept for the student's training.
    out_of_fold : callable
        From a label of each text (int, -1 for none), its weight and a number of folds
        to a distribution of each text by a model that was trained on the other folds,
        ndarray of shape (n_texts, n_classes), rows of NaN where there was too little
        to train on; None if no model can be trained.
    seed : int
        Seed of all randomness.
    verbose : int, default=0
        Whether to show progress.
    gold : ndarray of shape (n_texts,), int, optional
        The column of the gold label of each text, -1 for none, for evidence that uses
        labels; `labels` then hold them with probability 1. With several classes a text
        (`classes.multilabel`) of shape (n_texts, n_classes): 1 for each class of a text,
        0 for the others, rows of -1 for none.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.refinement import EvidenceContext, Rules
    >>> context = EvidenceContext.of(["won 3:1"], {"sports": "", "politics": ""})
    >>> rules = Rules({"sports": lambda text: ":" in text})
    >>> np.exp(rules.log_prob(context)).round(2)
    array([[0.73, 0.27]])
    """

    texts: Any
    classes: Classes
    teacher_proba: FloatArray
    labels: FloatArray
    embed: Embed
    out_of_fold: CrossFit
    seed: int
    verbose: int = 0
    gold: IntArray | None = None

    @classmethod
    def of(cls, texts: Any, classes: Any) -> Self:
        """Return a context without labels, encoder and model, to try out evidence.

        Parameters
        ----------
        texts : list of str
            The texts.
        classes : sequence or mapping
            The class names, or names with descriptions.

        Returns
        -------
        EvidenceContext
            The context.
        """
        classes = as_classes(classes)
        nothing = np.full((len(texts), len(classes)), np.nan)
        return cls(
            texts, classes, nothing, nothing, lambda _: None, lambda *_: None, seed=0
        )


class Evidence(BaseEstimator, ABC):
    """Base class of the sources of evidence about labels.

    A source says of each text how probable each class is, by whatever it knows. Its
    weight is estimated by `Refinement`. A source of your own takes one method,
    `log_prob`; let it be a frozen dataclass, so that it can be shared. With several
    classes a text (`context.classes.multilabel`) each column is by itself the
    log-probability that a text has the class, NaN where nothing is known of that; a
    source that uses labels sees one class at a time, as the classes "not it" and "it".

    See Also
    --------
    ClassNames : The likeness of texts and class names.
    OutOfFold : Predictions by a model trained on the other texts.
    AnotherTeacher : A second teacher.
    Rules : Functions that recognise a class.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from skllkd.refinement import ClassNames, Evidence, OutOfFold, Refinement
    >>> @dataclass(frozen=True)
    ... class QuestionMarks(Evidence):
    ...     share: float = 0.8
    ...     def log_prob(self, context):
    ...         proba = np.full(context.labels.shape, np.nan)
    ...         asks = np.array(["?" in text for text in context.texts])
    ...         is_question = np.array(context.classes.names) == "question"
    ...         proba[asks] = np.where(is_question, self.share, 1 - self.share)
    ...         return np.log(proba)
    >>> refinement = Refinement((ClassNames(), QuestionMarks(), OutOfFold()))
    """

    #: Whether the evidence depends on the labels so far: it is then asked in each
    #: round, and its weight is not estimated.
    uses_labels: ClassVar[bool] = False
    #: Whether the source knows no more than the student's encoder: it is then heard
    #: about a teacher's labels only if it is as good as they claim to be.
    of_encoder: ClassVar[bool] = False
    #: Requirement without which the source stands aside, as the report names it.
    requirement: ClassVar[str] = ""

    @abstractmethod
    def log_prob(self, context: EvidenceContext) -> FloatArray | None:
        """Return the log-probability of each class for each text.

        Parameters
        ----------
        context : EvidenceContext
            The texts, the classes, and the means to find evidence.

        Returns
        -------
        ndarray of shape (n_texts, n_classes) or None
            Log-probabilities in nats, columns as `context.classes`; a row of NaN for
            a text of which nothing can be said; None to stand aside altogether.
        """

    def check(self) -> None:
        """Check the parameters, before labels are bought.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        """

    def portable(self) -> Evidence | None:
        """Return the source as files hold it.

        Returns
        -------
        Evidence or None
            By default the source itself; None for one that is left behind, as it
            holds a teacher or functions.
        """
        return self

    @property
    def name(self) -> str:
        """The name of the source in reports: that of its class, as words."""
        words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", type(self).__name__)
        return " ".join(words).lower()

    def __sklearn_clone__(self) -> Self:
        """Return the source itself, which never changes."""
        return self
