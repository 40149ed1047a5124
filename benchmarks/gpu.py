"""Whether what runs on a GPU is right, and how fast it is beside what others write.

    python -m benchmarks.gpu --data FOLDER
    python -m benchmarks.gpu --dry-run

One command for a machine with one card: nothing is downloaded, as MiniLM and SmolLM2 come
from their packages and the texts are generated; `--data` (or SKLLKD_DATA) names a folder
of real labels, on which the quality of some ways to train is measured. Every part runs in
a process of its own, ends after its time, and writes each figure as it comes, so that what
is cut off keeps what it had. `--only` names parts to run. The dry run does the same on the
CPU with a few texts and means nothing but that it runs.

- right: the same seed twice; the card beside the CPU; what was fitted on the card, loaded
  where there is none; memory after many fits; memory that runs out.
- fast: training beside `transformers.Trainer`, predicting beside `pipeline`, the frozen
  encoder beside `SentenceTransformer.encode`, labelling beside `generate`, each in the
  same precision; "busy" is the share of the time in which the card computes.
- what pays: larger batches, precisions, cuDNN's attention, layers that do not learn, and in
  torch alone pinned copies, masks and CUDA graphs.

Ratios are of figures of the same run: above 1 is quicker than what it is compared with.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import platform
import subprocess
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from skllkd import __version__
from transformers.models.bert import modeling_bert  # noqa: F401  (parts fork with it)

from benchmarks import gpu_fast, gpu_quality, gpu_right, gpu_several
from benchmarks.gpu_parts import Setting
from benchmarks.gpu_steps import steps


class Part(NamedTuple):
    """Something that is measured, and for how many seconds at most."""

    run: Callable[[Setting], None]
    seconds: int


#: In the order of what they decide, should the time end early.
PARTS = {
    "cpu_agreement": Part(gpu_right.cpu_agreement, 45),
    "same_seed": Part(gpu_right.same_seed, 40),
    "training": Part(gpu_fast.training, 110),
    "predicting": Part(gpu_fast.predicting, 90),
    "labelling": Part(gpu_fast.labelling, 90),
    "out_of_memory": Part(gpu_right.out_of_memory, 30),
    "memory": Part(gpu_right.memory, 45),
    "elsewhere": Part(gpu_right.elsewhere, 60),
    "batches": Part(gpu_fast.batches, 60),
    "attention": Part(gpu_fast.attention, 45),
    "options": Part(gpu_fast.options, 60),
    "steps": Part(steps, 40),
    "frozen": Part(gpu_fast.frozen, 40),
    "several_cards": Part(gpu_several.several_cards, 60),
    "quality": Part(gpu_quality.quality, 240),
    "quality_large": Part(gpu_quality.quality_large, 240),
}


def run_part(name: str, setting: Setting, told: Any) -> None:
    """Run a part in this process, and say what its card is and how it ended."""
    warnings.simplefilter("ignore")
    gc.freeze()  # collecting need not look at what is imported
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    if setting.device == "cpu":
        torch.set_num_threads(1)
    else:
        told.put(("card", torch.cuda.get_device_name()))
    try:
        PARTS[name].run(setting)
    except BaseException:
        text = traceback.format_exc()
        print(text, flush=True)
        told.put(("error", text))


def ended_part(name: str, setting: Setting, seconds: float) -> dict[str, Any]:
    """Run a part in a process of its own, and return what is known of it."""
    context = multiprocessing.get_context("fork")  # what is imported need not be again
    told = context.Queue()
    begin = time.perf_counter()
    process = context.Process(target=run_part, args=(name, setting, told))
    process.start()
    process.join(seconds)
    ended = "cut off" if process.is_alive() else "done"
    process.kill()
    process.join()
    found: dict[str, Any] = {"ended": ended, "seconds": time.perf_counter() - begin}
    while not told.empty():
        found.update([told.get()])
    if "error" in found or process.exitcode not in (0, -9):
        found["ended"] = f"failed with exit code {process.exitcode}"
    lines = setting.results.read_text(encoding="utf-8").splitlines()
    found["figures"] = [json.loads(line) for line in lines]
    return found


def about(options: argparse.Namespace, device: str) -> dict[str, Any]:
    """Return what the figures were measured with."""
    return {
        "command": "python -m benchmarks.gpu",
        "dry_run": options.dry_run,
        "device": device,
        "commit": options.commit or _commit(),
        "cores": os.cpu_count(),
        "versions": {
            "skllkd": __version__,
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
    }


def _commit() -> str | None:
    """Return the commit this file is of, where git knows."""
    asked = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    except OSError:
        return None


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--device", help="cuda by default, cpu in a dry run")
    parser.add_argument("--data", type=Path, default=os.environ.get("SKLLKD_DATA"))
    parser.add_argument("--model", type=Path, help="a teacher in SmolLM2's place")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas")
    parser.add_argument("--minutes", type=float, default=8.0, help="for all parts")
    parser.add_argument("--commit", help="what is measured, where git does not know")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/results/gpu.json")
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the parts, and write what is known after each."""
    options = parse(arguments)
    end = time.perf_counter() + 60 * options.minutes
    device = options.device or ("cpu" if options.dry_run else "cuda")
    found = about(options, device) | {"parts": {}}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    results = options.output.with_suffix(".jsonl")
    for name in options.only.split(","):
        left = end - time.perf_counter()
        if left < 10:
            found["parts"][name] = {"ended": "not begun"}
            continue
        results.write_text("", encoding="utf-8")
        data = Path(options.data) if options.data else None
        setting = Setting(device, options.dry_run, data, options.model, results)
        most = PARTS[name].seconds * (10 if options.dry_run else 1)
        print(f"{name}, at most {min(most, left):.0f} s", flush=True)
        part = ended_part(name, setting, min(most, left))
        found.setdefault("card", part.pop("card", None))
        found["parts"][name] = part
        print(f"  {name}: {part['ended']}, {part['seconds']:.1f} s", flush=True)
        options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    results.unlink(missing_ok=True)
    return int(any(part["ended"] != "done" for part in found["parts"].values()))


if __name__ == "__main__":
    raise SystemExit(main())
