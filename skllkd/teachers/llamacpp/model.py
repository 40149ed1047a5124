"""Models of llama.cpp: weights and vocabulary of a GGUF file, loaded once a process."""

from __future__ import annotations

import ctypes
import logging
import os
import re
import weakref
from functools import cached_property
from pathlib import Path
from typing import Any

from skllkd._core.params import optional_import
from skllkd._core.registry import HandleKey, Registry
from skllkd.exceptions import SavedModelError
from skllkd.teachers.prompting.gguf import check_gguf
from skllkd.teachers.prompting.template import TEMPLATE_DATE, Message


def llama_library() -> Any:
    """Import llama.cpp, without its messages."""
    library = optional_import("llama_cpp", "llama")
    # Its table of levels is one off, so that warnings of the library are ERROR there.
    logging.getLogger("llama-cpp-python").setLevel(logging.CRITICAL)
    library.llama_backend_init()
    return library


class LlamaModel:
    """Weights and vocabulary of a GGUF file, freed with the last reference to them."""

    def __init__(self, path: Path) -> None:
        self.lib: Any = llama_library()
        parameters = self.lib.llama_model_default_params()
        self.handle = self.lib.llama_model_load_from_file(os.fsencode(path), parameters)
        if not self.handle:
            raise SavedModelError(
                f"llama.cpp cannot load {str(path)!r}: the file is damaged, or of a kind "
                "this version of llama-cpp-python does not know."
            )
        weakref.finalize(self, self.lib.llama_model_free, self.handle).atexit = False
        for kind in ("recurrent", "hybrid", "diffusion"):
            if getattr(self.lib, f"llama_model_is_{kind}")(self.handle):
                raise SavedModelError(
                    f"{str(path)!r} is a {kind} model, whose prompt cannot be evaluated "
                    "once and shared. Use a transformer language model."
                )
        self.vocabulary = self.lib.llama_model_get_vocab(self.handle)
        self.n_vocabulary = int(self.lib.llama_vocab_n_tokens(self.vocabulary))
        self.context_length = int(self.lib.llama_model_n_ctx_train(self.handle))
        self.max_sequences = int(self.lib.llama_max_parallel_sequences())

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Return tokens; names of special tokens count as such only where `special`.

        Names that the library reads as tokens all the same, as `<start_of_image>` in
        Gemma, are taken apart.
        """
        tokens = self._tokens(text, special)
        if special or self._named_tokens.isdisjoint(tokens):
            return tokens
        for token in self._named_tokens.intersection(tokens):
            name = self.token_text(token)
            if name in text:
                inside = f"(?<={re.escape(name[0])})(?={re.escape(name[1:])})"
                apart = re.split(inside, text)
                return [t for part in apart for t in self.tokenize(part, special=False)]
        return tokens

    @cached_property
    def _named_tokens(self) -> frozenset[int]:
        """Tokens that are read wherever their name stands; not white space."""
        user_defined = self.lib.LLAMA_TOKEN_ATTR_USER_DEFINED
        tokens = set()
        for token in range(self.n_vocabulary):
            if self.lib.llama_vocab_get_attr(self.vocabulary, token) & user_defined:
                text = self.token_text(token)
                if len(text) > 1 and text.strip("\u2581 \t\r\n"):
                    tokens.add(token)
        return frozenset(tokens)

    def _tokens(self, text: str, special: bool) -> list[int]:
        """Return the tokens as the library reads them."""
        data = text.encode("utf-8", "replace")
        size = len(data) + 8
        for _ in range(2):
            buffer = (ctypes.c_int32 * size)()
            count = self.lib.llama_tokenize(
                self.vocabulary, data, len(data), buffer, size, False, special
            )
            if count >= 0:
                break
            size = -count
        return list(buffer[:count])

    @property
    def begin_tokens(self) -> list[int]:
        """The beginning-of-text token, if the model wants one."""
        if not self.lib.llama_vocab_get_add_bos(self.vocabulary):
            return []
        return [int(self.lib.llama_vocab_bos(self.vocabulary))]

    @property
    def end_token(self) -> int:
        """The token that ends a text, in a chat model mostly a turn."""
        return int(self.lib.llama_vocab_eos(self.vocabulary))

    def token_text(self, token: int) -> str:
        """Return a token as it is written, "" for no token."""
        if token < 0:
            return ""
        text = self.lib.llama_vocab_get_text(self.vocabulary, token)
        return str(text.decode("utf-8", "replace"))

    @cached_property
    def _chat_template(self) -> Any:
        """The model's own chat template as llama-cpp-python renders it, or None."""
        source = self._metadata("tokenizer.chat_template")
        if source is None:
            return None
        formats = optional_import("llama_cpp.llama_chat_format", "llama")
        formatter = formats.Jinja2ChatFormatter(
            source,
            eos_token=self.token_text(self.end_token),
            bos_token=self.token_text(int(self.lib.llama_vocab_bos(self.vocabulary))),
        )
        formatter.strftime_now = lambda _: TEMPLATE_DATE
        return formatter

    @property
    def has_chat_template(self) -> bool:
        """Whether the model has a chat template of its own."""
        return self._chat_template is not None

    def render_chat(self, messages: list[Message]) -> str:
        """Render chat messages, ready for the assistant's answer."""
        return str(self._chat_template(messages=messages).prompt)

    @property
    def cell_bytes(self) -> int:
        """Size of a token's keys and values in 32 bits."""
        architecture = self._metadata("general.architecture")
        width = self._metadata(f"{architecture}.attention.key_length")
        if width is None:
            heads = int(self.lib.llama_model_n_head(self.handle))
            width = str(self.lib.llama_model_n_embd(self.handle) // heads)
        n_layers = int(self.lib.llama_model_n_layer(self.handle))
        n_heads = int(self.lib.llama_model_n_head_kv(self.handle))
        return 8 * n_layers * n_heads * int(width)

    def _metadata(self, key: str) -> str | None:
        """Return an entry of the file's header, if it is there."""
        size = 1 << 16
        for _ in range(2):
            buffer = ctypes.create_string_buffer(size)
            length = self.lib.llama_model_meta_val_str(
                self.handle, key.encode(), buffer, size
            )
            if length < size:
                break
            size = length + 1
        return buffer.value.decode("utf-8", "replace") if length > 0 else None


models: Registry[LlamaModel] = Registry()


def loaded_model(path: Path) -> LlamaModel:
    """Return the model of a file, loaded once a process and anew when the file changes."""
    check_gguf(path)
    stat = path.stat()
    key = HandleKey(str(path.resolve()), (stat.st_size, stat.st_mtime_ns))
    return models.get(key, lambda: LlamaModel(path))
