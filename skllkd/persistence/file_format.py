"""The number of the format that pickles, folders and ONNX files are written in."""

from __future__ import annotations

from skllkd._version import __version__
from skllkd.exceptions import SavedModelError

#: Raised when files change so that earlier versions could not read them.
FORMAT = 1


def check_format(version: int, name: str, writer: str = "a later skllkd") -> None:
    """Raise if a file has a later format than this version knows."""
    if version > FORMAT:
        raise SavedModelError(
            f"{name} was saved by {writer} in format {version}; this is skllkd "
            f"{__version__}, which reads up to format {FORMAT}. Upgrade skllkd."
        )
