"""Every public thing is documented, and every public class shows an example."""

import inspect
import pydoc

import pytest
import skllkd
import skllkd.datasets
import skllkd.exceptions
import skllkd.metrics
import skllkd.refinement
import skllkd.selection
import skllkd.students
import skllkd.teachers
from numpydoc.validate import validate

MODULES = [
    skllkd,
    skllkd.datasets,
    skllkd.exceptions,
    skllkd.metrics,
    skllkd.refinement,
    skllkd.selection,
    skllkd.students,
    skllkd.teachers,
]
# ES01, EX01, SA01, SA04: not everything needs more than its summary. GL01 to GL03:
# where the summary begins and blank lines end. RT03: "Whether ..." is a sentence.
LEFT_OUT = {"ES01", "EX01", "SA01", "SA04", "GL01", "GL02", "GL03", "RT03"}


def public_things():
    for module in MODULES:
        for name in module.__all__:
            thing = getattr(module, name)
            if not (inspect.isclass(thing) or inspect.isfunction(thing)):
                continue
            yield f"{module.__name__}.{name}", thing
            if not inspect.isclass(thing) or module is skllkd.exceptions:
                continue
            members = {}
            for kind in thing.__mro__[::-1]:
                if kind.__module__.startswith("skllkd"):
                    members |= vars(kind)
            for member, value in members.items():
                function = getattr(value, "fget", value)
                if hasattr(function, "__override__") and not value.__doc__:
                    continue  # it inherits its docstring
                if not member.startswith("_") and (
                    inspect.isfunction(value)
                    or isinstance(value, (property, classmethod))
                ):
                    yield f"{module.__name__}.{name}.{member}", value


#: Results that users read and do not make: documented, and not exported.
RESULTS = [
    "skllkd.inspection.agreement.Agreement",
    "skllkd.inspection.disagreements.Confusion",
    "skllkd.inspection.disagreements.LabelIssue",
    "skllkd.inspection.refinement_display.ChangedLabel",
    "skllkd.inspection.report.Report",
    "skllkd.inspection.estimate.Estimate",
    "skllkd.inspection.evaluation.ClassScores",
    "skllkd.inspection.evaluation.Evaluation",
    "skllkd.inspection.evaluation.Rival",
    "skllkd.inspection.verdict.Verdict",
    "skllkd.persistence.onnx_export.ONNXExport",
    "skllkd.refinement.gold.Accuracy",
    "skllkd.refinement.record.ClassChange",
    "skllkd.refinement.record.RefinementRecord",
    "skllkd.refinement.record.Source",
    "skllkd.serving.audit.AuditLog",
    "skllkd.serving.cascade_report.CascadeReport",
    "skllkd.serving.cascade_report.Latency",
    "skllkd.serving.coverage.CoverageCurve",
    "skllkd.serving.decisions.Decisions",
    "skllkd.serving.drift.Drift",
    "skllkd.teachers.labels.Usage",
    "skllkd.teachers.metered.store.StoredAnswers",
    "skllkd.teachers.openai_api.batch.BatchStatus",
    "skllkd.teachers.plan.LabellingPlan",
    "skllkd.teachers.plan.TokenCount",
    "skllkd.training.log.EpochEnd",
]
THINGS = dict(public_things()) | {path: pydoc.locate(path) for path in RESULTS}


@pytest.mark.parametrize("path", THINGS)
def test_docstring_is_valid_numpydoc(path):
    faults = [
        (code, message)
        for code, message in validate(path)["errors"]
        if code not in LEFT_OUT
    ]
    assert not faults


@pytest.mark.parametrize(
    "path",
    [
        path
        for path, thing in THINGS.items()
        if inspect.isclass(thing) and not issubclass(thing, Exception)
    ],
)
def test_public_class_shows_an_example(path):
    assert ">>>" in THINGS[path].__doc__
