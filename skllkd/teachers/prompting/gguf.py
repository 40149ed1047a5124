"""GGUF files, which both local back ends read."""

from __future__ import annotations

from pathlib import Path

from skllkd.exceptions import SavedModelError


def check_gguf(path: Path, name: str = "model_path") -> None:
    """Raise unless a file is there and begins as a GGUF does."""
    if not path.is_file():
        raise SavedModelError(
            f"`{name}` must name a GGUF file; there is no file {str(path)!r}. Give "
            "the path of a model downloaded in GGUF format."
        )
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise SavedModelError(
            f"`{name}` must name a GGUF file; {str(path)!r} begins with {magic!r}, "
            "not b'GGUF'. Convert the model, or download it in GGUF format."
        )
