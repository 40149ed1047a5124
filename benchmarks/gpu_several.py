r"""A part of `benchmarks.gpu`: one student trained on two cards, or in two CPU processes.

The file is also the script that the two processes run:

    python -m torch.distributed.run --standalone --nproc-per-node=2 \
        -m benchmarks.gpu_several DEVICE N_TEXTS MODEL FILE
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu_parts import Setting, classifier, made_texts, synchronize
from benchmarks.gpu_right import without_dropout

#: Without dropout, whose draws differ between processes, they can be compared.
STUDENT = {"student__dropout": 0.0, "student__precision": "float32"}
N_PROCESSES, N_COMPARED = 2, 256


def several_cards(setting: Setting) -> None:
    """Train in one process and in two; compare the labels and the time."""
    if setting.device == "cuda" and torch.cuda.device_count() < N_PROCESSES:
        setting.record("two cards", why="this machine has one")
        return
    n_texts = setting.size("train")
    with tempfile.TemporaryDirectory() as folder:
        model = without_dropout(Path(folder) / "model")
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        launch += [f"--nproc-per-node={N_PROCESSES}", "-m"]
        work = (setting.device, str(n_texts), str(model))
        alone = _trained(*work)
        both = _run(launch, work, Path(folder) / "both.npz")
    same = alone["proba"].argmax(axis=1) == both["proba"].argmax(axis=1)
    setting.record(
        "two processes",
        texts_per_s_alone=n_texts / float(alone["seconds"]),
        texts_per_s_together=n_texts / float(both["seconds"]),
        labels_equal=float(same.mean()),
        largest_difference=float(np.abs(alone["proba"] - both["proba"]).max()),
    )


def _run(launch: list[str], work: tuple[str, ...], file: Path) -> dict[str, np.ndarray]:
    """Train in several processes, and return the arrays the first one writes."""
    subprocess.run([*launch, "benchmarks.gpu_several", *work, str(file)], check=True)
    with np.load(file) as arrays:
        return dict(arrays)


def _trained(device: str, n_texts: str, model: str) -> dict[str, Any]:
    """Train a student, and return its probabilities and the time."""
    setting = Setting(device, False, None, None, Path())
    student, some = STUDENT | {"student__model": model}, made_texts(int(n_texts))
    first = classifier(setting).set_params(**student)
    first.fit(some.texts[:64], teacher_proba=some.teacher_proba[:64])  # warms up
    synchronize()
    begin = time.perf_counter()
    fitted = classifier(setting).set_params(**student)
    fitted.fit(some.texts, teacher_proba=some.teacher_proba)
    synchronize()
    seconds = time.perf_counter() - begin
    proba = fitted.predict_proba(made_texts(N_COMPARED, seed=1).texts)
    return {"proba": proba, "seconds": seconds}


def main() -> None:
    """Train one student; the first process writes the arrays."""
    *work, file = sys.argv[1:]
    arrays = _trained(*work)
    if os.environ["RANK"] == "0":
        np.savez(file, **arrays)


if __name__ == "__main__":
    main()
