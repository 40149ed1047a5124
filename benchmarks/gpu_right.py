"""Parts of `benchmarks.gpu`: whether what is computed on the card is right."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skllkd.datasets import minilm_path
from skllkd.exceptions import SkllkdError
from skllkd.selection import SelectAll
from skllkd.students import FrozenEncoderStudent, TransformerStudent

from benchmarks.gpu_parts import (
    CLASSES,
    N_CLASSES,
    Setting,
    classifier,
    held_bytes,
    made_texts,
)

#: Run where no card is seen: loads what was fitted on one, and predicts.
PREDICT = """
import json, sys
import joblib, numpy as np, torch
from skllkd import LLKDClassifier
folder = sys.argv[1]
texts = json.load(open(folder + "/texts.json"))
assert not torch.cuda.is_available()
for kind in ("whole", "frozen"):
    dumped = joblib.load(f"{folder}/{kind}.joblib")
    np.save(f"{folder}/{kind}_dumped.npy", dumped.predict_proba(texts))
    saved = LLKDClassifier.load(f"{folder}/{kind}")
    np.save(f"{folder}/{kind}_saved.npy", saved.predict_proba(texts))
"""


def same_seed(setting: Setting) -> None:
    """Fit twice with the same seed."""
    some = made_texts(setting.size("right"))
    for precision in setting.some(["auto", "float32"]):
        first, again = (
            classifier(setting, {"precision": precision}, n_epochs=2).fit(
                some.texts, teacher_proba=some.teacher_proba
            )
            for _ in range(2)
        )
        one, other = (each.predict_proba(some.texts) for each in (first, again))
        setting.record(
            f"same seed twice, {precision}",
            same_labels=_same_labels(one, other),
            difference=_difference(one, other),
            same_texts=bool((first.times_selected_ == again.times_selected_).all()),
            is_right=_same_labels(one, other) == 1,
        )


def _same_labels(one: np.ndarray, other: np.ndarray) -> float:
    """Return the share of rows with the same class."""
    return float((one.argmax(axis=1) == other.argmax(axis=1)).mean())


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference of a probability."""
    return float(np.abs(one - other).max())


def cpu_agreement(setting: Setting) -> None:
    """Compare with the CPU, before training and after an epoch without dropout."""
    some = made_texts(setting.size("right") // 2)
    with tempfile.TemporaryDirectory() as folder:
        model = without_dropout(Path(folder) / "model")
        before = [_before(model, d, some.texts) for d in ("cpu", setting.device)]
        difference = _difference(*before)
        setting.record(
            "float32, before training",
            difference=difference,
            is_right=difference <= 1e-4,
        )
        after = {
            (device, precision): _after(setting, model, device, precision, some)
            for device, precision in [
                ("cpu", "float32"),
                (setting.device, "float32"),
                (setting.device, "bfloat16"),
            ]
        }
    on_cpu = after["cpu", "float32"]
    for (device, precision), proba in list(after.items())[1:]:
        difference = _difference(on_cpu, proba)
        setting.record(
            f"{precision} on {device}, after an epoch",
            difference=difference,
            same_labels=_same_labels(on_cpu, proba),
            is_right=difference <= (1e-4 if precision == "float32" else 0.1),
        )


def without_dropout(folder: Path) -> Path:
    """Return a copy of MiniLM that drops nothing in training: draws differ by device."""
    shutil.copytree(minilm_path(), folder)
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    file.write_text(json.dumps(config), encoding="utf-8")
    return folder


def _before(model: Path, device: str, texts: list[str]) -> np.ndarray:
    """Return what a student says of its pool before it has learned."""
    student = TransformerStudent(model, device=device, precision="float32")
    student.begin_fit(texts, N_CLASSES, 0)
    parts = np.array_split(np.arange(len(texts)), 4)
    return np.concatenate([student.predict_rows(rows) for rows in parts])


def _after(
    setting: Setting, model: Path, device: str, precision: str, some: Any
) -> np.ndarray:
    """Return what a student says after an epoch."""
    student = {"precision": precision, "dropout": 0.0}
    unfitted = classifier(setting, student, selection=SelectAll())
    unfitted.set_params(student__model=model, student__device=device)
    fitted = unfitted.fit(some.texts, teacher_proba=some.teacher_proba)
    return fitted.predict_proba(some.texts)


def elsewhere(setting: Setting) -> None:
    """Predict in a process that sees no card with what was fitted on one."""
    some = made_texts(setting.size("right") // 2)
    frozen = FrozenEncoderStudent(minilm_path(), device=setting.device)
    unfitted = {
        "whole": classifier(setting),
        "frozen": classifier(setting).set_params(student=frozen),
    }
    with tempfile.TemporaryDirectory() as folder:
        here = {}
        for kind, each in unfitted.items():
            each.fit(some.texts, teacher_proba=some.teacher_proba)
            here[kind] = each.predict_proba(some.texts)
            joblib.dump(each, f"{folder}/{kind}.joblib")
            each.save(f"{folder}/{kind}")
        Path(folder, "texts.json").write_text(json.dumps(some.texts))
        subprocess.run(
            [sys.executable, "-c", PREDICT, folder],
            check=True,
            env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        )
        for kind, proba in here.items():
            for how in ("dumped", "saved"):
                there = np.load(f"{folder}/{kind}_{how}.npy")
                difference = _difference(proba, there)
                setting.record(
                    f"{kind} encoder, {how}, without a card",
                    difference=difference,
                    same_labels=_same_labels(proba, there),
                    is_right=difference <= 1e-4,
                )


def memory(setting: Setting) -> None:
    """Fit again and again, and see what of the card's memory stays taken."""
    n = setting.size("right") if setting.is_dry else 128
    some = made_texts(n)
    label = np.array(CLASSES)[some.teacher_proba.argmax(axis=1)]
    setting.record("before all fits", **_held())
    grid = {"student__learning_rate": setting.some([1e-4, 3e-4])}
    search = GridSearchCV(
        classifier(setting), grid, cv=2, n_jobs=1, error_score="raise"
    )
    search.fit(some.texts, label)
    setting.record("after GridSearchCV", score=float(search.best_score_), **_held())
    del search
    after = []
    fitted = clone(classifier(setting))
    for _ in range(2 if setting.is_dry else 10):
        fitted = clone(fitted)  # the one before is let go
        fitted.fit(some.texts, teacher_proba=some.teacher_proba)
        fitted.predict(some.texts[: n // 2])
        after.append(held_bytes())
    ratios = [
        last / max(first, 1) for first, last in zip(after[0], after[-1], strict=True)
    ]
    setting.record(
        f"after {len(after)} fits by after the first",
        tensors=ratios[0],
        kept=ratios[1],
        is_right=max(ratios) <= 1.05,
    )
    setting.record("with the last classifier", **_held())
    del fitted
    setting.record("without any classifier", **_held())


def _held() -> dict[str, int]:
    """Return what is taken of the card's memory."""
    tensors, kept = held_bytes()
    return {"tensors_mib": tensors >> 20, "kept_mib": kept >> 20}


def out_of_memory(setting: Setting) -> None:
    """Let the card's memory run out, and go on."""
    if not torch.cuda.is_available():
        setting.record("memory that runs out", is_right=None, why="needs a card")
        return
    some = made_texts(512, mean_words=250)
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(8e8 / whole)
    try:
        unfitted = classifier(setting, batch_size=512)
        known = {"teacher_proba": some.teacher_proba}
        _record_error(
            setting,
            "training",
            "`batch_size`",
            lambda: unfitted.fit(some.texts, **known),
        )
        fewer = classifier(setting, batch_size=4)
        fewer.fit(some.texts[:32], teacher_proba=some.teacher_proba[:32])
        setting.record("training goes on with less", is_right=True, **_held())
        fewer.student_.predict_batch_size = 4096
        _record_error(
            setting,
            "predicting",
            "`predict_batch_size`",
            lambda: fewer.predict(some.texts),
        )
        fewer.student_.predict_batch_size = 8
        n_predicted = len(fewer.predict(some.texts))
        setting.record("predicting goes on with less", is_right=n_predicted == 512)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def _record_error(setting: Setting, what: str, name: str, run: Any) -> None:
    """Record whether something ends with an error that names a parameter."""
    try:
        run()
    except SkllkdError as error:
        said = f"{type(error).__name__}: {error}"
        setting.record(f"{what} runs out", is_right=name in said, said=said)
    else:
        setting.record(f"{what} runs out", is_right=False, said="no error")
