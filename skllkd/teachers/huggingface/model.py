"""Hugging Face causal language models: tokenizer and weights, loaded once a process."""

from __future__ import annotations

import inspect
import threading
from typing import Any

from skllkd._core.params import optional_import
from skllkd.exceptions import SavedModelError
from skllkd.teachers.huggingface.source import ModelSource, named_errors
from skllkd.teachers.prompting.template import TEMPLATE_DATE, Message


class HFTokenizer:
    """Tokenizer that tells the prompt's own special tokens from the text of users."""

    def __init__(self, source: ModelSource) -> None:
        import transformers

        with named_errors(source):
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(
                source.model, **source.arguments
            )
        self._lock = threading.Lock()  # a tokenizer keeps the setting of its last call
        unknown = self._tokenizer.unk_token_id
        self._special = {
            token_id: str(token)
            for token_id, token in self._tokenizer.added_tokens_decoder.items()
            if token.special and token_id != unknown
        }
        plain = self._encode("a", False)
        framed = self._encode("a", False, add_special_tokens=True)
        n_before = framed.index(plain[0]) if plain and plain[0] in framed else 0
        self.begin_tokens: list[int] = framed[:n_before]
        self.end_token: int = self._tokenizer.eos_token_id or 0
        self.has_chat_template = bool(self._tokenizer.chat_template)

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
        """Return tokens; names of special tokens count as such only where `special`."""
        text = text.encode("utf-8", "replace").decode("utf-8")  # no lone surrogates
        if special:
            return self._encode(text, False)
        ids = self._encode(text, True)
        if self._special.keys().isdisjoint(ids):
            return ids
        # Not every tokenizer heeds `split_special_tokens`: what it still finds is cut in
        # two, which no name survives.
        for name in filter(None, self._special.values()):
            text = text.replace(name, f"{name[:1]}\0{name[1:]}")
        parts = [self._encode(part, True) for part in text.split("\0")]
        return [i for part in parts for i in part if i not in self._special]

    def render_chat(self, messages: list[Message]) -> str:
        """Render chat messages, ready for the assistant's answer."""
        # A template that asks for the time finds this before the function of that name.
        fixed = f"{{%- macro strftime_now(_) -%}}{TEMPLATE_DATE}{{%- endmacro -%}}"
        prompt = self._tokenizer.apply_chat_template(
            messages,
            chat_template=fixed + self._tokenizer.get_chat_template(),
            tokenize=False,
            add_generation_prompt=True,
        )
        return str(prompt)


class HFModel:
    """Weights of a causal language model on a device."""

    def __init__(self, source: ModelSource, device: str, dtype: str) -> None:
        import torch
        import transformers

        if source.gguf_file is not None:
            optional_import("accelerate", "gguf")
        with named_errors(source):
            loader: Any = transformers.AutoModelForCausalLM
            self.network: Any = loader.from_pretrained(
                source.model, dtype=getattr(torch, dtype), **source.arguments
            )
        self.network.to(device).eval()
        self.torch: Any = torch
        self.device, self.dtype = device, getattr(torch, dtype)
        known = inspect.signature(self.network.forward).parameters
        self.keeps_last_logits = "logits_to_keep" in known
        if not {"position_ids", "past_key_values"} <= known.keys():
            raise SavedModelError(
                f"`model`: {source.model!r} is a {type(self.network).__name__}, which "
                "takes no positions or keeps no keys and values, so that prompts "
                "cannot share their beginning. Use another model."
            )
        config = self.network.config.get_text_config()
        self.n_vocabulary = int(config.vocab_size)
        self.context_length = int(getattr(config, "max_position_embeddings", 2048))
        self.window: int | None = getattr(config, "sliding_window", None)
        self.layer_types: list[str] = sorted(set(getattr(config, "layer_types", ())))
        if self.layer_types and "sliding_attention" not in self.layer_types:
            self.window = None
