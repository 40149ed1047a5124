"""The model card of a saved classifier: its origin, and how far to trust it."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from skllkd._core.intervals import wilson_interval
from skllkd._core.params import looks_like_path
from skllkd._fitted import FittedState
from skllkd._version import __version__
from skllkd.exceptions import InvalidParameterError, SkllkdWarning
from skllkd.inspection.verdict import verdict_of
from skllkd.refinement.gold import GOLD_WORDS
from skllkd.refinement.record import RefinementRecord
from skllkd.selection.per_class import one_selection
from skllkd.training.student_training import SAMPLE_SIZE

_FIELDS = ("name", "description", "data", "language", "licence", "teacher")
_MARK = "<!-- Written by skllkd; overwritten by the next save. -->"
_UNKNOWN = "not stated"


def check_card(card: Any) -> dict[str, str]:
    """Return the user's fields of a model card, or raise if one is not allowed."""
    if card is None:
        return {}
    if not isinstance(card, Mapping):
        raise InvalidParameterError(
            f"`card` must be a mapping of fields to texts; got {type(card).__name__}."
        )
    for field, value in card.items():
        if field not in _FIELDS or not isinstance(value, str) or not value.strip():
            raise InvalidParameterError(
                f"`card` may hold {', '.join(_FIELDS)}, each a text; got "
                f"{field!r}: {value!r}."
            )
    return dict(card)


def write_card(
    earlier: Path,
    path: Path,
    state: FittedState,
    params: dict[str, Any],
    fields: dict[str, str],
) -> None:
    """Write the card, unless the earlier file it is to replace is one of the user's."""
    from huggingface_hub import ModelCard, ModelCardData  # slow to import

    if earlier.exists() and _MARK not in earlier.read_text("utf-8", errors="replace"):
        warnings.warn(
            f"no model card was written: {path.name} in the folder is none of ours. "
            "Move it away and save again to get one.",
            SkllkdWarning,
            stacklevel=4,
        )
        return
    data = ModelCardData(
        library_name="skllkd",
        pipeline_tag="text-classification",
        tags=["text-classification", "knowledge-distillation", "skllkd"],
        license=fields.get("licence"),
        language=fields.get("language"),
    )
    parts = [f"---\n{data.to_yaml()}\n---", _MARK, *_sections(state, params, fields)]
    ModelCard("\n\n".join(parts) + "\n").save(path)


def _sections(
    state: FittedState, params: dict[str, Any], fields: dict[str, str]
) -> list[str]:
    """Return the card's paragraphs."""
    about = fields.get(
        "description", "A text classifier distilled from a teacher's labels."
    )
    return [
        f"# {fields.get('name', 'Text classifier')}",
        f"{about} Made with skllkd {__version__}; `LLKDClassifier.load(folder)` opens it.",
        "## Data",
        fields.get("data", f"Source: {_UNKNOWN}."),
        *_classes(state),
        "## Teacher",
        fields.get("teacher", _teacher(params["teacher"])),
        "## Student and selection",
        f"- Student: {_described(state.student)}\n"
        f"- Selection: {_described(one_selection(state.selection))}\n"
        f"- {params['n_epochs']} epochs; {state.share_selected:.1%} of the texts "
        "presented were selected",
        "## Agreement",
        _agreement(state),
        *_thresholds(state),
        *_accuracy(state),
        *_verdict(state),
        "## Licence",
        f"{fields.get('licence', _UNKNOWN)}. The encoder's and the teacher's own "
        "licences apply beside it.",
    ]


def _classes(state: FittedState) -> list[str]:
    """Return the number of texts, and the table of their teacher labels."""
    labels = [label for label in state.pseudo_labels if label is not None]
    has = Counter(chain.from_iterable(labels) if state.multilabel else labels)
    counts = {name: has[name] for name in state.classes.tolist()}
    several = ", with none, one or several of the classes" if state.multilabel else ""
    rows = "\n".join(
        f"| {_cell(name)} | {n:,} | {n / len(labels):.1%} |"
        for name, n in counts.items()
    )
    return [
        f"{len(state.teacher_proba):,} texts {_n_gold(state)}, {len(labels):,} of which "
        f"the teacher labelled{several}:",
        f"| class | texts | share |\n|---|---|---|\n{rows}",
        *([] if state.refinement is None else [_refinement(state.refinement)]),
    ]


def _n_gold(state: FittedState) -> str:
    """Return the number of texts with gold labels, in words."""
    if not state.gold_accuracy:
        return "without gold labels"
    n_gold = max(found.n_texts for found in state.gold_accuracy.values())
    return f"(with gold labels of {n_gold:,})"


def _refinement(record: RefinementRecord) -> str:
    """Return the changes of the labels before the student learned them."""
    return (
        f"Before training the labels were refined: {record.summary} "
        f"({record.sources_in_words})."
    )


def _agreement(state: FittedState) -> str:
    """Return the agreement with the teacher, and a warning of its meaning."""
    n_labelled = sum(label is not None for label in state.pseudo_labels)
    n_measured = min(n_labelled, SAMPLE_SIZE)
    if state.multilabel:
        return (
            f"On {n_measured:,} of the texts it was trained on, the student's classes "
            f"agree with the teacher's to a micro-F1 of {state.agreement:.1%}. That is "
            "agreement with the teacher: where the teacher errs, the student learned the "
            "error."
        )
    low, high = wilson_interval(round(state.agreement * n_measured), n_measured)
    return (
        f"On {n_measured:,} of the texts it was trained on, the student agrees with the "
        f"teacher for {state.agreement:.1%} (95 % interval {low:.1%} to {high:.1%}). "
        "That is agreement with the teacher, not accuracy: where the teacher errs, the "
        "student learned the error."
    )


def _thresholds(state: FittedState) -> list[str]:
    """Return the probabilities from which a text has each of several classes."""
    if state.thresholds is None:
        return []
    pairs = zip(state.classes.tolist(), state.thresholds, strict=True)
    rows = "\n".join(f"| {_cell(name)} | {value:.3f} |" for name, value in pairs)
    return [
        "A text has the classes whose probability reaches the threshold:",
        f"| class | threshold |\n|---|---|\n{rows}",
    ]


def _accuracy(state: FittedState) -> list[str]:
    """Return the accuracy on gold labels, if there are any."""
    if not state.gold_accuracy:
        return []
    rows = "\n".join(
        f"- {GOLD_WORDS[name]}: {found}" for name, found in state.gold_accuracy.items()
    )
    return [
        "## Accuracy",
        "On texts with gold labels, each judged by what was found without its own, with "
        f"the 95 % interval:\n\n{rows}",
    ]


def _verdict(state: FittedState) -> list[str]:
    """Return the verdict, if anything is known to judge by."""
    verdict = verdict_of(state)
    return [] if verdict is None else ["## Verdict", _plain_text(str(verdict))]


def _plain_text(text: str) -> str:
    """Return text in which class names are no HTML; a list needs an empty line before."""
    return text.replace("<", "&lt;").replace("\n- ", "\n\n- ")


def _teacher(teacher: Any) -> str:
    """Return the teacher's class and its model's name, no path and no prompt."""
    if teacher is None:
        return f"The teacher: {_UNKNOWN}."
    names = [getattr(teacher, name, None) for name in ("model", "model_path")]
    model = next((name for name in names if isinstance(name, (str, os.PathLike))), None)
    kind = type(teacher).__name__
    return f"`{kind}`" if model is None else f"`{kind}` with `{_last_part(model)}`"


def _described(part: Any) -> str:
    """Return a student or selection with the parameters set, paths cut to their end."""
    changed = {
        name: _last_part(value)
        for name, value in part.get_params(deep=False).items()
        if isinstance(value, (str, int, float, os.PathLike)) or value is None
    }
    default = type(part)().get_params(deep=False)
    shown = ", ".join(
        f"{name}={value!r}"
        for name, value in changed.items()
        if name == "model" or value != default.get(name)
    )
    return f"`{type(part).__name__}({shown})`"


def _last_part(value: Any) -> Any:
    """Return a path's last part, anything else as it is."""
    if isinstance(value, (str, os.PathLike)) and looks_like_path(value):
        return Path(value).name
    return value


def _cell(value: Any) -> str:
    """Return a value as a table's cell shows it."""
    return str(value).replace("|", "\\|").replace("\n", " ")
