"""Origin of a Hugging Face model, and its identity."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from typing import Any, NamedTuple

from skllkd._core.digest import file_digest
from skllkd._core.params import looks_like_path
from skllkd.exceptions import InvalidParameterError, SavedModelError
from skllkd.teachers.huggingface.gguf_reading import quick_reading
from skllkd.teachers.prompting.gguf import check_gguf

#: The files of a folder that determine an answer; the others may change.
_WEIGHTS = ("*.safetensors", "*.bin", "*.model", "*.json")
_NOT_WEIGHTS = ("generation_config.json", "training_args.bin")


class ModelSource(NamedTuple):
    """Origin of a model: a folder of this machine, or a name on the model hub."""

    model: str
    gguf_file: str | None  # the file in it that holds the weights; None for safetensors
    revision: str | None  # the branch, tag or commit on the hub

    @classmethod
    def find(
        cls, model: Any, gguf_file: str | None, revision: str | None
    ) -> ModelSource:
        """Return the source that the teacher's parameters name, checked if it is local."""
        if not isinstance(model, (str, os.PathLike)) or not os.fspath(model):
            raise InvalidParameterError(
                "`model` must be a folder, a GGUF file or a name on the model hub; got "
                f"{type(model).__name__}. A model that is loaded already cannot be "
                "cloned or pickled: give its name."
            )
        name = os.fspath(model)
        path = Path(name).expanduser()
        if not (looks_like_path(name) or path.suffix == ".gguf"):
            return cls(name, gguf_file, revision)
        path = path / gguf_file if gguf_file else path
        if path.is_dir():
            return cls(str(path.resolve()), None, revision)
        if path.suffix != ".gguf" and not path.is_file():
            raise SavedModelError(
                "`model` must name a folder, a GGUF file or a model on the hub; there is "
                f"no folder {name!r}. Give the folder of a model downloaded, or its hub "
                "name."
            )
        check_gguf(path, "model")
        return cls(str(path.parent.resolve()), path.name, revision)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder."""
        return Path(self.model).is_absolute()

    @property
    def name(self) -> str:
        """The model's name, without the folders it is in."""
        return self.gguf_file or (
            Path(self.model).name if self.is_local else self.model
        )

    def files(self) -> list[Path]:
        """List the files of a folder that determine an answer, by name."""
        folder = Path(self.model)
        if self.gguf_file is not None:
            return [folder / self.gguf_file]
        found = {path for pattern in _WEIGHTS for path in folder.glob(pattern)}
        return sorted(path for path in found if path.name not in _NOT_WEIGHTS)

    def state(self) -> tuple[Any, ...]:
        """Return names, sizes and times of a folder's files; nothing for a hub model."""
        if not self.is_local:
            return ()
        stats = [(path.name, path.stat()) for path in self.files()]
        return tuple((name, s.st_size, s.st_mtime_ns) for name, s in stats)

    def fingerprint(self) -> dict[str, str]:
        """Return SHA-256 by file of a folder; name and commit of a model on the hub."""
        if self.is_local:
            return {path.name: file_digest(path) for path in self.files()}
        from transformers.utils import hub

        name = self.gguf_file or "config.json"
        with named_errors(self):
            path = hub.cached_file(self.model, name, revision=self.revision or "main")
            commit = hub.extract_commit_hash(path, None)
        return {"hub": self.model, "commit": str(commit), "file": name}

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of `from_pretrained`, the same for tokenizer and weights."""
        given = {"gguf_file": self.gguf_file, "revision": self.revision}
        known = {name: value for name, value in given.items() if value is not None}
        # Code that comes with a model is never run: a name is not worth that trust.
        return {"trust_remote_code": False, **known}


@contextmanager
def named_errors(source: ModelSource) -> Iterator[None]:
    """Load without a sound, and raise `SavedModelError` where a model cannot be read."""
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with _reading_gguf() if source.gguf_file else nullcontext():
            yield
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SavedModelError(
            f"`model`: {source.model!r} cannot be loaded as a causal language model: "
            f"{why} Give a name on the model hub (and a connection to it), or the folder "
            "of a model already downloaded; code that comes with a model is not run."
        ) from error
    finally:
        if bars:
            logging.enable_progress_bar()


@contextmanager
def _reading_gguf() -> Iterator[None]:
    """Read a GGUF quickly, and without the progress bar that nothing switches off."""
    with quick_reading(), redirect_stderr(io.StringIO()):
        yield
