"""The methods that `benchmarks.alternatives` compares, each of them as one function.

A method takes a task, a pool of labelled texts with others to predict, and returns its
outcome. Embeddings are computed once; each method counts the time that they take.
"""

from __future__ import annotations

import pickle
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from sklearn.linear_model import LogisticRegression
from skllkd import LLKDClassifier
from skllkd.selection import LLKDSelection
from skllkd.students import FrozenEncoderStudent, TransformerStudent, feature_cache

from benchmarks.data import Pool

#: Of the linear models, by the labels they learn: the best of 0.1, 1, 10 and 100 on dev.
STRENGTHS = {"hard": 1.0, "soft": 10.0, "cleanlab": 1.0, "gold": 10.0}
N_EPOCHS, BATCH, LEARNING_RATE = 3, 32, 5e-5  # the usual ones of `Trainer`
#: SetFit's documentation has 8 to 16 labels a class; 112 steps of 16 pairs read 3,584
#: texts, as many as three epochs of `Trainer` on 1,200.
SETFIT_PER_CLASS, SETFIT_BATCH, SETFIT_STEPS = 16, 16, 112
PREDICT_BATCH = 64


class Outcome(NamedTuple):
    """The labels a method predicts, and its cost."""

    labels: np.ndarray  # class names, of the task's texts
    training_s: float  # encoding and refinement included
    predicting_s: float
    megabytes: float  # of the files that predicting needs


@dataclass
class Task:
    """A pool to learn from and texts to predict."""

    pool: Pool
    class_texts: list[str]  # each name with its description, if it has one
    classes: Any  # as `LLKDClassifier` takes them
    texts: list[str]
    seed: int
    model: str
    device: str
    embed: Callable[[list[str]], np.ndarray]  # rows of length 1
    encoding_s: dict[str, float]  # seconds per text, by the encoder that computes it

    @property
    def clock(self) -> Callable[[], float]:
        """Return a clock of this process's work, or for a GPU of the wall."""
        return time.process_time if self.device == "cpu" else time.perf_counter

    @property
    def names(self) -> np.ndarray:
        """Return the class names."""
        return np.array(self.pool.classes)

    @property
    def hard(self) -> np.ndarray:
        """Return the classes that the teacher chose."""
        return self.pool.teacher_proba.argmax(axis=1)

    @property
    def gold(self) -> np.ndarray:
        """Return the gold classes."""
        return np.searchsorted(self.names, self.pool.gold)


#: The encoders whose time is counted.
THEIRS, OURS = "sentence-transformers", "skllkd"
Method = Callable[[Task], Outcome]


def folder_megabytes(folder: Path) -> float:
    """Return the size of the files below a folder."""
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files) / 1e6


def seconds_per_text(
    encode: Callable[[list[str]], Any], texts: list[str], clock: Callable[[], float]
) -> float:
    """Return how long encoding takes for a text, at best of three times."""
    encode(texts[:1])  # what is loaded at first is not timed
    taken = []
    for _ in range(3):
        begin = clock()
        encode(texts)
        taken.append(clock() - begin)
    return min(taken) / len(texts)


def _linear(task: Task, model: Any, fit: Callable[[Any, np.ndarray], Any]) -> Outcome:
    """Fit a model on the embeddings of the pool and predict the texts."""
    rows, texts = task.embed(task.pool.texts), task.embed(task.texts)
    a_text_s = task.encoding_s[THEIRS]
    begin = task.clock()
    fit(model, rows)
    training_s = len(rows) * a_text_s + task.clock() - begin
    begin = task.clock()
    labels = task.names[model.predict(texts)]
    predicting_s = len(texts) * a_text_s + task.clock() - begin
    head = len(pickle.dumps(model)) / 1e6
    size = folder_megabytes(Path(task.model)) + head
    return Outcome(labels, training_s, predicting_s, size)


def _regression(labels: str) -> LogisticRegression:
    """Return the linear model for labels of a kind."""
    return LogisticRegression(C=STRENGTHS[labels], max_iter=1000)


def regression_hard(task: Task) -> Outcome:
    """Learn the teacher's choices by logistic regression on embeddings."""
    return _linear(task, _regression("hard"), lambda m, rows: m.fit(rows, task.hard))


def regression_gold(task: Task) -> Outcome:
    """Learn gold labels by logistic regression on embeddings."""
    return _linear(task, _regression("gold"), lambda m, rows: m.fit(rows, task.gold))


def regression_soft(task: Task) -> Outcome:
    """Learn the teacher's distributions: each text once per class, weighted."""
    row, label = np.nonzero(task.pool.teacher_proba > 1e-6)
    weight = task.pool.teacher_proba[row, label]

    def fit(model: LogisticRegression, rows: np.ndarray) -> None:
        model.fit(rows[row], label, weight)

    return _linear(task, _regression("soft"), fit)


def cleanlab(task: Task) -> Outcome:
    """Learn the teacher's choices without those that cleanlab takes for wrong."""
    from cleanlab.classification import CleanLearning

    present, label = np.unique(task.hard, return_inverse=True)  # 0, 1, ... without gaps
    model = CleanLearning(_regression("cleanlab"), seed=task.seed)
    found = _linear(task, model, lambda m, rows: m.fit(rows, label))
    place = np.searchsorted(task.names, found.labels)
    return found._replace(labels=task.names[present][place])


def class_names(task: Task) -> Outcome:
    """Predict the class whose name and description are nearest by cosine."""
    cosine = task.embed(task.texts) @ task.embed(task.class_texts).T
    predicting_s = len(task.texts) * task.encoding_s[THEIRS]
    labels = task.names[cosine.argmax(axis=1)]
    return Outcome(labels, 0.0, predicting_s, folder_megabytes(Path(task.model)))


def frozen_student(task: Task) -> FrozenEncoderStudent:
    """Return a student that knows the features of all texts."""
    student = FrozenEncoderStudent(task.model, device=task.device, cache="disk")
    student.embed([*task.pool.texts, *task.texts])
    return student


def tuned_student(task: Task) -> TransformerStudent:
    """Return a student for whose refinement nothing is encoded yet."""
    feature_cache.memory = type(feature_cache.memory)()
    return TransformerStudent(task.model, device=task.device)


def ours(tuned: bool, **parameters: Any) -> Method:
    """Return a method that fits `LLKDClassifier`, by default with its defaults."""

    def run(task: Task) -> Outcome:
        student = tuned_student(task) if tuned else frozen_student(task)
        classifier = LLKDClassifier(
            classes=task.classes,
            student=student,
            on_missing_class="warn",
            random_state=task.seed,
            verbose=0,
        ).set_params(**parameters)
        a_text_s = 0.0 if tuned else task.encoding_s[OURS]
        begin = task.clock()
        classifier.fit(task.pool.texts, teacher_proba=task.pool.teacher_proba)
        training_s = len(task.pool.texts) * a_text_s + task.clock() - begin
        begin = task.clock()
        labels = classifier.predict(task.texts)
        predicting_s = len(task.texts) * a_text_s + task.clock() - begin
        with tempfile.TemporaryDirectory() as folder:
            classifier.save(folder)
            size = folder_megabytes(Path(folder))
        return Outcome(labels, training_s, predicting_s, size)

    return run


def trainer(gold: bool = False, batch_size: int = BATCH) -> Method:
    """Return a method that fine-tunes with `transformers.Trainer` on hard labels."""

    def run(task: Task) -> Outcome:
        label = task.gold if gold else task.hard
        with tempfile.TemporaryDirectory() as folder:
            begin = task.clock()
            tokenize = transformers.AutoTokenizer.from_pretrained(task.model)
            fitted = _trainer(task, folder, tokenize, batch_size)
            fitted.train_dataset = _rows(tokenize, task.pool.texts, label)
            fitted.train()
            training_s = task.clock() - begin
            begin = task.clock()
            logits = fitted.predict(_rows(tokenize, task.texts)).predictions
            predicting_s = task.clock() - begin
            fitted.save_model(f"{folder}/fitted")
            size = folder_megabytes(Path(folder) / "fitted")
        labels = task.names[logits.argmax(axis=1)]
        return Outcome(labels, training_s, predicting_s, size)

    return run


def _trainer(
    task: Task, folder: str, tokenizer: Any, batch_size: int
) -> transformers.Trainer:
    """Return a trainer of the encoder with a new classification head."""
    arguments = transformers.TrainingArguments(
        folder,
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=PREDICT_BATCH,
        num_train_epochs=N_EPOCHS,
        learning_rate=LEARNING_RATE,
        seed=task.seed,
        use_cpu=task.device == "cpu",
        dataloader_pin_memory=task.device != "cpu",
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    transformers.set_seed(task.seed)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        task.model, num_labels=len(task.pool.classes), dtype=torch.float32
    )
    return transformers.Trainer(
        model,
        arguments,
        data_collator=transformers.DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
    )


def _rows(
    tokenizer: Any, texts: list[str], label: np.ndarray | None = None
) -> list[dict[str, Any]]:
    """Return texts as `Trainer` takes them."""
    ids = tokenizer(texts, truncation=True, max_length=256)["input_ids"]
    if label is None:
        return [{"input_ids": row} for row in ids]
    pairs = zip(ids, label.tolist(), strict=True)
    return [{"input_ids": row, "labels": k} for row, k in pairs]


def surest(proba: np.ndarray, n_per_class: int) -> np.ndarray:
    """Return the rows of the most confident labels of each class."""
    label, order = proba.argmax(axis=1), np.argsort(-proba.max(axis=1), kind="stable")
    of_class = [order[label[order] == k] for k in range(proba.shape[1])]
    return np.concatenate([rows[:n_per_class] for rows in of_class])


def setfit(task: Task) -> Outcome:
    """Train SetFit on the teacher's most confident choices."""
    import setfit as package

    from datasets import Dataset

    begin = task.clock()
    model = package.SetFitModel.from_pretrained(task.model, device=task.device)
    chosen = surest(task.pool.teacher_proba, SETFIT_PER_CLASS)
    texts = [task.pool.texts[i] for i in chosen]
    rows = Dataset.from_dict({"text": texts, "label": task.hard[chosen].tolist()})
    with tempfile.TemporaryDirectory() as folder:
        arguments = package.TrainingArguments(
            folder,
            batch_size=SETFIT_BATCH,
            max_steps=SETFIT_STEPS,
            seed=task.seed,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            show_progress_bar=False,
        )
        package.Trainer(model, arguments, train_dataset=rows).train()
        training_s = task.clock() - begin
        begin = task.clock()
        label = model.predict(task.texts, batch_size=PREDICT_BATCH, as_numpy=True)
        predicting_s = task.clock() - begin
        model.save_pretrained(f"{folder}/fitted")
        size = folder_megabytes(Path(folder) / "fitted")
    return Outcome(task.names[label], training_s, predicting_s, size)


ON_EMBEDDINGS: dict[str, Method] = {
    "class names": class_names,
    "regression, hard": regression_hard,
    "regression, soft": regression_soft,
    "cleanlab": cleanlab,
    "regression, gold": regression_gold,
}
PAPER = {"selection": LLKDSelection(), "refine": None}
#: The methods that are compared, by the student of ours.
METHODS: dict[str, dict[str, Method]] = {
    "frozen": ON_EMBEDDINGS
    | {
        "ours": ours(False, n_epochs=10),
        "ours, not refined": ours(False, n_epochs=10, refine=None),
        "ours, 3 epochs": ours(False),
        "LLKD": ours(False, n_epochs=10, **PAPER),
    },
    "tuned": ON_EMBEDDINGS
    | {
        "ours": ours(True),
        "ours, not refined": ours(True, refine=None),
        "LLKD": ours(True, **PAPER),
        "Trainer": trainer(),
        "Trainer, batches of 8": trainer(batch_size=8),
        "Trainer, gold": trainer(gold=True),
        "SetFit": setfit,
    },
}
