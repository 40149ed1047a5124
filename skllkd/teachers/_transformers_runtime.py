"""A Hugging Face causal language model in process: loaded once, and let go."""

from __future__ import annotations

import gc
import inspect
import threading
from collections.abc import Sequence
from typing import Any

from skllkd._device_memory import device_memory_named
from skllkd._validation import optional_import
from skllkd.exceptions import ModelFileError
from skllkd.teachers._transformers_source import Source, errors_named


class Tokens:
    """A tokenizer that keeps text from outside and the prompt's own marks apart.

    Parameters
    ----------
    source : Source
        The model it belongs to.
    """

    def __init__(self, source: Source) -> None:
        import transformers

        if source.gguf_file is not None:
            optional_import("gguf", "gguf")
        with errors_named(source):
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(
                source.model, **source.arguments
            )
        self._lock = threading.Lock()  # a tokenizer keeps the setting of its last call
        unknown = self._tokenizer.unk_token_id
        self._marks = {
            place: str(token)
            for place, token in self._tokenizer.added_tokens_decoder.items()
            if token.special and place != unknown
        }
        plain = self._encode("a", False)
        framed = self._encode("a", False, add_special_tokens=True)
        n_before = framed.index(plain[0]) if plain and plain[0] in framed else 0
        self.begin: list[int] = framed[:n_before]

    def _encode(
        self, text: str, split: bool, add_special_tokens: bool = False
    ) -> list[int]:
        """Return token ids."""
        with self._lock:
            encoded = self._tokenizer(
                text,
                split_special_tokens=split,
                add_special_tokens=add_special_tokens,
                verbose=False,
            )
        return list(encoded["input_ids"])

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Return the tokens of a text.

        Parameters
        ----------
        text : str
            The text.
        special : bool
            Whether the names of special tokens in it stand for these tokens. False
            for text from outside: there they are just characters.

        Returns
        -------
        list of int
            The tokens, without a beginning-of-text token.
        """
        text = text.encode("utf-8", "replace").decode("utf-8")  # no lone surrogates
        if special:
            return self._encode(text, False)
        ids = self._encode(text, True)
        if self._marks.keys().isdisjoint(ids):
            return ids
        # Not every tokenizer heeds `split_special_tokens`: what it still finds is cut in
        # two, which no mark survives.
        for mark in filter(None, self._marks.values()):
            text = text.replace(mark, f"{mark[:1]}\0{mark[1:]}")
        parts = [self._encode(part, True) for part in text.split("\0")]
        return [i for part in parts for i in part if i not in self._marks]

    @property
    def end_token(self) -> int | None:
        """The token that ends a text, in a chat model mostly a turn."""
        return self._tokenizer.eos_token_id  # type: ignore[no-any-return]

    @property
    def has_chat_template(self) -> bool:
        """Whether the model has a chat template of its own."""
        return bool(self._tokenizer.chat_template)

    def chat(self, messages: Sequence[dict[str, str]], date: str) -> str:
        """Return chat messages as the model reads them, ready for its answer.

        Parameters
        ----------
        messages : sequence of dict
            The messages.
        date : str
            What a template that prints the date gets instead of today's.

        Returns
        -------
        str
            The prompt.
        """
        # A template that asks for the time finds this before the function of that name.
        fixed = f"{{%- macro strftime_now(_) -%}}{date}{{%- endmacro -%}}"
        prompt = self._tokenizer.apply_chat_template(
            list(messages),
            chat_template=fixed + self._tokenizer.get_chat_template(),
            tokenize=False,
            add_generation_prompt=True,
        )
        return str(prompt)


class Network:
    """The weights of a causal language model, on a device.

    Parameters
    ----------
    source : Source
        The model.
    device : str
        Where it runs, as torch names it.
    dtype : str
        The floating-point type of its weights.
    """

    def __init__(self, source: Source, device: str, dtype: str) -> None:
        import torch
        import transformers

        if source.gguf_file is not None:
            optional_import("gguf", "gguf")
            optional_import("accelerate", "gguf")
        with errors_named(source):
            loader: Any = transformers.AutoModelForCausalLM
            self.model: Any = loader.from_pretrained(
                source.model, dtype=getattr(torch, dtype), **source.arguments
            )
        self.model.to(device).eval()
        self.device, self.dtype = device, getattr(torch, dtype)
        known = inspect.signature(self.model.forward).parameters
        self.keeps_last_logits = "logits_to_keep" in known
        if not {"position_ids", "past_key_values"} <= known.keys():
            raise ModelFileError(
                f"`model`: {source.model!r} is a {type(self.model).__name__}, which "
                "takes no positions or keeps no keys and values, so that prompts "
                "cannot share their beginning. Use another model."
            )
        config = self.model.config.get_text_config()
        self.n_vocabulary = int(config.vocab_size)
        self.context_length = int(getattr(config, "max_position_embeddings", 2048))
        self.window: int | None = getattr(config, "sliding_window", None)
        self.layer_types: list[str] = sorted(set(getattr(config, "layer_types", ())))
        if self.layer_types and "sliding_attention" not in self.layer_types:
            self.window = None


_loaded: dict[tuple[Any, ...], Any] = {}
_lock = threading.RLock()


def loaded_tokens(source: Source) -> Tokens:
    """Return the tokenizer of a model, loaded once a process.

    Parameters
    ----------
    source : Source
        The model.

    Returns
    -------
    Tokens
        The tokenizer.
    """
    key = (source, source.state(), "tokens")
    with _lock:
        if key not in _loaded:
            _forget_replaced(*key[:2])
            _loaded[key] = Tokens(source)
        tokens: Tokens = _loaded[key]
        return tokens


def loaded_network(source: Source, device: str, dtype: str) -> Network:
    """Return the weights of a model, loaded once a process and device.

    Parameters
    ----------
    source : Source
        The model.
    device : str
        Where it runs.
    dtype : str
        The type of its weights.

    Returns
    -------
    Network
        The weights, once they are known to score many prompts together as they score
        each alone.
    """
    from skllkd.teachers._transformers_scoring import check_scoring

    key = (source, source.state(), device, dtype)
    with _lock:
        if key not in _loaded:
            _forget_replaced(*key[:2])
            advice = 'Choose a smaller `model`, a shorter `dtype`, or device="cpu".'
            with device_memory_named("the teacher's model", advice):
                network = Network(source, device, dtype)
                check_scoring(network, source.model)
            _loaded[key] = network
        loaded: Network = _loaded[key]
        return loaded


def _forget_replaced(source: Source, state: tuple[Any, ...]) -> None:
    """Let go of a model whose files are others now."""
    for key in [key for key in _loaded if key[0] == source and key[1] != state]:
        del _loaded[key]


def close_source(source: Source) -> None:
    """Let go of all that is loaded of a model.

    Parameters
    ----------
    source : Source
        The model.
    """
    with _lock:
        mine = [key for key in _loaded if key[0] == source]
        for key in mine:
            del _loaded[key]
    if mine:
        import torch

        gc.collect()  # modules refer to themselves
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
