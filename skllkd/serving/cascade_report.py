"""Report of a cascade: shares of the traffic, costs and latency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skllkd.serving.audit import AuditLog
from skllkd.serving.coverage import CoverageCurve
from skllkd.serving.decisions import ABSTAINED, STUDENT, TEACHER, Traffic


@dataclass(frozen=True)
class Latency:
    """Duration of the calls of a source.

    Parameters
    ----------
    n_calls : int
        The number of calls, each of one text or more.
    median_ms, p99_ms : float
        The median and the 99th percentile, in milliseconds.

    Examples
    --------
    >>> from skllkd.serving.cascade_report import Latency
    >>> print(Latency(20, 1.25, 3.5))
    1.2 ms median, 3.5 ms 99th percentile of 20 calls
    """

    n_calls: int
    median_ms: float
    p99_ms: float

    def __str__(self) -> str:
        """Return the figures in one line."""
        return (
            f"{self.median_ms:.1f} ms median, {self.p99_ms:.1f} ms 99th percentile of "
            f"{self.n_calls:,} calls"
        )


@dataclass(frozen=True, eq=False, repr=False)
class CascadeReport:
    """Guarantee, shares of the traffic, costs and latency of a cascade.

    Parameters
    ----------
    curve : CoverageCurve
        The held-out answers above each threshold, and the one chosen.
    metric : {"agreement", "accuracy"}
        The meaning of a right answer.
    shares : dict of str to float
        The share of the traffic of "student", "teacher" and "abstained", in [0, 1].
        Before any traffic the shares of the held-out texts.
    n_texts : int
        The number of texts since `fit`.
    price : float or None
        The teacher's price of a thousand texts.
    cost : float or None
        The cost of a thousand texts with the student, random checks included; None
        without a price, or without a teacher to pay.
    latency : dict of str to Latency
        The durations of the calls of "student" and "teacher", where there were any.
    audit : AuditLog
        The checks of the student's answers since `fit`.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from skllkd import CascadeClassifier, LLKDClassifier
    >>> from skllkd.students import SklearnStudent
    >>> texts = [f"{word} {i}" for i in range(80) for word in ("goal", "law")]
    >>> clf = LLKDClassifier(
    ...     lambda texts: ["sports" if "goal" in text else "politics" for text in texts],
    ...     ["sports", "politics"], student=SklearnStudent(), random_state=0)
    >>> cascade = CascadeClassifier(clf, target=0.9, random_state=0).fit(texts)
    >>> cascade.report(price=2).cost < 2
    True
    """

    curve: CoverageCurve
    metric: str
    shares: dict[str, float]
    n_texts: int
    price: float | None
    cost: float | None
    latency: dict[str, Latency]
    audit: AuditLog

    def __str__(self) -> str:
        """Return the report as text."""
        of = f"{self.n_texts:,} texts" if self.n_texts else "the held-out texts"
        shares = ", ".join(f"{name} {share:.1%}" for name, share in self.shares.items())
        lines = [*promise(self.curve, self.metric), f"Of {of}: {shares}"]
        if self.price is not None:
            lines.append(f"A thousand texts: {self._costs(self.price)}")
        lines += [f"Latency, {name}: {value}" for name, value in self.latency.items()]
        if self.audit.n_checked:
            lines.append(f"Checked since: {repr(self.audit)[len('<AuditLog: ') : -1]}")
        return "\n".join(lines)

    __repr__ = __str__

    def _costs(self, price: float) -> str:
        """Return the costs of a thousand texts at a price, in words."""
        if self.cost is not None:
            return f"{self.cost:,.4g} with the student, {price:,.4g} without"
        abstained = self.shares[ABSTAINED]
        return (
            f"no teacher is asked, and {1000 * abstained:.0f} are abstained from; a "
            f"teacher would cost {price * abstained:,.4g} for these, and {price:,.4g} "
            "without the student"
        )


def promise(curve: CoverageCurve, metric: str) -> list[str]:
    """Return the promise about the student's answers, as lines of text."""
    right = "agree with the teacher" if metric == "agreement" else "are right"
    aim = f"{curve.target:.4g} of its answers {right}"
    if curve.chosen is None:
        return [f"The student answers nothing: not shown that {aim}."]
    if not curve.n_texts:
        return ["The student answers every text: this is no cascade."]
    return [
        f"The student answers from confidence {curve.chosen_threshold:.4f}: at least "
        f"{aim}, with confidence {curve.confidence:.4g}",
        f"  held out: {curve.share_right[curve.chosen]:.4f} of "
        f"{curve.n_answered[curve.chosen]:,} answers, bound "
        f"{curve.lower_bound[curve.chosen]:.4f}, {curve.chosen_coverage:.1%} of "
        f"{curve.n_texts:,} texts answered",
    ]


def cascade_report(
    curve: CoverageCurve,
    metric: str,
    traffic: Traffic,
    audit: AuditLog,
    has_teacher: bool,
    audit_share: float,
    price: float | None,
) -> CascadeReport:
    """Return the report of a cascade's traffic since `fit`."""
    n_texts = sum(traffic.n_texts.values())
    if n_texts:
        shares = {name: n / n_texts for name, n in traffic.n_texts.items()}
        rechecked = traffic.n_rechecked / n_texts
    else:
        answered = curve.chosen_coverage
        rest = TEACHER if has_teacher else ABSTAINED
        shares = dict.fromkeys((STUDENT, TEACHER, ABSTAINED), 0.0)
        shares |= {STUDENT: answered, rest: 1 - answered}
        rechecked = answered * audit_share
    cost = None
    if price is not None and has_teacher:
        cost = price * (shares[TEACHER] + rechecked)
    latency = {
        name: Latency(
            len(seconds),
            1e3 * float(np.median(seconds)),
            1e3 * float(np.percentile(seconds, 99)),
        )
        for name, seconds in traffic.seconds.items()
        if seconds
    }
    return CascadeReport(curve, metric, shares, n_texts, price, cost, latency, audit)
