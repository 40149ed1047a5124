"""Loading of Hugging Face models: once a process, and checked before they score."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray
from skllkd._core.device import named_memory_errors
from skllkd._core.registry import HandleKey, Registry
from skllkd.exceptions import SavedModelError
from skllkd.teachers.huggingface.model import HFModel, HFTokenizer
from skllkd.teachers.huggingface.scorer import HFScorer
from skllkd.teachers.huggingface.source import ModelSource
from skllkd.teachers.prompting.label_trie import LabelTrie
from skllkd.teachers.prompting.tokens import PromptTokens

#: How far, in nats, a label scored in a batch may be from the same one scored alone.
_TOLERANCE = {"float32": 0.01, "bfloat16": 1.0, "float16": 1.0}

models: Registry[Any] = Registry()


def loaded_tokenizer(source: ModelSource) -> HFTokenizer:
    """Return the tokenizer of a model, loaded once a process."""
    key = HandleKey(source, source.state(), "tokenizer")
    tokenizer: HFTokenizer = models.get(key, lambda: HFTokenizer(source))
    return tokenizer


def loaded_model(source: ModelSource, device: str, dtype: str) -> HFModel:
    """Return the weights of a model, loaded and checked once a process and device."""

    def load() -> HFModel:
        hint = 'Choose a smaller `model`, a shorter `dtype`, or device="cpu".'
        with named_memory_errors("the teacher's model", hint):
            model = HFModel(source, device, dtype)
            check_scoring(model, source.model)
        return model

    key = HandleKey(source, source.state(), (device, dtype))
    model: HFModel = models.get(key, load)
    return model


def close_source(source: ModelSource) -> None:
    """Let go of all that is loaded of a model."""
    if models.close(source):
        import torch

        gc.collect()  # modules refer to themselves
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def check_scoring(model: HFModel, name: str) -> None:
    """Raise unless a model scores prompts together as it scores them alone.

    Architectures differ in their use of masks, positions and kept keys. A few tokens
    through both ways tell, whatever the architecture.
    """
    import torch

    rng = np.random.RandomState(0)
    some = [int(i) for i in rng.choice(model.n_vocabulary, 24, replace=False)]
    prefix, suffix, bodies = some[:8], some[8:10], [some[10:13], some[13:19]]
    labels = [[some[19]], [some[20], some[21]], [some[20], some[22]], [some[23]] * 3]
    trie = LabelTrie.from_tokens(["a", "b", "c", "d"], labels, end=0)
    prompt = PromptTokens(tuple(prefix), tuple(suffix), trie)
    dtype = str(model.dtype).removeprefix("torch.")
    try:
        together = HFScorer(model, prompt, batch_size=2).score_together(bodies)
        prompts = [[*prefix, *body, *suffix] for body in bodies]
        apart = float(np.abs(together - _alone(model, prompts, labels)).max())
        why = f"their log-probabilities are {apart:.2g} nats apart"
    except torch.OutOfMemoryError:  # which says nothing about the model
        raise
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        apart, why = np.nan, f"{type(error).__name__}: {error}"
    if not apart <= _TOLERANCE[dtype]:
        raise SavedModelError(
            f"`model`: {name!r} ({type(model.network).__name__}, {dtype}) does not score "
            f"prompts together as it scores them alone: {why}. Use another model, "
            'or dtype="float32".'
        )


def _alone(
    model: HFModel, prompts: Sequence[list[int]], labels: Sequence[list[int]]
) -> FloatArray:
    """Score each label behind each prompt in an evaluation of its own."""
    log_prob = np.zeros((len(prompts), len(labels)))
    for row, prompt in enumerate(prompts):
        for column, label in enumerate(labels):
            ids = model.torch.tensor([[*prompt, *label]]).to(model.device)
            with model.torch.inference_mode():
                logits = model.network(input_ids=ids, use_cache=False).logits
            steps = logits[0, -len(label) - 1 : -1].float().log_softmax(dim=-1)
            log_prob[row, column] = steps.cpu().numpy()[range(len(label)), label].sum()
    return log_prob
