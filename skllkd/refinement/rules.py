"""Functions of the user's that recognise classes as evidence about labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import log_softmax
from typing_extensions import override

from skllkd._core.arrays import FloatArray
from skllkd._core.log_odds import log_prob_of_odds
from skllkd._core.params import shown
from skllkd.exceptions import InvalidParameterError
from skllkd.refinement.base import Evidence, EvidenceContext

#: A function of a text that says whether it is of a class, or several of them.
Rule = Callable[[Any], Any]


@dataclass(frozen=True, repr=False)
class Rules(Evidence):
    """Functions that recognise a class.

    Each rule of a class that holds multiplies its odds by e to the power of the weight
    that `Refinement` estimates from their agreement with the teacher. Of a text for
    which no rule holds they say nothing.

    Parameters
    ----------
    rules : mapping of class name to function or sequence of functions
        Functions of a text that return whether it is probably of the class. A class
        may be left out.

    See Also
    --------
    AnotherTeacher : A function of all texts that returns probabilities.

    Notes
    -----
    They are left behind in files, as a callable teacher is.

    Examples
    --------
    >>> from skllkd.refinement import ClassNames, OutOfFold, Refinement, Rules
    >>> rules = Rules({
    ...     "sports": [lambda text: "goal" in text, lambda text: " beat " in text],
    ...     "business": lambda text: "shares" in text,
    ... })
    >>> refinement = Refinement([ClassNames(), rules, OutOfFold()])
    """

    rules: Mapping[Any, Rule | Sequence[Rule]]
    requirement = "a rule that holds for some text"

    @override
    def check(self) -> None:
        if not isinstance(self.rules, Mapping) or not self.rules:
            raise InvalidParameterError(
                "`rules` must map class names to functions of a text; got "
                f"{shown(self.rules)}. E.g. Rules({{'spam': lambda text: 'prize' in "
                "text}})."
            )
        for name, of_class in self.rules.items():
            for rule in _as_list(of_class):
                if not callable(rule):
                    raise InvalidParameterError(
                        "`rules` must hold functions of a text; got "
                        f"{shown(rule)} for the class {name!r}."
                    )

    @override
    def log_prob(self, context: EvidenceContext) -> FloatArray | None:
        names = list(context.classes.names)
        if unknown := [name for name in self.rules if name not in names]:
            raise InvalidParameterError(
                f"`rules` must be of the `classes` {shown(names)}; got {unknown[0]!r}."
            )
        n_holding = np.zeros((len(context.texts), len(names)))
        for name, of_class in self.rules.items():
            for rule in _as_list(of_class):
                holds = [bool(rule(text)) for text in context.texts]
                n_holding[:, names.index(name)] += holds
        if not n_holding.any():
            return None
        if context.classes.multilabel:
            return np.where(n_holding > 0, log_prob_of_odds(n_holding), np.nan)
        log_prob: FloatArray = log_softmax(n_holding, axis=1)
        log_prob[~n_holding.any(axis=1)] = np.nan
        return log_prob

    @override
    def portable(self) -> None:
        return None


def _as_list(rules: Rule | Sequence[Rule]) -> list[Rule]:
    """Return one rule or several as a list."""
    return list(rules) if isinstance(rules, Sequence) else [rules]
