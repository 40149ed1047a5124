"""The part of the benchmark for a GPU that needs the real SmolLM2, on the CPU."""

import pytest

from tests.test_gpu_benchmark import dry_run


def test_the_dry_run_labels(tmp_path, minilm_path, smollm2_path):
    pytest.importorskip("gguf")
    pytest.importorskip("accelerate", reason="transformers reads GGUF files with it")
    found = dry_run(tmp_path / "gpu.json", "--only", "labelling")
    part = found["parts"]["labelling"]
    assert part["ended"] == "done"
    assert all(row.get("is_right") is not False for row in part["figures"])
