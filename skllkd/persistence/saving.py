"""Files of a fitted classifier: pickles, folders, ONNX."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from sklearn.base import BaseEstimator
from typing_extensions import override

from skllkd._core.texts import as_texts
from skllkd._fitted import FittedState, fitted_state
from skllkd.persistence import folder as _folder
from skllkd.persistence.file_format import FORMAT, check_format
from skllkd.persistence.onnx_export import ONNXExport, export
from skllkd.students import Student


class SavingMixin(BaseEstimator):
    """Pickling, `save`, `load` and `export_onnx` of a classifier with a fitted state.

    The learned attributes are those of `_fitted`; no file holds the teacher, the texts
    or the callbacks.
    """

    teacher: Any
    callbacks: Any
    refine: Any
    student: Any
    _fitted: FittedState

    def _with_state(self, state: FittedState) -> Self:
        """Set the learned attributes, all of them, to those of a state."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        self._fitted = state
        self.__dict__.update(state.attributes())
        return self

    def save(
        self, folder: str | os.PathLike[str], *, card: Mapping[str, str] | None = None
    ) -> None:
        """Write the fitted classifier to a folder, without pickle.

        The folder holds JSON, safetensors, the tokenizer and a model card: nothing in it
        runs when it is loaded. The teacher is left behind. An earlier classifier is
        replaced when all of the new one is on the disk, and not before.

        Parameters
        ----------
        folder : str or Path
            The folder; created when missing. Other files in it stay.
        card : mapping of str to str, optional
            Fields of the model card (README.md): "name", "description", "data" (the
            source of the texts), "language" (a code, as "en"), "licence" (an
            identifier, as "mit") and "teacher". Others are said to be not stated.

        Raises
        ------
        InvalidParameterError
            If `card` holds anything else.
        NotImplementedError
            If the student or the selection cannot be saved without pickle.
        SavedModelError
            If it cannot be written, as on a full disk; what was there before is as it was.

        Warns
        -----
        SkllkdWarning
            If the folder holds another README.md; it is left as it is.
        """
        state, params = fitted_state(self), self.get_params(deep=False)
        _folder.save(Path(folder), state, params, card)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Return the classifier saved in a folder.

        Parameters
        ----------
        folder : str or Path
            As written by `save`.

        Returns
        -------
        LLKDClassifier
            The fitted classifier, without its teacher.

        Raises
        ------
        SavedModelError
            If the folder holds no classifier this version can load, or one that is
            damaged: the files have checksums, and the classifier must predict.
        """
        params, state = _folder.load(Path(folder), cls._get_param_names())
        return cls(**params)._with_state(state)

    def export_onnx(
        self,
        path: str | os.PathLike[str],
        texts: Any,
        *,
        quantize: str | None = None,
        max_disagreement: float = 0.01,
    ) -> ONNXExport:
        """Write the fitted classifier as one file that `ONNXClassifier` opens.

        The file holds graph, weights, tokenizer and class names. Before it is put in
        its place it predicts the texts given, beside the classifier.

        Parameters
        ----------
        path : str or Path
            The file, replaced if it is there.
        texts : sequence of str of shape (n_texts,)
            The texts to compare on: some hundred of the kind to be predicted.
        quantize : {None, "int8"}, default=None
            "int8" multiplies in eight bits: a quarter of the size, faster, and other
            probabilities.
        max_disagreement : float in [0, 1], default=0.01
            The largest share of the texts whose label may differ.

        Returns
        -------
        ONNXExport
            The comparison of the two.

        Raises
        ------
        DisagreementError
            If more labels differ; nothing is written.
        InvalidParameterError
            If the student has no pretrained encoder.
        MissingDependencyError
            If onnx or onnxruntime is not installed (`skllkd[onnx]`).
        """
        state = fitted_state(self)
        return export(state, Path(path), as_texts(texts), quantize, max_disagreement)

    @override
    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__()) | {"_format": FORMAT}
        if "_fitted" not in state:
            return state
        state = {k: v for k, v in state.items() if not k.endswith("_")}
        state |= {"_fitted": self._fitted.portable(), "teacher": None, "callbacks": ()}
        if self.refine is not None:
            state["refine"] = self.refine.portable()
        if isinstance(self.student, Student):
            state["student"] = self.student.portable()
        return state

    @override
    def __setstate__(self, state: dict[str, Any]) -> None:
        check_format(state.pop("_format"), "this pickle")
        super().__setstate__(state)
        if "_fitted" in state:
            self._with_state(self._fitted)

    def __copy__(self) -> Self:
        """Return a shallow copy that, unlike a pickle, keeps its teacher."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a copy that keeps its teacher; a plain callable is shared."""
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        for shared in (self.teacher, self.callbacks):
            if not hasattr(shared, "get_params"):
                memo[id(shared)] = shared
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin
