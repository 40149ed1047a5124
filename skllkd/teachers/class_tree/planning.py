"""Plan of a labelling down a tree of classes."""

from __future__ import annotations

import copy
import functools
from dataclasses import replace
from typing import Any

from skllkd._core.classes import Classes
from skllkd.teachers.class_tree.questions import Question, examples_for, questions_of
from skllkd.teachers.plan import LabellingPlan, TokenCount, joint_plan


def plan_down_tree(teacher: Any, texts: list[str], classes: Classes) -> LabellingPlan:
    """Plan for one question about each text on each level, the least there can be.

    The groups that texts come to are not known before: each is taken to get as large a
    share of the texts as it holds of the classes.
    """
    questions = [q for q in questions_of(classes) if len(q.classes) > 1]
    plans, n_expected = list[LabellingPlan](), dict[int, int]()
    for question in questions:
        asker = copy.copy(teacher)
        if getattr(asker, "examples", ()):
            asker.examples = examples_for(question, asker.examples, classes)
        plan = asker.plan(texts, question.classes)
        n_texts = round(plan.n_distinct * len(question.columns) / len(classes))
        n_to_ask = max(0, n_texts - plan.n_stored)
        plans.append(_part(plan, n_to_ask))
        level = len(question.path)
        n_expected[level] = n_expected.get(level, 0) + n_to_ask
    total = functools.reduce(joint_plan, plans)
    n_to_ask = min(max(n_expected.values()), total.n_distinct)
    return replace(
        total,
        n_to_ask=n_to_ask,
        n_stored=total.n_distinct - n_to_ask,
        tokens=total.tokens._replace(how=_how(total.tokens)),
        max_calls=plans[0].max_calls,
        max_cost=plans[0].max_cost,
        notes=(*total.notes, _note(questions)),
    )


def _part(plan: LabellingPlan, n_to_ask: int) -> LabellingPlan:
    """Return the plan of a question of which only some of the texts are asked."""
    share = min(1.0, n_to_ask / plan.n_to_ask) if plan.n_to_ask else 0.0
    tokens = plan.tokens
    return replace(
        plan,
        n_to_ask=n_to_ask,
        n_calls=round(plan.n_calls * share),
        tokens=TokenCount(
            _scaled(tokens.input, share), _scaled(tokens.output, share), tokens.how
        ),
        cost=None if plan.cost is None else plan.cost * share,
        seconds=None if plan.seconds is None else plan.seconds * share,
    )


def _scaled(number: int | None, share: float) -> int | None:
    """Return a share of a number, None where that is not known."""
    return None if number is None else round(number * share)


def _how(tokens: TokenCount) -> str:
    """Return how well the tokens are known: which groups texts come to is a guess."""
    return "estimated" if tokens.how == "counted" else tokens.how


def _note(questions: list[Question]) -> str:
    """Return the sentence about the number of questions."""
    n_levels = len({len(question.path) for question in questions})
    return (
        f"classes in a tree: {n_levels} questions about each text, one on each level, "
        f"are planned; more, {len(questions)} at most, where the teacher is unsure"
    )
