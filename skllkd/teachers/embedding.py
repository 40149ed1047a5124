"""A sentence encoder as a teacher: texts against the names of the classes."""

from __future__ import annotations

import os

import numpy as np
from typing_extensions import override

from skllkd._core.classes import Classes
from skllkd._core.device import checked_device
from skllkd._core.params import check_number, check_option
from skllkd._core.similarity import class_name_log_prob, class_texts
from skllkd.students.text_encoder import TextEncoder, check_encoder, read_encoder
from skllkd.teachers.base import Teacher
from skllkd.teachers.calibration import BatchCalibration
from skllkd.teachers.labels import TeacherLabels


class EmbeddingTeacher(Teacher):
    r"""A sentence encoder as a teacher: texts against the names of the classes.

    No language model is asked. A class counts for a text as much as its name, and its
    description where it has one, is close to the text in the encoder's space:
    :math:`p(k \mid x) \propto e^{\cos(x, k) / T}`, calibrated on the pool. With several
    classes a text (`Multilabel`) the cosine over T is the log-odds of a class, whose
    level the calibration finds. Where names
    and texts are about the same things, as topics and intents are, this comes close to a
    small language model; of sentiment or tone it knows little. It costs no call
    and a pass of an encoder, so it is the baseline that a language model has to beat,
    and a member of an `EnsembleTeacher` that errs elsewhere than the others do.

    Parameters
    ----------
    model : str or Path, default="sentence-transformers/all-MiniLM-L6-v2"
        Any sentence-transformers encoder: its name on the model hub, or a folder.
    temperature : float, default=0.05
        Difference of cosines that multiplies the odds by e. It does not change which
        class is the likeliest. Above 0.
    calibration : BatchCalibration, default=BatchCalibration()
        Correction of a preference for some names: some are close to every text. None
        for none.
    max_length : int or "auto", default="auto"
        Longest input in tokens; longer texts are cut, counted and warned of. By default
        the model's own.
    cache : {"memory", "disk"} or None, default="memory"
        Store of the embeddings, as in `FrozenEncoderStudent`, with which they are
        shared: a student with the same encoder reads no text again.
    batch_size : int, optional
        Texts a batch when encoding; by default 64 on a CPU and 256 on a GPU.
    device : str, default="auto"
        Device of the encoder: a GPU where there is one, or a torch device.

    See Also
    --------
    EnsembleTeacher : Several teachers as one.
    FrozenEncoderStudent : A student that shares the embeddings.

    Notes
    -----
    Names are read with `_` and `-` as spaces: `card_arrival` as "card arrival"; with a
    description as "card arrival: where is my new card". Short descriptions in the words
    of the texts help more than definitions.

    Names that are close to each other share the probability: the confidence of a text is
    low where another class has nearly the same name.

    Examples
    --------
    >>> from skllkd.datasets import minilm_path
    >>> from skllkd.teachers import EmbeddingTeacher
    >>> teacher = EmbeddingTeacher(minilm_path(), device="cpu")
    >>> labels = teacher.label(
    ...     ["The striker scored twice.", "Parliament passed the bill."],
    ...     ["sports", "politics"],
    ... )
    >>> labels.proba.argmax(axis=1)
    array([0, 1])
    >>> teacher.plan(["The striker scored twice."], ["sports", "politics"]).n_calls
    0
    """

    _window = "max_length"
    _is_multilabel = True

    def __init__(
        self,
        model: str | os.PathLike[str] = "sentence-transformers/all-MiniLM-L6-v2",
        *,
        temperature: float = 0.05,
        calibration: BatchCalibration | None = BatchCalibration(),  # noqa: B008  (frozen)
        max_length: int | str = "auto",
        cache: str | None = "memory",
        batch_size: int | None = None,
        device: str = "auto",
    ) -> None:
        self.model = model
        self.temperature = temperature
        self.calibration = calibration
        self.max_length = max_length
        self.cache = cache
        self.batch_size = batch_size
        self.device = device

    @override
    def _label_distinct(
        self, texts: list[str], classes: Classes, verbose: int
    ) -> TeacherLabels:
        self._check()
        if not texts:
            nothing = np.empty((0, len(classes)))
            return TeacherLabels(classes.names, nothing, np.empty(0))
        encoder = self._encoder()
        names, _ = encoder.features(class_texts(classes))
        features, n_cut = encoder.features(texts, verbose)
        log_prob = class_name_log_prob(
            features,
            names,
            self.temperature,
            centred=False,
            multilabel=classes.multilabel,
        )
        unknown = np.full(len(texts), np.nan)
        return TeacherLabels(classes.names, log_prob, unknown, n_truncated=n_cut)

    def _encoder(self) -> TextEncoder:
        """Read the encoder, once in a process."""
        return read_encoder(
            self.model,
            max_length=self.max_length,
            cache=self.cache,
            batch_size=self.batch_size,
            device=self.device,
        )

    def _check(self) -> None:
        """Raise if a parameter has a value that is not allowed."""
        check_encoder(self.model)
        check_number(self.temperature, "temperature", 0, open_low=True)
        if self.max_length != "auto":
            check_number(self.max_length, "max_length", 4, integer=True)
        check_option(self.cache, "cache", ["memory", "disk", None])
        if self.batch_size is not None:
            check_number(self.batch_size, "batch_size", 1, integer=True)
        checked_device(self.device)
