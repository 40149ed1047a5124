"""Watch of a promise over time: random checks, and a test that may be looked at always."""

from __future__ import annotations

from skllkd._core.arrays import BoolArray

#: Odds of a wrong answer that the test looks for, as multiples of the odds promised.
_WORSE = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
#: Evidence beyond which more makes no difference, and might be no number.
_MOST = 1e100


class AuditLog:
    """Checks of a cascade's own answers, and whether its promise still holds.

    The evidence against the promise is an e-value: if right answers are at least as
    frequent as the target, the chance that it ever reaches 1 / (1 - confidence) is at most
    1 - confidence, however often it is looked at. It is the mean likelihood ratio of six
    worse rates, each of which may begin at any check: a mixture over the time of a change,
    with weight 1 / (n (n + 1)) for the n-th check.

    Parameters
    ----------
    target : float in (0, 1)
        The share of right answers promised.
    confidence : float in (0, 1)
        One minus the chance that a promise that holds is ever doubted.

    Attributes
    ----------
    n_checked, n_right : int
        The number of answers checked, and of those that were right.

    References
    ----------
    .. [1] Ramdas et al., "Game-Theoretic Statistics and Safe Anytime-Valid
       Inference", Statistical Science 38(4), 2023, arXiv:2210.01948.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.serving.audit import AuditLog
    >>> log = AuditLog(target=0.9, confidence=0.95)
    >>> log.add(np.tile([True, True, True, True, False], 20))  # 80 % of 100 right
    >>> log.holds, log.n_right
    (False, 80)
    """

    def __init__(self, target: float, confidence: float) -> None:
        self.target, self.confidence = target, confidence
        self.n_checked = self.n_right = 0
        self._highest = 1.0
        odds = [times * (1 - target) / target for times in _WORSE]
        wrong = [each / (1 + each) for each in odds]
        self._ratio_wrong = [rate / (1 - target) for rate in wrong]
        self._ratio_right = [(1 - rate) / target for rate in wrong]
        self._started = [0.0] * len(_WORSE)  # lists, as arrays of six take longer

    @property
    def e_value(self) -> float:
        """The evidence against the promise: 1 is none."""
        not_started = 1 / (self.n_checked + 1)
        return sum(self._started) / len(self._started) + not_started

    @property
    def holds(self) -> bool:
        """Whether the promise was never doubted."""
        return self._highest < 1 / (1 - self.confidence)

    def add(self, is_right: BoolArray) -> None:
        """Add checks, in the order of their answers.

        Parameters
        ----------
        is_right : ndarray of shape (n_checks,), bool
            Whether each answer was right.
        """
        for right in is_right.tolist():
            self.n_checked += 1
            self.n_right += right
            weight = 1 / (self.n_checked * (self.n_checked + 1))
            ratio = self._ratio_right if right else self._ratio_wrong
            self._started = [
                min((started + weight) * each, _MOST)
                for started, each in zip(self._started, ratio, strict=True)
            ]
            self._highest = max(self._highest, self.e_value)

    def __repr__(self) -> str:
        """Return the log in one line."""
        if not self.n_checked:
            return "<AuditLog: nothing checked yet>"
        verdict = "the promise holds" if self.holds else "the promise no longer holds"
        share = self.n_right / self.n_checked
        return f"<AuditLog: {share:.1%} of {self.n_checked:,} right, {verdict}>"
