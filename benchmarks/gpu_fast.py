"""Parts of `benchmarks.gpu`: how fast the card makes it, beside what others write."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sklearn.base import clone
from skllkd._core.classes import as_classes
from skllkd._core.device import any_shape_attention
from skllkd.cli.demo import EXAMPLES
from skllkd.datasets import minilm_path, smollm2_path
from skllkd.selection import LLKDSelection, RankedImportance, SelectAll
from skllkd.students import FrozenEncoderStudent
from skllkd.students._torch import pools, trainer
from skllkd.teachers import TransformersTeacher
from skllkd.teachers.huggingface.loading import loaded_model, loaded_tokenizer

from benchmarks.data import Pool
from benchmarks.gpu_parts import (
    CLASSES,
    Fit,
    Setting,
    Texts,
    busy_seconds,
    classifier,
    first_fit,
    made_texts,
    seconds_of,
    timed_fit,
)
from benchmarks.student_prediction import Bfloat16, Pipeline, best_rounds
from benchmarks.student_training import hugging_face

TOPICS = [topic for _, topic in EXAMPLES]


def training(setting: Setting) -> None:
    """Train with Trainer and ours, in turns."""
    some, few = (
        made_texts(setting.size("train")),
        made_texts(setting.size("train") // 8),
    )
    selections = {
        "ours, all": SelectAll(),
        "ours, default": RankedImportance(),
        "ours, LLKD": LLKDSelection(),
    }
    for precision in setting.some(["bfloat16", "float32"]):
        theirs = hugging_face(precision, setting.device)
        if not setting.is_dry:
            theirs(_as_pool(few))  # what is set up once is
        trained = min(theirs(_as_pool(some))[0] for _ in range(setting.n_rounds))
        busy = busy_seconds(lambda run=theirs: run(_as_pool(few)))
        setting.record(
            f"Trainer, {precision}",
            texts_per_s=len(some.texts) / trained,
            busy=busy and busy / theirs(_as_pool(few))[0],
        )
        student = {"precision": precision}
        first_fit(setting, few, student)
        for name, selection in selections.items():
            if (name, precision) == ("ours, LLKD", "float32"):
                continue
            best = _best_fit(setting, some, student, selection=selection)
            busy = _busy_share(setting, few, student, selection=selection)
            aim = 3.0 if name != "ours, LLKD" else None
            _record_fit(setting, f"{name}, {precision}", best, some, trained, aim, busy)


def _as_pool(some: Texts) -> Pool:
    """Return texts as the other benchmarks take them."""
    return Pool(some.texts, np.array([]), some.teacher_proba, CLASSES)


def _best_fit(setting: Setting, some: Texts, student=None, **named) -> Fit:
    """Return the quickest of some fits."""
    rounds = range(setting.n_rounds)
    fits = [timed_fit(setting, some, student, **named) for _ in rounds]
    return min(fits, key=lambda fit: fit.loop)


def _busy_share(setting: Setting, few: Texts, student=None, **named) -> float | None:
    """Return the share of the training loop in which the card computes."""
    busy = busy_seconds(lambda: timed_fit(setting, few, student, **named))
    return busy and busy / timed_fit(setting, few, student, **named).loop


def _record_fit(
    setting: Setting,
    name: str,
    fit: Fit,
    some: Texts,
    base: float | None = None,
    aim: float | None = None,
    busy: float | None = None,
) -> None:
    """Record what a fit took, beside something else's seconds."""
    figures: dict[str, Any] = {"texts_per_s": len(some.texts) / fit.loop}
    if base is not None:
        figures["ratio"] = base / fit.loop
    if aim is not None:
        figures |= {"aim": aim, "is_met": figures["ratio"] >= aim}
    figures |= {f"{part}_share": s / fit.loop for part, s in fit.parts.items()}
    figures |= {"trained_on": fit.share, "fit_s": fit.whole}
    if busy is not None:
        figures["busy"] = busy
    setting.record(name, **figures)


@contextmanager
def instead(module: Any, name: str, value: Any) -> Iterator[None]:
    """Let a module of the package have another constant or function."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def passes(are_small: bool) -> Any:
    """Return a context in which passes have 64 rows at most, as on a CPU, or not."""
    return instead(pools, "_MOST_TOKENS_ON_GPU", 0) if are_small else nullcontext()


def attention(setting: Setting) -> None:
    """Train with and without cuDNN's attention, which torch prefers on some cards."""
    some = made_texts(setting.size("train") // 4)
    first_fit(setting, some, selection=SelectAll())
    selections = [("all", SelectAll()), ("default", RankedImportance())]
    for name, selection in setting.some(selections):
        base = None
        for how in ("without cuDNN's attention", "with it"):
            changed = nullcontext()
            if how == "with it":
                changed = instead(
                    trainer, "any_shape_attention", lambda _: nullcontext()
                )
            with changed:
                fit = timed_fit(setting, some, selection=selection)
            base = base or fit.loop
            _record_fit(setting, f"{name}, {how}", fit, some, base)


def batches(setting: Setting) -> None:
    """Train in larger batches, and in whole passes."""
    some = made_texts(setting.size("train"))
    first_fit(setting, made_texts(setting.size("train") // 8))
    sizes = [(32, False), (128, False), (512, True), (512, False), (2048, False)]
    for name, selection in [("all", SelectAll()), ("default", RankedImportance())]:
        base = None
        for n_rows, are_small in setting.some(sizes):
            with passes(are_small):
                fit = timed_fit(setting, some, selection=selection, batch_size=n_rows)
            base = base or fit.loop
            what = f"{name}, batches of {n_rows}{', passes of 64' * are_small}"
            _record_fit(setting, what, fit, some, base)


def options(setting: Setting) -> None:
    """Train with each option that changes what the card computes."""
    some = made_texts(setting.size("train") // 2)
    first_fit(setting, some)
    base: dict[int, float] = {}
    for name, student, selection in _options(setting):
        for n_rows in setting.some([32, 512]):
            what = f"{name}, batches of {n_rows}"
            try:
                fit = timed_fit(
                    setting, some, student, selection=selection, batch_size=n_rows
                )
            except Exception as error:
                setting.record(what, error=f"{type(error).__name__}: {error}"[:300])
                continue
            base.setdefault(n_rows, fit.loop)
            _record_fit(setting, what, fit, some, base[n_rows])


def _options(setting: Setting) -> list[tuple[str, dict[str, Any], Any]]:
    """Return the options by name, with a selection."""
    every = SelectAll()
    found = [
        ("bfloat16", {"precision": "bfloat16"}, every),
        ("float32", {"precision": "float32"}, every),
        ("everything learns", {"trainable_layers": "all"}, every),
        ("the last 2 layers learn", {"trainable_layers": 2}, every),
        ("default selection", {}, None),
    ]
    return setting.some(found)


def predicting(setting: Setting) -> None:
    """Predict with a pipeline and ours, in turns."""
    few = made_texts(setting.size("right"))
    fitted = classifier(setting).fit(few.texts, teacher_proba=few.teacher_proba)
    texts = made_texts(setting.size("predict"), seed=1).texts
    with tempfile.TemporaryDirectory() as folder:
        fitted.save(folder)
        pipeline = Pipeline(fitted, folder, setting.device)
        runners = {"pipeline": pipeline, "ours": fitted.predict_proba}
        for name, run in list(runners.items()):
            runners[f"{name}, bfloat16"] = Bfloat16(run, setting.device)
        for run in runners.values():
            run(texts[:256])
        speeds, answers = best_rounds(runners, texts, setting.n_rounds)
    for name, speed in speeds.items():
        base = "pipeline, bfloat16" if "bfloat16" in name else "pipeline"
        off = float(np.abs(answers[name] - answers["pipeline"]).max())
        setting.record(
            f"{name}, {len(texts)} texts",
            texts_per_s=speed,
            ratio=speed / speeds[base],
            difference=off,
            **(
                {"aim": 3.0, "is_met": speed >= 3 * speeds[base]}
                if "our" in name
                else {}
            ),
        )
    _predict_in_other_ways(setting, fitted, texts, speeds)


def _predict_in_other_ways(
    setting: Setting, fitted: Any, texts: list[str], speeds: dict[str, float]
) -> None:
    """Predict in larger batches, in TF32, and many texts."""
    seconds = seconds_of(lambda: fitted.student_._tokenize(texts))
    whole = len(texts) / speeds["ours"]
    busy = busy_seconds(lambda: fitted.predict_proba(texts[:2048]))
    short = seconds_of(lambda: fitted.predict_proba(texts[:2048]))
    setting.record(
        "ours, what it is made of",
        tokenizing_share=seconds / whole,
        busy=busy and busy / short,
    )
    many = made_texts(setting.size("stream"), seed=2).texts
    runs = [(64, False, texts), (64, False, many), (256, False, texts)]
    runs += [(1024, False, texts), (1024, False, many), (1024, True, texts)]
    for n_rows, is_half, some in setting.some(runs):
        fitted.student_.predict_batch_size = n_rows
        predict = fitted.predict_proba
        run = Bfloat16(predict, setting.device) if is_half else predict
        run(some[: 2 * n_rows])
        speed = len(some) / seconds_of(lambda run=run, some=some: run(some))
        base = speeds["pipeline, bfloat16" if is_half else "pipeline"]
        setting.record(
            f"ours, predict_batch_size={n_rows}{', bfloat16' * is_half}, {len(some)}",
            texts_per_s=speed,
            ratio=speed / base,
        )
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    speed = len(texts) / seconds_of(lambda: fitted.predict_proba(texts))
    torch.set_float32_matmul_precision(before)
    ratio = speed / speeds["pipeline"]
    setting.record("ours, in TF32, 1024 a batch", texts_per_s=speed, ratio=ratio)


def frozen(setting: Setting) -> None:
    """Encode with sentence-transformers and with the frozen encoder, in turns."""
    texts = made_texts(setting.size("predict"), seed=1).texts
    model = SentenceTransformer(str(minilm_path()), device=setting.device)
    base: dict[int, float] = {}
    for n_rows in setting.some([32, 64, 512]):
        student = FrozenEncoderStudent(
            minilm_path(), device=setting.device, cache=None, predict_batch_size=n_rows
        )

        def encode(some: list[str], n: int = n_rows) -> None:
            model.encode(some, batch_size=n, show_progress_bar=False)

        def ours(some: list[str], own: FrozenEncoderStudent = student) -> None:
            own.begin_fit(some, 2, 0)

        seconds = {}
        for name, run in [("SentenceTransformer.encode", encode), ("ours", ours)]:
            run(texts[:64])
            seconds[name] = min(
                seconds_of(lambda r=run: r(texts)) for _ in range(setting.n_rounds)
            )
            base.setdefault(0, seconds[name])  # encode, with its own batch size
            setting.record(
                f"{name}, batches of {n_rows}",
                texts_per_s=len(texts) / seconds[name],
                ratio=seconds["SentenceTransformer.encode"] / seconds[name],
                ratio_to_its_default=base[0] / seconds[name],
            )


def labelling(setting: Setting) -> None:
    """Label with the teacher, and with `generate` in a loop and in batches."""
    texts = made_texts(setting.size("teach"), seed=3).texts
    n = setting.size("teach")
    teacher = TransformersTeacher(
        setting.model or smollm2_path(),
        examples=EXAMPLES,
        chat=False,
        device=setting.device,
        store=False,
        dtype="bfloat16",
    )
    loading = seconds_of(lambda: teacher.label(texts[:2], TOPICS))
    setting.record("loading the model", seconds=loading)
    network, prompts = _prompts(teacher, texts)
    few = prompts[: max(2, n // 32)]
    _generate(network, few[:2])
    loop = len(few) / seconds_of(lambda: [_generate(network, [p]) for p in few])
    setting.record("generate, one by one", texts_per_s=loop)
    with any_shape_attention(setting.device):
        seconds = seconds_of(lambda: [_generate(network, [p]) for p in few])
    helped = len(few) / seconds
    setting.record(
        "generate, one by one, without cuDNN's attention",
        texts_per_s=helped,
        ratio=helped / loop,
    )
    some = prompts[: n // 4]
    size = min(32, len(some))
    together = [some[i : i + size] for i in range(0, len(some), size)]
    _generate(network, together[0])
    seconds = seconds_of(lambda: [_generate(network, part) for part in together])
    batched = len(some) / seconds
    setting.record("generate, 32 at once", texts_per_s=batched, ratio=batched / loop)
    for n_rows in setting.some([32, 128, 512]):
        teacher.set_params(batch_size=n_rows)
        teacher.label(texts[:n_rows], TOPICS)
        run = lambda: teacher.label(texts, TOPICS)  # noqa: E731
        speed = len(texts) / min(seconds_of(run) for _ in range(setting.n_rounds))
        busy = busy_seconds(lambda: teacher.label(texts[: n // 4], TOPICS))
        short = seconds_of(lambda: teacher.label(texts[: n // 4], TOPICS))
        setting.record(
            f"TransformersTeacher, batch_size={n_rows}",
            texts_per_s=speed,
            ratio=speed / loop,
            ratio_to_batches=speed / batched,
            busy=busy and busy / short,
            **({"aim": 5.0, "is_met": speed >= 5 * loop} if n_rows == 32 else {}),
        )
    with tempfile.TemporaryDirectory() as folder:  # which loads more quickly
        _save(network, folder)
        loaded_tokenizer(teacher._source())._tokenizer.save_pretrained(folder)
        teacher.set_params(model=folder, batch_size=16)
        _compare_teachers(setting, teacher, texts)


def _prompts(teacher: TransformersTeacher, texts: list[str]) -> tuple[Any, list[Any]]:
    """Return the teacher's own network, and whole prompts in tokens."""
    source = teacher._source()
    read = loaded_tokenizer(source)
    prompt = teacher._prompt(read, as_classes(TOPICS))
    bodies = (read.tokenize(text, special=False) for text in texts)
    prompts = [[*prompt.prefix, *body, *prompt.suffix] for body in bodies]
    return loaded_model(source, *teacher._device_and_dtype()).network, prompts


@torch.inference_mode()
def _generate(model: Any, prompts: list[list[int]]) -> None:
    """Generate a token, which is the least an answer takes, and read it."""
    longest = max(map(len, prompts))
    ids = [[0] * (longest - len(prompt)) + prompt for prompt in prompts]
    mask = [[int(i >= longest - len(p)) for i in range(longest)] for p in prompts]
    found = model.generate(
        input_ids=torch.tensor(ids, device=model.device),
        attention_mask=torch.tensor(mask, device=model.device),
        max_new_tokens=1,
        do_sample=False,
        pad_token_id=0,
    )
    found[:, -1].tolist()


def _save(network: Any, folder: str) -> None:
    """Write a network, which is marked as read from a GGUF, as safetensors."""
    config = copy.deepcopy(network.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    twin = type(network)(config).to(network.dtype)
    twin.load_state_dict(network.state_dict())
    twin.save_pretrained(folder)


def _compare_teachers(
    setting: Setting, teacher: TransformersTeacher, texts: list[str]
) -> None:
    """Compare the teacher's log-probabilities with the CPU's in float32."""
    some = texts[:16]
    own = clone(teacher)
    on_cpu = own.set_params(device="cpu", dtype="float32").label(some, TOPICS).log_prob
    for dtype in ["float32", "bfloat16"] + ["float16"] * (not setting.is_dry):
        own.set_params(device=setting.device, dtype=dtype)
        found = own.label(some, TOPICS).log_prob
        off = float(np.abs(found - on_cpu).max())
        same = float((found.argmax(1) == on_cpu.argmax(1)).mean())
        most = 0.01 if dtype == "float32" else 1.0
        setting.record(
            f"{dtype} beside the CPU's float32, nats",
            difference=off,
            same_labels=same,
            is_right=off <= most,
        )
