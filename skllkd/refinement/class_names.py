"""Likeness of texts and class names as evidence about labels."""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override

from skllkd._core.arrays import FloatArray
from skllkd._core.params import check_number
from skllkd._core.similarity import class_name_log_prob, class_texts
from skllkd.refinement.base import Evidence, EvidenceContext


@dataclass(frozen=True, repr=False)
class ClassNames(Evidence):
    r"""The likeness of each text to each class name, by the student's own encoder.

    With the embeddings of text and class name, the cosine over the temperature, less
    its mean over the texts, is the logit of the class. A class with a description is
    embedded as "name: description".

    Parameters
    ----------
    temperature : float, default=0.05
        Difference of cosines that multiplies the odds by e.

    See Also
    --------
    OutOfFold : Predictions by a model trained on the other texts.

    Notes
    -----
    Where names say nothing of the texts, `Refinement` gives this evidence a weight of
    about 0.

    Examples
    --------
    >>> from skllkd.refinement import ClassNames, Refinement
    >>> Refinement([ClassNames(temperature=0.1)])
    Refinement(evidence=[ClassNames(temperature=0.1)])
    """

    temperature: float = 0.05
    of_encoder = True
    requirement = "the student's pretrained encoder"

    @override
    def check(self) -> None:
        check_number(self.temperature, "temperature", 0, open_low=True)

    @override
    def log_prob(self, context: EvidenceContext) -> FloatArray | None:
        of_texts = context.embed(context.texts)
        of_classes = context.embed(class_texts(context.classes))
        if of_texts is None or of_classes is None:
            return None
        return class_name_log_prob(
            of_texts,
            of_classes,
            self.temperature,
            multilabel=context.classes.multilabel,
        )
