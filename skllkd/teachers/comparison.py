"""Comparison of prompts by signs that need no gold labels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.base import clone

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.classes import Classes, Multilabel, as_classes
from skllkd._core.params import check_option, optional_import, shown
from skllkd._core.similarity import class_name_log_prob, class_texts
from skllkd._core.texts import as_texts
from skllkd.exceptions import InvalidParameterError, MissingLabelWarning
from skllkd.teachers.features import features_of_texts
from skllkd.teachers.label_free import agreement, predictability
from skllkd.teachers.labels import TeacherLabels, Usage

#: Scores that are ranked, all the higher the better.
_RANKED = ("class_names", "predictability", "confidence", "label_mass")
#: Scores that a comparison can be sorted by.
SCORES = ("mean_rank", *_RANKED, "answered")


@dataclass(frozen=True)
class PromptScore:
    """A prompt, its labels of a sample, and the signs that need no gold labels.

    Parameters
    ----------
    name : str
        The prompt's name.
    params : dict
        The parameters it sets: `teacher.set_params(**params)`.
    classes : Classes
        The classes, as worded in the prompt.
    labels : TeacherLabels
        The labels of the sample.
    mean_rank : float
        The mean of the prompt's ranks by class names, predictability, confidence and
        label mass, as far as they are known: 1 for a prompt that is first by all.
    class_names : float
        The agreement with the class names alone, as `EmbeddingTeacher` labels by them:
        Cohen's kappa, 0 for chance; NaN without an encoder. The names are weak labels,
        but they err elsewhere than a prompt does.
    predictability : float
        How much a linear model that has not seen a text knows of its label, as a share of
        the most there is to know: 1 for equally frequent labels that it is certain of, 0
        where it knows nothing, or all labels are one. Labels that follow no pattern in
        the texts cannot be predicted.
    confidence : float
        The mean calibrated probability of the likeliest class, in [0, 1]. With several
        classes a text this and the two before are means over the classes, each a
        question with the answers yes and no.
    label_mass : float
        The median probability of any of the labels, in [0, 1]; NaN where unknown.
    answered : float
        The share of texts with a label, in [0, 1].
    n_calls : int
        The calls made for this comparison; 0 where the answers were stored.
    tokens_per_call, seconds_per_call : float
        The cost of a call, stored ones included; NaN where there was none.

    Examples
    --------
    >>> from skllkd.teachers import CallableTeacher
    >>> teacher = CallableTeacher(lambda texts: ["ham"] * len(texts), store=False)
    >>> comparison = teacher.compare({"as it is": {}}, ["hi", "hello"], ["spam", "ham"])
    >>> comparison.best.confidence
    1.0
    """

    name: str
    params: Mapping[str, Any]
    classes: Classes
    labels: TeacherLabels = field(repr=False)
    mean_rank: float
    class_names: float
    predictability: float
    confidence: float
    label_mass: float
    answered: float
    n_calls: int
    tokens_per_call: float
    seconds_per_call: float


#: Heads and formats of the table's columns.
_COLUMNS = {
    "mean_rank": ("mean rank", ".1f"),
    "class_names": ("class names", ".2f"),
    "predictability": ("predictable", ".2f"),
    "confidence": ("confidence", ".2f"),
    "label_mass": ("label mass", ".2f"),
    "answered": ("answered", ".0%"),
    "n_calls": ("calls", ",d"),
    "tokens_per_call": ("tokens/call", ",.0f"),
    "seconds_per_call": ("s/call", ".3f"),
}


@dataclass(frozen=True, repr=False)
class PromptComparison:
    """Prompts with their scores, the best first. Printed, it is a table.

    Parameters
    ----------
    scores : tuple of PromptScore
        The prompts, sorted.

    Examples
    --------
    >>> from skllkd.teachers import CallableTeacher
    >>> teacher = CallableTeacher(lambda texts: [[0.3, 0.7]] * len(texts), store=False)
    >>> comparison = teacher.compare({"as it is": {}}, ["hi", "hello"], ["spam", "ham"])
    >>> print(comparison)  # doctest: +ELLIPSIS
    prompt    mean rank  class names  predictable  confidence  label mass  ...
    as it is        1.0            -         0.00        0.70           -  ...
    """

    scores: tuple[PromptScore, ...]

    @property
    def best(self) -> PromptScore:
        """The first prompt."""
        return self.scores[0]

    def __iter__(self) -> Iterator[PromptScore]:
        """Iterate over the prompts, the best first."""
        return iter(self.scores)

    def __len__(self) -> int:
        """Return the number of prompts."""
        return len(self.scores)

    def sorted_by(self, score: str) -> PromptComparison:
        """Sort the prompts by another score.

        Parameters
        ----------
        score : {"mean_rank", "class_names", "predictability", "confidence", \
                "label_mass", "answered"}
            The score; the best comes first.

        Returns
        -------
        PromptComparison
            The same prompts.
        """
        check_option(score, "score", SCORES)

        def value(prompt: PromptScore) -> float:
            number = float(getattr(prompt, score))
            if math.isnan(number):
                return -math.inf
            return -number if score == "mean_rank" else number

        return PromptComparison(tuple(sorted(self.scores, key=value, reverse=True)))

    def to_frame(self) -> Any:
        """Make a table of the prompts, without their labels.

        Returns
        -------
        pandas.DataFrame
            A row a prompt, indexed by name, with parameters, scores and costs.
        """
        pandas = optional_import("pandas", "table")
        names = [
            f.name for f in fields(PromptScore) if f.name not in ("labels", "name")
        ]
        rows = [{name: getattr(score, name) for name in names} for score in self]
        index = pandas.Index([score.name for score in self], name="prompt")
        return pandas.DataFrame(rows, index=index)

    def __repr__(self) -> str:
        """Return the table."""
        rows = [["prompt", *(head for head, _ in _COLUMNS.values())]]
        for score in self:
            values = ((getattr(score, c), form) for c, (_, form) in _COLUMNS.items())
            cells = ["-" if v != v else format(v, form) for v, form in values]
            rows.append([score.name, *cells])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in rows
        )


@dataclass(frozen=True)
class _Sample:
    """The texts that prompts are compared on, and the facts known without asking."""

    texts: list[str]
    features: Any  # (n_texts, n_features), rows of length 1
    #: The class whose name is the closest, (n_texts, 1); with several classes a text
    #: whether it is among those closest to each, (n_texts, n_classes).
    by_name: IntArray | None


def compare_prompts(
    teacher: Any, prompts: Any, texts: Any, classes: Any, embed: Any, verbose: int
) -> PromptComparison:
    """Label texts with each prompt and score the labels, the best prompt first."""
    texts, named = as_texts(texts, "texts"), as_classes(classes)
    variants = [
        _variant(teacher, *prompt, named) for prompt in _checked(prompts).items()
    ]
    for _, _, variant, worded in variants:  # a bad one is found before others are paid
        variant.plan([""], worded)
    sample = _sample(texts, named, embed)
    scores = []
    for name, params, variant, worded in variants:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MissingLabelWarning)  # a column says it
            labels = variant.label(texts, worded, verbose=verbose)
        usage = labels.usage
        if not usage.n_calls:
            usage = variant.plan(texts, worded).spent
        scores.append(_score(name, params, worded, labels, usage, sample))
    return PromptComparison(_ranked(scores)).sorted_by("mean_rank")


def _ranked(scores: list[PromptScore]) -> tuple[PromptScore, ...]:
    """Return the prompts with the mean of their ranks by the scores that are known."""
    table = np.array([[getattr(one, name) for name in _RANKED] for one in scores])
    known = ~np.isnan(table).all(axis=0)
    worst_where_unknown = np.nan_to_num(-table[:, known], nan=np.inf)
    rank = rankdata(worst_where_unknown, axis=0).mean(axis=1)
    return tuple(
        replace(one, mean_rank=float(mean))
        for one, mean in zip(scores, rank, strict=True)
    )


def _sample(texts: list[str], classes: Classes, embed: Any) -> _Sample:
    """Embed the texts, and label them by the class names alone."""
    features = features_of_texts(texts, embed)
    if embed is None:
        return _Sample(texts, features, None)
    names = features_of_texts(class_texts(classes), embed)
    log_prob = class_name_log_prob(features, names, 1.0, multilabel=classes.multilabel)
    if not classes.multilabel:
        return _Sample(texts, features, log_prob.argmax(axis=1)[:, None])
    share = 1 / max(len(classes), 2)  # of the texts have a class, as in the calibration
    closest = log_prob >= np.quantile(log_prob, 1 - share, axis=0)
    return _Sample(texts, features, closest.astype(np.int64))


def _checked(prompts: Any) -> Mapping[str, Mapping[str, Any]]:
    """Return the prompts, or raise unless they map names to parameters."""
    if not isinstance(prompts, Mapping) or not prompts:
        raise InvalidParameterError(
            "`prompts` must map a name to the parameters of each prompt; got "
            f'{shown(prompts)}. E.g. {{"plain": {{}}, "question": {{"instruction": '
            '"Is it spam?"}}.'
        )
    for name, params in prompts.items():
        if not isinstance(params, Mapping):
            raise InvalidParameterError(
                f"`prompts[{name!r}]` must be a dict of parameters; got {shown(params)}."
            )
    return prompts


def _variant(
    teacher: Any, name: str, params: Mapping[str, Any], classes: Classes
) -> tuple[str, Mapping[str, Any], Any, Classes]:
    """Return a prompt's name, parameters, teacher and classes."""
    own = {key: value for key, value in params.items() if key != "classes"}
    if unknown := sorted(own.keys() - teacher.get_params().keys()):
        raise InvalidParameterError(
            f"`prompts[{name!r}]` sets {unknown[0]!r}, which is no parameter of "
            f"{type(teacher).__name__}. It has {sorted(teacher.get_params())}, and "
            "'classes' for another wording of the classes."
        )
    worded = classes
    if "classes" in params:
        wording = params["classes"]
        worded = as_classes(Multilabel(wording) if classes.multilabel else wording)
    if len(worded) != len(classes):
        raise InvalidParameterError(
            f"`prompts[{name!r}]` must word all {len(classes)} classes, in the same "
            f"order; got {len(worded)}: {list(worded.words)}."
        )
    if set(worded.names) == set(classes.names):
        worded = worded.in_order_of(classes.names)
    return str(name), own, clone(teacher).set_params(**own), worded


def _score(
    name: str,
    params: Mapping[str, Any],
    classes: Classes,
    labels: TeacherLabels,
    usage: Usage,
    sample: _Sample,
) -> PromptScore:
    """Score a prompt by its labels."""
    known = np.flatnonzero(~labels.missing)
    questions = _questions(labels.proba[known], labels.multilabel)
    by_name = [None] * len(questions) if sample.by_name is None else sample.by_name.T
    kappas = [agreement(p, by, known) for p, by in zip(questions, by_name, strict=True)]
    features = sample.features[known]
    sure = [proba.max(axis=1).mean() for proba in questions if len(known)]
    mass = labels.label_mass[known]
    mass = mass[~np.isnan(mass)]
    n_calls = usage.n_calls or math.nan
    return PromptScore(
        name=name,
        params=params,
        classes=classes,
        labels=labels,
        mean_rank=math.nan,  # of all prompts together
        class_names=float(np.mean(kappas)),
        predictability=float(np.mean([predictability(p, features) for p in questions])),
        confidence=float(np.mean(sure)) if sure else math.nan,
        label_mass=float(np.median(mass)) if len(mass) else math.nan,
        answered=len(known) / len(labels),
        n_calls=labels.usage.n_calls,
        tokens_per_call=(usage.input_tokens + usage.output_tokens) / n_calls,
        seconds_per_call=usage.seconds / n_calls,
    )


def _questions(proba: FloatArray, multilabel: bool) -> list[FloatArray]:
    """Return the distributions of each question: one, or no and yes for each class."""
    if not multilabel:
        return [proba]
    return [np.column_stack([1 - yes, yes]) for yes in proba.T]
