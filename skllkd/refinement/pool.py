"""The evidence at hand for a pool: its texts, and the student that will learn it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.classes import Classes
from skllkd.exceptions import SavedModelError
from skllkd.refinement.base import EvidenceContext
from skllkd.refinement.cross_fitting import (
    by_linear_model,
    by_student,
    folds_of,
    out_of_fold,
)
from skllkd.students import Student


class PoolEvidence:
    """The texts of a pool, and the untrained student that is to learn their labels."""

    def __init__(
        self,
        student: Student,
        texts: Any,
        classes: Classes,
        row_weight: FloatArray,
        n_epochs: int,
        seed: int,
        verbose: int,
        resume: bool,
    ) -> None:
        self._student, self._texts, self._classes = student, texts, classes
        self._row_weight, self._n_epochs, self._seed = row_weight, n_epochs, seed
        self._verbose, self._resume = verbose, resume
        # With several classes a text a model learns one at a time: no or yes.
        self._n_columns = 2 if classes.multilabel else len(classes)
        self._lacks_encoder = False

    def context(
        self, teacher_proba: FloatArray, gold: IntArray | None = None
    ) -> EvidenceContext:
        """Return the context that sources of evidence see."""
        return EvidenceContext(
            self._texts,
            self._classes,
            teacher_proba,
            teacher_proba,
            self._embed,
            self._out_of_fold,
            self._seed,
            self._verbose,
            gold,
        )

    @cached_property
    def _features(self) -> npt.NDArray[np.float32] | None:
        """The embeddings of the pool, None without an encoder."""
        return self._embedded(self._texts)

    def _embed(self, texts: Any) -> npt.NDArray[np.float32] | None:
        """Embed texts of the pool or others."""
        return self._features if texts is self._texts else self._embedded(texts)

    def _embedded(self, texts: Any) -> npt.NDArray[np.float32] | None:
        """Embed texts with the encoder as it was before training."""
        if self._lacks_encoder or not self._student.takes_text:
            return None
        try:
            return self._student.embed(texts, verbose=self._verbose)
        except SavedModelError:
            if not self._resume:
                raise
            self._lacks_encoder = True  # a loaded student holds only the trained one
            return None

    def _out_of_fold(
        self, label: IntArray, weight: FloatArray, n_folds: int
    ) -> FloatArray | None:
        """Return out-of-fold distributions of a model trained on labels."""
        fold = folds_of(self._texts, n_folds, self._seed)
        weight, n_classes = weight * self._row_weight, self._n_columns
        if self._features is not None:
            model = by_linear_model(self._features, label, weight, n_classes)
        elif self._lacks_encoder:
            return None
        else:
            model = by_student(*self._proxy, label, weight, n_classes, self._seed)
        return out_of_fold(
            model, label, weight, fold, n_classes, self._seed, self._verbose
        )

    @cached_property
    def _proxy(self) -> tuple[Student, int]:
        """A quick student that has begun to fit the pool, and its number of epochs."""
        proxy, n_epochs = self._student.fast_proxy(self._n_epochs)
        proxy.begin_fit(self._texts, self._n_columns, self._seed)
        return proxy, n_epochs
