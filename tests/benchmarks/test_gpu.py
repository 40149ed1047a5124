"""Parts of the benchmark for a GPU that take too long or fail."""

import json
import time

import pytest

KEPT = [{"name": "quick", "texts_per_s": 1.0}]


@pytest.fixture(scope="module")
def gpu():
    """Import the benchmark, and a model's code with it, only where it runs."""
    from benchmarks import gpu

    return gpu


def slow(setting):
    setting.record("quick", texts_per_s=1.0)
    time.sleep(60)


def failing(setting):
    setting.record("quick", texts_per_s=1.0)
    raise ValueError("no such model")


def parts_of(gpu, tmp_path, monkeypatch, parts, *arguments):
    monkeypatch.setattr(gpu, "PARTS", parts)
    output = tmp_path / "gpu.json"
    given = ["--dry-run", "--only", ",".join(parts), "--output", str(output)]
    assert gpu.main([*given, *arguments]) == 1
    return json.loads(output.read_text(encoding="utf-8"))["parts"]


def test_a_part_that_takes_too_long_is_cut_off_and_the_next_not_begun(
    gpu, tmp_path, monkeypatch
):
    parts = {"slow": gpu.Part(slow, 0.2), "late": gpu.Part(slow, 1)}
    found = parts_of(gpu, tmp_path, monkeypatch, parts, "--minutes", "0.18")
    assert found["slow"]["ended"] == "cut off" and found["slow"]["figures"] == KEPT
    assert found["late"] == {"ended": "not begun"}


def test_a_part_that_fails_tells_why(gpu, tmp_path, monkeypatch):
    parts = {"failing": gpu.Part(failing, 3)}
    found = parts_of(gpu, tmp_path, monkeypatch, parts)["failing"]
    assert found["ended"].startswith("failed") and found["figures"] == KEPT
    assert "no such model" in found["error"]
