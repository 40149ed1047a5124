"""Conversion of GGUF files."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from skllkd._core.atomic_files import replacing_file
from skllkd.exceptions import SavedModelError
from skllkd.teachers.llamacpp.model import llama_library
from skllkd.teachers.prompting.gguf import check_gguf


def expand_gguf(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> Path:
    """Write a copy of a GGUF file whose weights are in 32 bits.

    Nothing is lost: 32 bits hold every value that a quantised weight can have. A CPU with
    wide vectors reads prompts from such a file about twice as fast, since it does not
    unpack the weights for every batch; and answers then do not depend on the texts they
    are evaluated with. The file takes 4 bytes a weight, on the disk and in memory.

    Parameters
    ----------
    source : str or Path
        The GGUF file.
    target : str or Path
        The file to write. It is written whole or not at all, and replaced if it exists.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    SavedModelError
        If `source` is no GGUF file, or llama.cpp cannot expand it.
    """
    source, target = Path(source), Path(target)
    check_gguf(source, "source")
    library = llama_library()
    settings = library.llama_model_quantize_default_params()
    settings.ftype = library.LLAMA_FTYPE_ALL_F32
    settings.allow_requantize = True
    with replacing_file(target) as unfinished:
        status = library.llama_model_quantize(
            os.fsencode(source), os.fsencode(unfinished), ctypes.byref(settings)
        )
        if status != 0:
            raise SavedModelError(
                f"llama.cpp cannot expand {str(source)!r} (status {status}). Is there "
                "space on the disk? The file takes 4 bytes a weight."
            )
    return target
