"""The benchmark for a GPU, on the CPU: every part runs, with the real models."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_dry_run_runs_every_part(tmp_path, minilm_path, smollm2_path):
    pytest.importorskip("gguf")
    pytest.importorskip("accelerate", reason="transformers reads GGUF files with it")
    pytest.importorskip("sentence_transformers")
    output = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "benchmarks.gpu", "--dry-run", "--output", output]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("SKLLKD_DATA", None)
    subprocess.run(command, cwd=ROOT, env=environment)
    found = json.loads(output.read_text(encoding="utf-8"))
    assert found["dry_run"] and "labelling" in found["parts"]
    for part in found["parts"].values():
        assert part["ended"] == "done" and part["figures"], part
        assert all(row.get("is_right") is not False for row in part["figures"]), part
    training = {row["name"]: row for row in found["parts"]["training"]["figures"]}
    ours = [row for name, row in training.items() if name.startswith("ours")]
    assert ours and all(0 < row["selecting_share"] < 1 for row in ours)
