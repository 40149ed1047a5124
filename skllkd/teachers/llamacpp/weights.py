"""Which type a local model's weights are computed in: as shipped, or expanded to F32.

Quantised weights are unpacked again for every batch, which costs more than the
arithmetic where a CPU has wide vectors. F32 holds every value a quantised type can
stand for, so expanding a file loses nothing but space.
"""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from skllkd._core.params import check_option
from skllkd.exceptions import InvalidParameterError, ModelFileError
from skllkd.teachers.llamacpp.machine import available_memory, machine_name
from skllkd.teachers.llamacpp.model import LlamaModel, loaded_model, new_context
from skllkd.teachers.metered.store import LabelStore

AS_SHIPPED = "as shipped"
F32 = "F32"
#: What the parameter `weights` may be.
WEIGHTS = ["auto", AS_SHIPPED, F32]

_BATCH = 512  # tokens whose evaluation is timed
_WARM_UP = 32  # tokens evaluated before, which touch every weight
_ROUNDS = 2
_DISK_LEFT = 10**9  # bytes that stay free
_MEMORY_SHARE = 0.5
_log = logging.getLogger("skllkd")


class Weights(NamedTuple):
    """The weights a model is evaluated with.

    Parameters
    ----------
    kind : {"as shipped", "F32"}
        Their type, as answers are keyed by.
    digest : str
        The SHA-256 of the file as shipped.
    """

    kind: str
    digest: str


def choose_weights(
    path: Path, wanted: str, store: LabelStore, n_threads: int
) -> Weights:
    """Return which weights to use: what was asked for, or what is faster here.

    What is faster is measured once for a model, a machine and a version of llama.cpp,
    and remembered in the store: a choice that changed would have every text asked
    about again.

    Parameters
    ----------
    path : Path
        The GGUF file as shipped.
    wanted : {"auto", "as shipped", "F32"}
        The parameter.
    store : LabelStore
        Where the decision is remembered; expanded files are in a folder beside it.
    n_threads : int
        Threads for evaluation.

    Returns
    -------
    Weights
        The choice. The expanded file may be missing: see `model_in`.

    Raises
    ------
    InvalidParameterError
        If `wanted` is none of these.
    """
    check_option(wanted, "weights", WEIGHTS)
    digest = store.file_digest(path)
    model = loaded_model(path)
    if wanted == AS_SHIPPED or model.is_f32:
        return Weights(AS_SHIPPED, digest)
    if wanted == F32:
        return Weights(F32, digest)
    folder = store.path.parent
    fact = f"llama.cpp weights|{digest}|{machine_name(n_threads)}"
    fact += f"|{model.lib.__version__}"
    kind = store.fact(fact)
    if kind is None:
        with _alone(folder, digest):
            kind = store.fact(fact)  # another process may have found out meanwhile
            if kind is None:
                kind = _faster(path, model, folder, digest, n_threads)
                store.remember(fact, kind)
    copy = expanded_path(folder, digest)
    if kind == F32 and not copy.exists() and _no_room_for(model, folder):
        kind = AS_SHIPPED  # there was room once
    return Weights(kind, digest)


def model_in(path: Path, weights: Weights, store: LabelStore) -> LlamaModel:
    """Return the model with the chosen weights, expanded anew if the copy is gone.

    Parameters
    ----------
    path : Path
        The GGUF file as shipped.
    weights : Weights
        The choice.
    store : LabelStore
        The store whose folder holds expanded files.

    Returns
    -------
    LlamaModel
        The model.

    Raises
    ------
    InvalidParameterError
        If there is no room on the disk for the expanded file.
    ModelFileError
        If the file cannot be expanded.
    """
    if weights.kind == AS_SHIPPED:
        return loaded_model(path)
    folder = store.path.parent
    copy = expanded_path(folder, weights.digest)
    with _alone(folder, weights.digest):
        if not copy.exists():
            shortage = _no_disk_for(loaded_model(path), folder)
            if shortage:
                raise InvalidParameterError(
                    f'`weights="F32"` {shortage}. Free some, move the label store with '
                    '`store=`, or use weights="as shipped".'
                )
            _expand(path, copy, loaded_model(path))
        return loaded_model(copy, origin=path)


def _faster(
    path: Path, model: LlamaModel, folder: Path, digest: str, n_threads: int
) -> str:
    """Return the type of weights that evaluates a prompt faster, if F32 fits."""
    copy = expanded_path(folder, digest)
    no_room = "" if copy.exists() else _no_room_for(model, folder)
    if no_room:
        _log.info("%s: weights as shipped, since F32 %s", path.name, no_room)
        return AS_SHIPPED
    if not copy.exists():
        _expand(path, copy, model)
    expanded = LlamaModel(copy)
    as_shipped_speed, f32_speed = prompt_speeds([model, expanded], n_threads)
    expanded.close()
    kind = F32 if f32_speed > as_shipped_speed else AS_SHIPPED
    _log.info(
        "%s: %.0f tokens/s as shipped, %.0f in F32; using %s",
        path.name,
        as_shipped_speed,
        f32_speed,
        kind,
    )
    if kind == AS_SHIPPED:
        copy.unlink(missing_ok=True)
    return kind


def prompt_speeds(models: Sequence[LlamaModel], n_threads: int) -> list[float]:
    """Return how fast each of some models evaluates a prompt.

    Parameters
    ----------
    models : sequence of LlamaModel
        The models. They take turns, so that what else the machine does meanwhile
        slows all of them.
    n_threads : int
        Threads for evaluation.

    Returns
    -------
    list of float
        Tokens a second, the best of a few rounds.
    """
    seconds = [float("inf")] * len(models)
    for _ in range(_ROUNDS):
        for place, model in enumerate(models):
            seconds[place] = min(seconds[place], _prompt_seconds(model, n_threads))
    return [_BATCH / each for each in seconds]


def _prompt_seconds(model: LlamaModel, n_threads: int) -> float:
    """Return how long one batch of a prompt takes, after a warm-up."""
    lib = model.lib
    context = new_context(
        model,
        n_tokens=_BATCH,
        n_batch=_BATCH,
        n_sequences=1,
        n_threads=n_threads,
        exact=model.can_be_exact,
    )
    tokens = (ctypes.c_int32 * _BATCH)(*(i % model.n_vocabulary for i in range(_BATCH)))
    elapsed = 0.0
    for n_tokens in (_WARM_UP, _BATCH):
        lib.llama_memory_clear(lib.llama_get_memory(context), True)
        start = time.perf_counter()
        lib.llama_decode(context, lib.llama_batch_get_one(tokens, n_tokens))
        lib.llama_synchronize(context)
        elapsed = time.perf_counter() - start
    lib.llama_free(context)
    return elapsed


def expanded_path(folder: Path, digest: str) -> Path:
    """Return where the expanded copy of a model is kept.

    Parameters
    ----------
    folder : Path
        The label store's folder.
    digest : str
        The SHA-256 of the model file as shipped.

    Returns
    -------
    Path
        The file.
    """
    return folder / "weights" / f"{digest[:16]}-F32.gguf"


def expanded_files(folder: Path) -> list[tuple[Path, int]]:
    """Return the expanded copies in a folder.

    Parameters
    ----------
    folder : Path
        The label store's folder.

    Returns
    -------
    list of (Path, int)
        Each file with its size in bytes, unfinished ones included.
    """
    files = sorted((folder / "weights").glob("*-F32.gguf*"))
    return [(file, file.stat().st_size) for file in files]


def prune_expanded(folder: Path) -> int:
    """Remove the expanded copies in a folder; they are made again when needed.

    Parameters
    ----------
    folder : Path
        The label store's folder.

    Returns
    -------
    int
        The bytes freed. A file in use stays where the system says so.
    """
    freed = 0
    for file, size in expanded_files(folder):
        with suppress(OSError):
            file.unlink()
            freed += size
    return freed


def _expand(path: Path, copy: Path, model: LlamaModel) -> None:
    """Write a model's weights in 32 bits, whole or not at all."""
    size = f32_bytes(model) / 1e6
    _log.info("%s: expanding to F32, %.0f MB, in %s", path.name, size, copy)
    settings = model.lib.llama_model_quantize_default_params()
    settings.ftype = model.lib.LLAMA_FTYPE_ALL_F32
    settings.allow_requantize = True
    unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
    try:
        status = model.lib.llama_model_quantize(
            os.fsencode(path), os.fsencode(unfinished), ctypes.byref(settings)
        )
        if status != 0:
            raise ModelFileError(
                f"llama.cpp cannot expand {str(path)!r} to F32 (status {status}). Use "
                'weights="as shipped".'
            )
        unfinished.replace(copy)
    finally:
        unfinished.unlink(missing_ok=True)


def _no_room_for(model: LlamaModel, folder: Path) -> str:
    """Return why the expanded weights should not be made here; "" if they may."""
    if model.lib.llama_supports_gpu_offload():
        return "is for evaluation on a CPU"
    memory = available_memory()
    if memory is None or f32_bytes(model) > _MEMORY_SHARE * memory:
        known = "an unknown amount" if memory is None else f"{memory / 1e6:.0f} MB"
        return f"takes {f32_bytes(model) / 1e6:.0f} MB of memory, and {known} is free"
    return _no_disk_for(model, folder)


def _no_disk_for(model: LlamaModel, folder: Path) -> str:
    """Return why the expanded file does not fit on the disk; "" if it does."""
    free = shutil.disk_usage(folder).free
    if f32_bytes(model) <= free - _DISK_LEFT:
        return ""
    return (
        f"needs {f32_bytes(model) / 1e6:.0f} MB and 1 GB to spare in {folder}, and "
        f"{free / 1e6:.0f} MB are free"
    )


def f32_bytes(model: LlamaModel) -> int:
    """Return the size of a model's weights in 32 bits.

    Parameters
    ----------
    model : LlamaModel
        The model.

    Returns
    -------
    int
        Bytes.
    """
    return 4 * model.n_parameters


@contextmanager
def _alone(folder: Path, digest: str) -> Iterator[None]:
    """Hold the right to measure and expand a model, among all processes."""
    from filelock import FileLock

    (folder / "weights").mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "weights" / f"{digest[:16]}.lock"):
        yield
