"""The type of a model's weights: chosen once, expanded once, part of every answer's key."""

import logging
import os
import subprocess
import sys
import textwrap
from collections import namedtuple

import numpy as np
import pytest
from sklearn.base import clone
from skllkd._core.classes import as_classes
from skllkd.cli.demo import CLASSES, demo_teacher
from skllkd.exceptions import InvalidParameterError, ModelFileError
from skllkd.teachers import LabelStore
from skllkd.teachers.llamacpp import weights as weights_module
from skllkd.teachers.llamacpp.model import loaded_model
from skllkd.teachers.llamacpp.weights import expanded_files, prune_expanded

F32_BYTES = 538_060_032  # four for each of SmolLM2's weights


@pytest.fixture
def counted(monkeypatch):
    """Count expansions, and measurements, which find F32 faster."""
    counts = {"measured": 0, "expanded": 0}
    expand = weights_module._expand

    def prompt_speeds(models, n_threads):
        counts["measured"] += 1
        assert [model.is_f32 for model in models] == [False, True]
        return [100.0, counts.get("f32_speed", 200.0)]

    def count_and_expand(*arguments):
        counts["expanded"] += 1
        expand(*arguments)

    monkeypatch.setattr(weights_module, "prompt_speeds", prompt_speeds)
    monkeypatch.setattr(weights_module, "_expand", count_and_expand)
    return counts


def specification(teacher):
    return teacher._specification(as_classes(CLASSES))


def test_auto_measures_and_expands_once_for_all_processes(counted, own_store, news):
    texts, folder = news[0][:4], own_store.parent
    first = demo_teacher()
    labels = first.label(texts, CLASSES)
    assert labels.n_asked == 4
    assert demo_teacher().label(texts, CLASSES).n_asked == 0
    assert counted == {"measured": 1, "expanded": 1}
    assert specification(first)["weights"] == "F32"
    ((path, size),) = expanded_files(folder)
    assert path.parent == folder / "weights"
    assert F32_BYTES <= size < 1.02 * F32_BYTES

    code = textwrap.dedent(
        """
        from skllkd.cli.demo import CLASSES, demo_teacher
        from skllkd.teachers.llamacpp import weights as _llama_weights
        _llama_weights.prompt_speeds = _llama_weights._expand = None  # not to be called
        print(demo_teacher().label(["Team wins the cup."], CLASSES).n_asked)
        """
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.stdout == "1\n", done.stderr

    assert prune_expanded(folder) == size
    assert expanded_files(folder) == []
    assert prune_expanded(folder) == 0
    assert demo_teacher().label(texts, CLASSES).n_asked == 0  # needs no model
    assert counted["expanded"] == 1
    assert demo_teacher().label([*texts, "A new text."], CLASSES).n_asked == 1
    assert counted == {"measured": 1, "expanded": 2}
    first.close()


def test_answers_are_keyed_by_the_original_file_and_the_type(smollm2_path, news):
    texts = news[0][:3]
    as_shipped = demo_teacher().set_params(weights="as shipped")
    in_f32 = demo_teacher().set_params(weights="F32")
    one, other = specification(as_shipped), specification(in_f32)
    assert one["model"] == other["model"]
    assert (one.pop("weights"), other.pop("weights")) == ("as shipped", "F32")
    assert one == other
    first, second = (t.label(texts, CLASSES) for t in (as_shipped, in_f32))
    assert first.n_asked == second.n_asked == 3
    assert 0 < np.abs(first.log_prob - second.log_prob).max() < 0.5
    with LabelStore() as store:
        ((copy, _),) = expanded_files(store.path.parent)
        digest = store.file_digest(smollm2_path)
    assert one["model"] == digest
    # A file that is in F32 already is used as it is.
    expanded = demo_teacher().set_params(model_path=copy, weights="F32")
    assert specification(expanded)["weights"] == "as shipped"
    third = expanded.label(texts, CLASSES)
    np.testing.assert_array_equal(third.log_prob, second.log_prob)
    assert len(expanded_files(copy.parent.parent)) == 1
    for teacher in (as_shipped, expanded):
        teacher.close()


def test_slower_weights_are_not_kept(counted, own_store):
    counted["f32_speed"] = 90.0
    assert specification(demo_teacher())["weights"] == "as shipped"
    assert specification(demo_teacher())["weights"] == "as shipped"
    assert counted["measured"] == 1
    assert expanded_files(own_store.parent) == []


@pytest.mark.parametrize("short_of", ["memory", "unknown memory", "disk", "a CPU"])
def test_what_does_not_fit_stays_as_shipped(
    short_of, counted, own_store, monkeypatch, caplog
):
    usage = namedtuple("usage", "total used free")(10**12, 0, F32_BYTES + 10**8)
    memory = 2 * F32_BYTES - 1000 if short_of == "memory" else None
    with monkeypatch.context() as patch, caplog.at_level(logging.INFO, "skllkd"):
        if short_of == "disk":
            patch.setattr(weights_module.shutil, "disk_usage", lambda _: usage)
        elif short_of == "a CPU":
            patch.setattr("llama_cpp.llama_supports_gpu_offload", lambda: True)
        else:
            patch.setattr(weights_module, "available_memory", lambda: memory)
        assert specification(demo_teacher())["weights"] == "as shipped"
        assert "as shipped, since F32" in caplog.text
    # With room again, the choice stays: no text is to be asked about twice.
    assert specification(demo_teacher())["weights"] == "as shipped"
    assert counted == {"measured": 0, "expanded": 0}
    assert expanded_files(own_store.parent) == []


def test_f32_that_was_asked_for_and_does_not_fit(own_store, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**12, 0, 10**6)
    monkeypatch.setattr(weights_module.shutil, "disk_usage", lambda _: usage)
    teacher = demo_teacher().set_params(weights="F32")
    with pytest.raises(InvalidParameterError, match='`weights="F32"` needs 538 MB'):
        teacher.label(["x"], CLASSES)
    assert expanded_files(own_store.parent) == []


def test_an_expansion_that_fails_leaves_nothing(own_store, monkeypatch):
    def fail(_, out, settings):
        with open(out, "wb") as file:
            file.write(b"half")
        return 1

    monkeypatch.setattr("llama_cpp.llama_model_quantize", fail)
    teacher = demo_teacher().set_params(weights="F32")
    with pytest.raises(ModelFileError, match="cannot expand"):
        teacher.label(["x"], CLASSES)
    assert expanded_files(own_store.parent) == []


def test_the_real_measurement(smollm2_path, caplog, own_store):
    with caplog.at_level(logging.INFO, "skllkd"):
        kind = specification(demo_teacher())["weights"]
    assert "tokens/s as shipped" in caplog.text
    assert f"expanding to F32, 538 MB, in {own_store.parent}" in caplog.text
    assert f"using {kind}" in caplog.text
    assert len(expanded_files(own_store.parent)) == (kind == "F32")


def test_answers_are_those_of_prompts_read_whole_and_alone(counted, news):
    """To 1e-3 in log-probability for 99 % of the rows; and labels of several tokens."""
    texts = [
        " ".join(text.split()[: 5 + i % 30]) for i, text in enumerate(news[0][:64])
    ]
    plain = demo_teacher().set_params(reuse_prefix=False)
    fast, slow = (t.label(texts, CLASSES) for t in (demo_teacher(), plain))
    assert fast.n_asked == slow.n_asked == 64  # they do not share answers
    off = np.abs(fast.log_prob - slow.log_prob).max(axis=1)
    assert np.mean(off <= 1e-3) >= 0.99
    np.testing.assert_allclose(fast.label_mass, slow.label_mass, rtol=1e-3)

    # Rounded to 16 bits answers differ more, and are stored apart.
    rounded = demo_teacher().set_params(exact=False).label(texts, CLASSES)
    assert rounded.n_asked == 64
    assert 1e-4 < np.abs(rounded.log_prob - slow.log_prob).max() < 0.05

    names = ["companies and markets", "companies", "party politics", "film and music"]
    names.append("sport")
    fast, slow = (
        demo_teacher()
        .set_params(reuse_prefix=reuse, examples=[("Film wins prize.", names[3])])
        .label(texts[:20], names)
        for reuse in (True, False)
    )
    assert np.abs(fast.log_prob - slow.log_prob).max() <= 1e-3


def test_answers_do_not_depend_on_what_they_are_evaluated_with(counted, news):
    """Nor on how prompts of several tokens a label are spread over decodes."""
    texts = [" ".join(text.split()[: 3 + 4 * i]) for i, text in enumerate(news[0][:24])]
    names = ["companies and markets", "companies", "party politics", "film", "sport"]
    teacher = demo_teacher().set_params(
        examples=[("Film wins prize.", "film")], store=False
    )
    together = teacher.label(texts, names).log_prob
    in_pieces = clone(teacher).set_params(batch_tokens=150).label(texts, names).log_prob
    turned = teacher.label(texts[::-1], names).log_prob[::-1]
    np.testing.assert_allclose(in_pieces, together, atol=1e-4)
    np.testing.assert_allclose(turned, together, atol=1e-4)


def test_memory_is_known_here():
    if not os.path.exists("/proc/meminfo"):
        pytest.skip("Linux says how much memory is free; elsewhere nothing is expanded")
    assert weights_module.available_memory() > 10**8


def test_closing_frees_the_expanded_model_too(counted, smollm2_path):
    from skllkd.teachers.llamacpp import model as _llama_runtime

    teacher = demo_teacher()
    teacher.close()
    before = len(_llama_runtime._models)
    teacher.label(["Rates rise."], CLASSES)
    assert len(_llama_runtime._models) == before + 2
    teacher.close()
    assert len(_llama_runtime._models) == before
    assert loaded_model(smollm2_path).n_parameters * 4 == F32_BYTES
