"""ONNXClassifier: an exported student, without torch and transformers."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from typing_extensions import override

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.class_tree import Level, level_of
from skllkd._core.classes import Classes, as_classes
from skllkd._core.labels import gold_accuracy
from skllkd._core.params import check_number, optional_import
from skllkd._core.streaming import PredictMixin
from skllkd._core.tags import tags_accuracy
from skllkd._core.texts import as_texts
from skllkd._core.tokens import TokenizedTexts, length_ordered_batches, load_tokenizer
from skllkd._core.windows import WINDOWS, Window
from skllkd.exceptions import SavedModelError, TruncationWarning
from skllkd.persistence.file_format import check_format

#: The entries of the file's metadata that make a graph a classifier.
SETTINGS, TOKENIZER, CHECKSUM = "skllkd", "skllkd.tokenizer", "skllkd.sha256"
#: Stands for the checksum where that is computed.
NO_CHECKSUM = "0" * 64
#: Bytes before the checksum: its name, and its field and length in the file's format.
_BEFORE_CHECKSUM = CHECKSUM.encode() + b"\x12\x40"
#: More texts or tokens at once leave the processor's cache and gain nothing.
_BATCH_SIZE, _BATCH_TOKENS = 64, 2048
#: Inputs of the graph; the last only where it averages windows.
_INPUTS = ("input_ids", "attention_mask", "share")
#: What onnxruntime would do to a graph and takes ten times as long as what it replaces.
_SLOWER = ["SkipLayerNormFusion"]


class Loaded(NamedTuple):
    """Contents of an exported file."""

    session: Any  # onnxruntime.InferenceSession
    tokenizer: Any  # tokenizers.Tokenizer
    classes: npt.NDArray[Any]
    thresholds: FloatArray | None  # where a text may have several classes
    tree: Classes | None  # with the groups, in the order of the tree
    window: Window
    pad_id: int


class ONNXClassifier(PredictMixin, ClassifierMixin, BaseEstimator):
    """A classifier that was exported with `LLKDClassifier.export_onnx`.

    It needs the packages onnxruntime and tokenizers (`skllkd[onnx]`), no torch and no
    transformers. It has learned already: it predicts without `fit`, and `fit` learns
    nothing.

    Parameters
    ----------
    path : str or Path
        The file that `export_onnx` wrote.
    n_threads : int, optional
        How many threads compute. By default as many as there are cores, or as
        joblib's workers are given.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class names: the order of `predict_proba`'s columns.
    thresholds_ : ndarray of shape (n_classes,) or None
        The probabilities from which a text has the classes, where it may have several.

    See Also
    --------
    LLKDClassifier.export_onnx : Writes the file.

    Notes
    -----
    The file is opened when it is first needed. A pickle holds the path and not the
    file, which is opened again where the pickle is loaded: send the file along.

    Examples
    --------
    >>> from skllkd import ONNXClassifier
    >>> ONNXClassifier("student.onnx", n_threads=1)
    ONNXClassifier(n_threads=1, path='student.onnx')
    """

    def __init__(
        self, path: str | os.PathLike[str], *, n_threads: int | None = None
    ) -> None:
        self.path = path
        self.n_threads = n_threads

    @override
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of the texts whose label is right.

        Of several classes a text all must be right.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts.
        y : array-like of shape (n_texts,)
            Their labels.
        sample_weight : array-like of shape (n_texts,), optional
            The weight of each text.

        Returns
        -------
        float
            The accuracy, in [0, 1].
        """
        predicted = self.predict(X)
        if self.thresholds_ is not None:
            return tags_accuracy(predicted, y, self.classes_.tolist(), sample_weight)
        return gold_accuracy(
            predicted, y, self.classes_, sample_weight, all_known=False
        )

    def fit(self, X: Any = None, y: Any = None) -> ONNXClassifier:
        """Open the file anew and check it; nothing is learned.

        Parameters
        ----------
        X : object
            Ignored.
        y : object
            Ignored.

        Returns
        -------
        ONNXClassifier
            The classifier.

        Raises
        ------
        SavedModelError
            If there is no such file, or it is no exported classifier, damaged, or of a
            later format.
        """
        self._model = open_file(Path(self.path))
        return self

    @property
    def classes_(self) -> npt.NDArray[Any]:  # type: ignore[override]
        """The class names: the order of `predict_proba`'s columns."""
        return self._model.classes

    @property
    def thresholds_(self) -> FloatArray | None:
        """The probabilities from which a text has the classes, if it may have several."""
        return self._model.thresholds

    @override
    def predict_proba(self, X: Any, level: int | None = None) -> FloatArray:
        texts, model = as_texts(X), self._model
        groups = None if level is None else self._level(level)
        tokenized = TokenizedTexts(model.tokenizer, texts, model.pad_id, model.window)
        if tokenized.n_truncated:
            lost = model.window.lost(tokenized.n_truncated, len(texts))
            warnings.warn(lost, TruncationWarning, stacklevel=2)

        def logits(rows: IntArray) -> npt.NDArray[np.float32]:
            inputs = tokenized.padded(rows)
            feed = dict(zip(_INPUTS, inputs, strict=False))
            if model.window.kind == "mean" and len(inputs) < len(_INPUTS):
                feed["share"] = np.eye(len(rows), dtype=np.float32)
            answer: npt.NDArray[np.float32] = model.session.run(["logits"], feed)[0]
            return answer

        # The longest first: the threads then finish together.
        size = (tokenized.lengths, _BATCH_SIZE, _BATCH_TOKENS, tokenized.n_windows)
        batches = length_ordered_batches(*size)[::-1]
        with ThreadPoolExecutor(self._number_of_threads()) as pool:
            parts = list(pool.map(logits, batches))
        logits_of_batches = np.concatenate(parts).astype(np.float64)
        proba = np.empty((len(texts), len(model.classes)))
        if model.thresholds is None:
            proba[np.concatenate(batches)] = softmax(logits_of_batches, axis=1)
        else:
            proba[np.concatenate(batches)] = expit(logits_of_batches)
        return proba if groups is None else groups.sums(proba)

    @override
    def _level(self, level: Any) -> Level:
        given = self._model.tree or as_classes(self.classes_.tolist())
        return level_of(self.classes_, given.names, given.tree, level)

    @property
    def level_classes_(self) -> dict[int, npt.NDArray[Any]]:
        """The names at each level of a tree of classes, 1 at the top; empty without."""
        tree = self._model.tree.tree if self._model.tree else None
        depth = 0 if tree is None else tree.depth
        return {k: self._level(k).names for k in range(1, depth + 1)}

    def _number_of_threads(self) -> int:
        """Return how many threads to compute with."""
        if self.n_threads is not None:
            check_number(self.n_threads, "n_threads", 1, integer=True)
            return self.n_threads
        share = os.environ.get("OMP_NUM_THREADS", "")  # joblib's workers have theirs
        return min(int(joblib.cpu_count()), int(share) if share.isdigit() else 2**31)

    @cached_property
    def _model(self) -> Loaded:
        """The contents of the file, opened on first use."""
        return open_file(Path(self.path))

    def __sklearn_is_fitted__(self) -> bool:
        """Return that it has learned already."""
        return True

    @override
    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_model", None)
        return state

    @override
    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.target_tags.required = False
        tags.classifier_tags.multi_label = True
        return tags


def with_checksum(content: bytes) -> bytes:
    """Return a file's contents with their checksum in its place in the metadata."""
    start = content.rindex(_BEFORE_CHECKSUM) + len(_BEFORE_CHECKSUM)
    digest = hashlib.sha256(content).hexdigest().encode()
    return content[:start] + digest + content[start + len(digest) :]


def _check_contents(path: Path) -> None:
    """Raise ValueError if a file's checksum is not that of its contents."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        start = content.rfind(_BEFORE_CHECKSUM) + len(_BEFORE_CHECKSUM)
        end = start + len(NO_CHECKSUM)
        digest = hashlib.sha256(content[:start])
        digest.update(NO_CHECKSUM.encode())
        digest.update(content[end:])
        if digest.hexdigest().encode() != content[start:end]:
            raise ValueError("the checksum is not that of the contents")


def open_file(path: Path) -> Loaded:
    """Open an exported classifier."""
    runtime = optional_import("onnxruntime", "onnx")
    path = path.expanduser()
    if not path.is_file():
        raise SavedModelError(
            f"`path` must name a file that LLKDClassifier.export_onnx wrote; there is "
            f"no file {str(path)!r}."
        )
    options = runtime.SessionOptions()
    # Each batch is computed by one thread, several batches at once: that is faster than
    # several threads on one batch, which wait for each other after every product.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; what else it says is of no use here
    try:
        session = runtime.InferenceSession(
            str(path),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=_SLOWER,
        )
    except Exception as error:  # its errors share no class but this one
        raise SavedModelError(
            f"{str(path)!r} cannot be read as an ONNX file: "
            f"{str(error).splitlines()[0]}. Export it again with "
            "LLKDClassifier.export_onnx."
        ) from error
    return _loaded(session, path)


def _loaded(session: Any, path: Path) -> Loaded:
    """Return a session with the settings in the file's metadata."""
    metadata = session.get_modelmeta().custom_metadata_map
    if SETTINGS not in metadata:
        raise SavedModelError(
            f"{str(path)!r} is an ONNX file but no classifier of skllkd's. Give the file "
            "that LLKDClassifier.export_onnx wrote."
        )
    try:
        settings = json.loads(metadata[SETTINGS])
        check_format(
            settings["format"], repr(str(path)), f"skllkd {settings['skllkd']}"
        )
        _check_contents(path)
        thresholds = settings["thresholds"]
        window = Window(str(settings["window"]), int(settings["max_length"]))
        if window.kind not in WINDOWS:
            raise ValueError(f"texts are read by {window.kind!r}")
        return Loaded(
            session=session,
            tokenizer=load_tokenizer(metadata[TOKENIZER], window),
            classes=np.array(settings["classes"]),
            thresholds=None
            if thresholds is None
            else np.array(thresholds, dtype=float),
            tree=None if settings["tree"] is None else as_classes(settings["tree"]),
            window=window,
            pad_id=int(settings["pad_id"]),
        )
    except SavedModelError:
        raise
    except Exception as error:  # tokenizers raises Exception itself
        raise SavedModelError(
            f"the classifier in {str(path)!r} is damaged: {type(error).__name__}: "
            f"{error}. Export it again with LLKDClassifier.export_onnx."
        ) from error
