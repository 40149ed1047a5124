"""How fast a student trains, beside what one would write without this package.

    python -m benchmarks.student_training --data FOLDER

One epoch of all-MiniLM-L6-v2 over the same texts in batches of 32, on the CPU, in
float32 and in bfloat16 each. Everything takes turns, for several rounds, so that what
else the machine does slows all alike; speeds are each one's best round, in texts
presented a second, and ratios are of these.

- Trainer: `transformers.Trainer` with its default sampler, on texts tokenized before.
- plain loop: fused AdamW, gradients clipped, batches of similar length.
- plain loop, a quarter: the same loop scores every row of a batch without gradients and
  trains on the most uncertain quarter of it, four batches' quarters at a time.
- ours, all: `SelectAll`; tokenizing is part of the time. "layers" leaves the token
  embeddings as they are.
- ours, a quarter: of the rows as confident as the teacher is on average, the most
  uncertain, a quarter of the batch; the others are not scored.
- ours, LLKD: `LLKDSelection`, which keeps a share of its own, printed beside it;
  "confident" scores the rows above the teacher's threshold only.
- products alone: the matrix products of training on all, nothing padded and nothing
  beside them: nothing that computes with torch in the same type is faster.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
import transformers
from skllkd.cli.demo import demo_student
from skllkd.selection import LLKDSelection, Pool, SelectAll, Selected, Selection
from skllkd.students import TransformerStudent
from skllkd.training.loop import distil
from skllkd.training.schedule import Schedule
from tokenizers import Tokenizer

from benchmarks.cells import about, benchmark_parser, write_figures
from benchmarks.data import add_data_option, gold_as_teacher, load_pool
from benchmarks.products import Products

BATCH = 32
N_TEXTS = 640
PRECISIONS = ["float32", "bfloat16"]
MODEL = demo_student().model


class Quarter(Selection):
    """The most uncertain quarter of a batch, of rows as confident as the pool's mean."""

    def begin(self, pool, n_steps, random_state, first_step=0):
        """Take the pool's mean confidence."""
        self._least = pool.teacher_confidence.mean()

    def candidates(self, batch):
        """Leave out rows the teacher is not confident of."""
        return batch.teacher_confidence >= self._least

    def select(self, batch):
        """Keep the quarter."""
        unsure = np.nan_to_num(1 - batch.student_proba.max(axis=1), nan=-1)
        mask = np.zeros(len(unsure), dtype=bool)
        mask[np.argsort(-unsure, kind="stable")[: len(unsure) // 4]] = True
        return Selected(mask & (unsure >= 0), np.ones(len(mask)))


def ours(selection, precision, **parameters):
    """Return a function that trains our student and says what share it trained on."""

    def run(pool):
        student = TransformerStudent(
            MODEL, device="cpu", precision=precision, **parameters
        )
        n_classes = len(pool.classes)
        student.begin_fit(pool.texts[:1], n_classes, 0)  # the model is loaded
        begin = time.perf_counter()
        student._trainer.pool.texts = student._tokenize(pool.texts)
        n_steps = -(-len(pool.texts) // BATCH)
        rng = np.random.RandomState(0)
        selection.begin(Pool(pool.teacher_proba), n_steps, rng)
        schedule = Schedule(1, BATCH, rng)
        weight = np.ones(len(pool.texts))
        log = distil(student, selection, pool.teacher_proba, weight, schedule)
        seconds = time.perf_counter() - begin
        return seconds, float(log.history["n_selected"].sum() / len(pool.texts))

    return run


def tokenizer():
    """Return the model's tokenizer."""
    found = Tokenizer.from_file(str(Path(MODEL) / "tokenizer.json"))
    found.no_padding()
    found.enable_truncation(256)
    return found


def classifier(pool):
    """Return the architecture's own classifier, pretrained."""
    return transformers.AutoModelForSequenceClassification.from_pretrained(
        MODEL, num_labels=len(pool.classes)
    )


def hugging_face(precision, device="cpu", batch_size=BATCH):
    """Return a function that trains with `transformers.Trainer`."""

    def run(pool):
        ids = [encoding.ids for encoding in tokenizer().encode_batch(pool.texts)]
        label = pool.teacher_proba.argmax(axis=1)
        rows = [
            {"input_ids": i, "labels": int(k)} for i, k in zip(ids, label, strict=True)
        ]
        fast = transformers.AutoTokenizer.from_pretrained(MODEL)
        with tempfile.TemporaryDirectory() as folder:
            arguments = transformers.TrainingArguments(
                folder,
                per_device_train_batch_size=batch_size,
                num_train_epochs=1,
                learning_rate=1e-4,
                use_cpu=device == "cpu",
                bf16=precision == "bfloat16",
                report_to=[],
                save_strategy="no",
                logging_strategy="no",
                disable_tqdm=True,
            )
            trainer = transformers.Trainer(
                classifier(pool),
                arguments,
                train_dataset=rows,
                data_collator=transformers.DataCollatorWithPadding(fast),
            )
            begin = time.perf_counter()
            trainer.train()
            return time.perf_counter() - begin, 1.0

    return run


def plain_loop(precision, share=1.0):
    """Return a function that trains as one would by hand."""

    def run(pool):
        model = classifier(pool)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        label = torch.from_numpy(pool.teacher_proba.argmax(axis=1))
        is_half = precision == "bfloat16"
        cast = torch.autocast("cpu", torch.bfloat16) if is_half else nullcontext()
        begin = time.perf_counter()
        ids = [
            torch.tensor(encoding.ids)
            for encoding in tokenizer().encode_batch(pool.texts)
        ]

        def logits(rows):
            padded = torch.nn.utils.rnn.pad_sequence([ids[i] for i in rows], True)
            mask = torch.nn.utils.rnn.pad_sequence(
                [torch.ones_like(ids[i]) for i in rows], True
            )
            with cast:
                return model(input_ids=padded, attention_mask=mask).logits.float()

        def train(rows):
            model.train()
            loss = torch.nn.functional.cross_entropy(logits(rows), label[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

        order = np.argsort([len(i) for i in ids])
        batches = np.split(order, range(BATCH, len(order), BATCH))
        waiting = np.empty(0, dtype=int)
        for place in np.random.RandomState(0).permutation(len(batches)):
            rows = batches[place]
            if share == 1:
                train(rows)
                continue
            model.eval()
            with torch.no_grad():
                sure = torch.softmax(logits(rows), dim=1).max(dim=1).values.numpy()
            kept = rows[np.argsort(sure)[: int(share * len(rows))]]
            waiting = np.concatenate([waiting, kept])
            if len(waiting) >= BATCH:
                train(waiting[:BATCH])
                waiting = waiting[BATCH:]
        if len(waiting):
            train(waiting)
        return time.perf_counter() - begin, share

    return run


def products_alone(precision):
    """Return a function that computes the matrix products of training on all."""

    def run(pool):
        lengths = np.sort([len(e.ids) for e in tokenizer().encode_batch(pool.texts)])
        n_tokens = [lengths[i : i + BATCH].sum() for i in range(0, len(lengths), BATCH)]
        products = Products(classifier(pool).base_model, getattr(torch, precision))
        return products.seconds(n_tokens, training=True), 1.0

    return run


def contestants(precision):
    """Return what is timed, by name."""
    return {
        "Trainer": hugging_face(precision),
        "plain loop": plain_loop(precision),
        "plain loop, a quarter": plain_loop(precision, 0.25),
        "ours, all": ours(SelectAll(), precision),
        "ours, all, layers": ours(SelectAll(), precision, trainable_layers="layers"),
        "ours, a quarter": ours(Quarter(), precision),
        "ours, a quarter, layers": ours(
            Quarter(), precision, trainable_layers="layers"
        ),
        "ours, LLKD": ours(LLKDSelection(), precision),
        "ours, LLKD, last 2 layers": ours(
            LLKDSelection(), precision, trainable_layers=2
        ),
        "products alone": products_alone(precision),
    }


def bar(name):
    """Return the least ratio to `Trainer` that was set."""
    if "a quarter" in name and name.startswith("ours"):
        return 5.0
    return 2.5 if name.startswith("ours, all") else None


def measure(pool, rounds):
    """Return the speed and the share trained on, by precision and contestant."""
    found, float32 = {}, {}
    for precision in PRECISIONS:
        best, shares = {}, {}
        for _ in range(rounds):
            for name, run in contestants(precision).items():
                seconds, shares[name] = run(pool)
                speed = len(pool.texts) / seconds
                best[name] = max(best.get(name, 0.0), speed)
        float32 = best if precision == "float32" else float32
        found[precision] = {
            name: {
                "texts/s": best[name],
                "ratio": best[name] / best["Trainer"],
                "ratio to float32": best[name] / float32["Trainer"],
                "share": shares[name],
            }
            for name in best
        }
    return found


def show(name, n_tokens, found):
    """Print a data set's table."""
    for precision, rows in found.items():
        print(f"{name}, {n_tokens:.0f} tokens a text, {precision}")
        for contestant, row in rows.items():
            least = bar(contestant)
            verdict = ""
            if least is not None:
                is_met = row["ratio"] >= least
                verdict = f"bar {least}: {'met' if is_met else 'NOT met'}"
            print(
                f"  {contestant:44} {row['texts/s']:7.1f} texts/s {row['ratio']:6.2f}x "
                f"({row['ratio to float32']:.2f}x its float32) "
                f"trained on {row['share']:4.0%}  {verdict}",
                flush=True,
            )


def main():
    """Run, print the tables, and write them as JSON."""
    parser = benchmark_parser(__doc__, "student_training")
    add_data_option(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=int, default=N_TEXTS)
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    folder = Path(options.data)
    pools = {
        "rtpolarity_llm": load_pool(folder / "rtpolarity_llm", "train", options.texts),
        "agnews": gold_as_teacher(folder / "agnews", "train", options.texts),
    }
    figures = {}
    for name, pool in pools.items():
        lengths = [len(e.ids) for e in tokenizer().encode_batch(pool.texts)]
        figures[name] = measure(pool, options.rounds)
        show(name, np.mean(lengths), figures[name])
    head = about(
        "student_training",
        *("torch", "transformers"),
        n_threads=torch.get_num_threads(),
        rounds=options.rounds,
        texts=options.texts,
        batch=BATCH,
    )
    write_figures(options.output, head | {"figures": figures})


if __name__ == "__main__":
    main()
