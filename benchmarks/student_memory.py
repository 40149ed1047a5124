r"""How much memory training takes by the size of the pool.

    python -m benchmarks.student_memory --data FOLDER
    ONEDNN_PRIMITIVE_CACHE_CAPACITY=0 python -m benchmarks.student_memory --data FOLDER \
        --output benchmarks/results/student_memory_no_cache.json

Every size in a process of its own: distinct short texts (words of film reviews, shuffled)
with given labels, one epoch of LLKD with a small encoder of random weights, so that a
million texts take minutes. What is measured is the highest resident memory during `fit`
above what the process held before it, texts and labels included; "a row" is the growth
from one size to the next for each text more. With `--encoder minilm` one size, the real
encoder: the highest memory beside what model, optimizer, activations of one batch and
token ids take.

oneDNN, which torch computes some operations with, keeps the last 1,024 it has compiled, one
for each number of tokens in a batch: tens of MiB in a process, however large the pool, that
look like growth from a small pool to a larger one. The second command leaves them out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.cells import about, benchmark_parser, write_figures
from benchmarks.data import add_data_option, load_pool

SIZES = [10_000, 100_000, 1_000_000]
MOST = 200  # bytes a row


def resident(kind="VmRSS"):
    """Return the resident memory of this process in bytes, now or its highest."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(kind):
            return 1024 * int(line.split()[1])
    raise OSError("no such figure")


def forget_highest():
    """Let the highest resident memory count from now."""
    Path("/proc/self/clear_refs").write_text("5")


def short_texts(data, n):
    """Return distinct texts of 18 words."""
    words = " ".join(load_pool(data / "rtpolarity_llm", "train", 2000).texts).split()
    words = np.array(words, dtype=object)
    rng = np.random.RandomState(0)
    return [" ".join(words[rng.randint(len(words), size=18)]) for _ in range(n)]


def small_encoder(folder, vocabulary):
    """Write a small encoder with a real tokenizer."""
    import torch
    from skllkd.cli.demo import demo_student
    from transformers import AutoTokenizer, BertConfig, BertModel

    AutoTokenizer.from_pretrained(demo_student().model).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BertModel(config).save_pretrained(folder)


def needed(student, texts, batch_size):
    """Return what training cannot do without: bytes by what they are for."""
    import torch

    student.begin_fit(texts, 2, 0)
    trainer = student._trainer
    learning = [p for p in trainer.model.parameters() if p.requires_grad]
    saved = {}

    def remember(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    longest = np.argsort(trainer.pool.texts.lengths)[-batch_size:]
    own = {p.untyped_storage().data_ptr() for p in trainer.model.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(remember, lambda x: x):
        trainer.model.train()
        trainer._logits(longest)
    return {
        "model": sum(p.nbytes for p in trainer.model.parameters()),
        "gradients and optimizer": 3 * sum(p.nbytes for p in learning),
        "activations of a batch": sum(v for k, v in saved.items() if k not in own),
        "token ids": int(trainer.pool.texts.lengths.sum()) * 2,
    }


def one_size(data, n, encoder):
    """Print what `fit` takes for a pool of a size, as JSON."""
    from skllkd import LLKDClassifier
    from skllkd.cli.demo import demo_student
    from skllkd.students import TransformerStudent
    from transformers.utils import logging

    logging.disable_progress_bar()
    texts = short_texts(data, n)
    proba = np.random.RandomState(1).dirichlet([0.5, 0.5], n)
    with tempfile.TemporaryDirectory() as folder:
        model = demo_student().model
        if encoder == "small":
            model = folder
            small_encoder(folder, 30522)
        student = TransformerStudent(model, device="cpu", precision="float32")
        classifier = LLKDClassifier(
            classes=["bad", "good"],
            refine=None,
            student=student,
            n_epochs=1,
            batch_size=256 if encoder == "small" else 32,
            random_state=0,
            verbose=0,
        )
        fit = classifier.fit
        fit(texts[:600], teacher_proba=proba[:600])  # all libraries are loaded
        import gc

        gc.collect()
        before = resident()
        forget_highest()
        fit(texts, teacher_proba=proba)
        highest = resident("VmHWM") - before
        parts = needed(student, texts, classifier.batch_size)
    figures = {
        "texts": n,
        "bytes": highest,
        "needed": parts,
        "after": resident() - before,
        "seconds": classifier.seconds_["training"],
    }
    print(json.dumps(figures))


def main():
    """Run every size in a process of its own, and print the table."""
    parser = benchmark_parser(__doc__, "student_memory")
    add_data_option(parser)
    parser.add_argument("--encoder", choices=["small", "minilm"], default="small")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one_size(Path(options.data), options.sizes[0], options.encoder)
        return
    found = []
    for n in options.sizes:
        command = [sys.executable, "-m", "benchmarks.student_memory", "--one"]
        command += ["--data", str(options.data), "--encoder", options.encoder]
        done = subprocess.run(
            [*command, "--sizes", str(n)], check=True, stdout=subprocess.PIPE
        )
        found.append(json.loads(done.stdout.splitlines()[-1]))
        row = f"{n:9,} texts {found[-1]['bytes'] / 2**20:8.0f} MiB above the texts"
        if len(found) > 1:
            grown = found[-1]["bytes"] - found[-2]["bytes"]
            found[-1]["a_row"] = grown / (n - found[-2]["texts"])
            verdict = "met" if found[-1]["a_row"] <= MOST else "NOT met"
            row += f" {found[-1]['a_row']:6.0f} bytes a row, bar {MOST}: {verdict}"
        print(f"{row}  ({found[-1]['seconds']:.0f} s)", flush=True)
        if options.encoder == "minilm":
            parts = found[-1]["needed"]
            share = found[-1]["bytes"] / sum(parts.values())
            shown = ", ".join(f"{k} {v / 2**20:.0f}" for k, v in parts.items())
            print(f"  {share:.2f} of what is needed (MiB): {shown}; bar 1.2")
    head = about("student_memory", "torch", encoder=options.encoder)
    head["onednn cache"] = os.environ.get("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "default")
    write_figures(options.output, head | {"figures": found})


if __name__ == "__main__":
    main()
