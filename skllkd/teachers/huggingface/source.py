"""Where a Hugging Face model is from, and what tells it from others."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from typing import Any, NamedTuple

from skllkd._core.params import looks_like_path
from skllkd.exceptions import InvalidParameterError, ModelFileError
from skllkd.teachers.metered.store import LabelStore

#: The files of a folder that determine an answer; the others may change.
_WEIGHTS = ("*.safetensors", "*.bin", "*.model", "*.json")
_NOT_WEIGHTS = ("generation_config.json", "training_args.bin")


class Source(NamedTuple):
    """Where a model is from.

    Parameters
    ----------
    model : str
        A folder, or a name on the model hub.
    gguf_file : str or None
        The GGUF file in it that holds the weights; None for safetensors.
    revision : str or None
        The branch, tag or commit on the hub.
    """

    model: str
    gguf_file: str | None
    revision: str | None

    @classmethod
    def found(cls, model: Any, gguf_file: Any, revision: str | None) -> Source:
        """Return the source, with a path as it is on this machine.

        Parameters
        ----------
        model : str or Path
            A folder, or a name on the model hub.
        gguf_file : str, Path or None
            The GGUF file in it.
        revision : str or None
            The branch, tag or commit on the hub.

        Returns
        -------
        Source
            The source.

        Raises
        ------
        ModelFileError
            If the folder or the file in it is missing.
        """
        if not isinstance(model, (str, os.PathLike)) or not os.fspath(model):
            raise InvalidParameterError(
                "`model` must be a folder or a name on the model hub; got "
                f"{type(model).__name__}. A model that is loaded already cannot be "
                "cloned or pickled: give its name."
            )
        name, file = os.fspath(model), None if gguf_file is None else str(gguf_file)
        if looks_like_path(name):
            folder = Path(name).expanduser()
            if not folder.is_dir():
                mend = (
                    " To read one GGUF file give its folder, and its name as `gguf_file`."
                    if folder.is_file()
                    else " Give the folder of a model downloaded, or its hub name."
                )
                raise ModelFileError(
                    f"`model` must name a folder or a model on the hub; there is no "
                    f"folder {name!r}.{mend}"
                )
            if file is not None and not (folder / file).is_file():
                raise ModelFileError(
                    f"`gguf_file` must name a file in {name!r}; there is no {file!r}. "
                    f"There are {sorted(p.name for p in folder.glob('*.gguf'))}."
                )
            name = str(folder.resolve())
        return cls(name, file, revision)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder."""
        return Path(self.model).is_absolute()

    def files(self) -> list[Path]:
        """Return the files of a folder that determine an answer.

        Returns
        -------
        list of Path
            Weights, configuration and tokenizer, by name.
        """
        folder = Path(self.model)
        if self.gguf_file is not None:
            return [folder / self.gguf_file]
        found = {path for pattern in _WEIGHTS for path in folder.glob(pattern)}
        return sorted(path for path in found if path.name not in _NOT_WEIGHTS)

    def state(self) -> tuple[Any, ...]:
        """Return what changes when a folder's files are replaced.

        Returns
        -------
        tuple
            Names, sizes and times; nothing for a name on the hub.
        """
        if not self.is_local:
            return ()
        stats = [(path.name, path.stat()) for path in self.files()]
        return tuple((name, s.st_size, s.st_mtime_ns) for name, s in stats)

    def digest(self, store: LabelStore) -> dict[str, str]:
        """Return what tells this model from all others.

        Parameters
        ----------
        store : LabelStore
            Where digests of files are remembered.

        Returns
        -------
        dict of str to str
            SHA-256 by file of a folder; name and commit of a model on the hub.
        """
        if self.is_local:
            return {path.name: store.file_digest(path) for path in self.files()}
        from transformers.utils import hub

        name = self.gguf_file or "config.json"
        with errors_named(self):
            path = hub.cached_file(self.model, name, revision=self.revision or "main")
            commit = hub.extract_commit_hash(path, None)
        return {"hub": self.model, "commit": str(commit), "file": name}

    @property
    def arguments(self) -> dict[str, Any]:
        """What transformers is told, the same for tokenizer and weights."""
        given = {"gguf_file": self.gguf_file, "revision": self.revision}
        known = {name: value for name, value in given.items() if value is not None}
        # Code that comes with a model is never run: a name is not worth that trust.
        return {"trust_remote_code": False, **known}


@contextmanager
def errors_named(source: Source) -> Iterator[None]:
    """Say what to do about a model that cannot be read, and load without a sound.

    Parameters
    ----------
    source : Source
        The model.

    Yields
    ------
    None
        While it is read.

    Raises
    ------
    ModelFileError
        If that fails.
    """
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        # Reading a GGUF has a bar of its own, which nothing switches off.
        with redirect_stderr(io.StringIO()) if source.gguf_file else nullcontext():
            yield
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelFileError(
            f"`model`: {source.model!r} cannot be loaded as a causal language model: "
            f"{why} Give a name on the model hub (and a connection to it), or the folder "
            "of a model already downloaded; code that comes with a model is not run."
        ) from error
    finally:
        if bars:
            logging.enable_progress_bar()
