"""Folders and ONNX files that are damaged, of a later version, or of a stranger."""

import json
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import skllkd
from skllkd import LLKDClassifier, ONNXClassifier
from skllkd._core import atomic_files
from skllkd._core.digest import file_digest
from skllkd.exceptions import SavedModelError
from skllkd.students import FrozenEncoderStudent, TransformerStudent

KINDS = {"frozen": FrozenEncoderStudent, "tuned": TransformerStudent}
TEXTS = [f"{a} {i}" for i in range(20) for a in ("card refund", "server down")]
LABELS = ["billing", "outage"] * 20


@pytest.fixture(scope="module")
def fitted(tiny_path):
    return {
        name: LLKDClassifier(
            student=kind(tiny_path, device="cpu"), n_epochs=1, random_state=0
        ).fit(TEXTS, LABELS)
        for name, kind in KINDS.items()
    }


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    for name, classifier in fitted.items():
        classifier.save(folder / name)
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    """Return a function that copies a saved folder."""
    return lambda kind="tuned": Path(shutil.copytree(saved / kind, tmp_path / "copy"))


def edit(folder, change, *, sign=False):
    """Change the description of a folder, and its checksums where a stranger would."""
    path = folder / "skllkd.json"
    description = json.loads(path.read_text())
    change(description)
    if sign:
        names = description["files"]
        description["files"] = {n: file_digest(folder / n) for n in names}
    path.write_text(json.dumps(description))


def flip(path, share):
    """Flip a bit."""
    with path.open("r+b") as file:
        file.seek(int(path.stat().st_size * share))
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 64]))


NAMES = ["encoder/model.safetensors", "head.safetensors", "evidence.safetensors"]
NAMES += ["encoder/tokenizer.json", "encoder/config.json"]


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_damage_to_a_file_is_found_at_load(name, copy):
    folder = copy()
    whole = (folder / name).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", whole + b" "):
        (folder / name).write_bytes(damaged)
        with pytest.raises(SavedModelError, match=f"(?s){name}.*Save it again"):
            LLKDClassifier.load(folder)
    for share in (0.01, 0.5, 0.99):
        (folder / name).write_bytes(whole)
        flip(folder / name, share)
        with pytest.raises(SavedModelError, match="checksum"):
            LLKDClassifier.load(folder)
    (folder / name).unlink()
    with pytest.raises(SavedModelError, match=name):
        LLKDClassifier.load(folder)


CHANGES = {
    "a selection of a later version": lambda d: d["selection"].update(kind="Better"),
    "a name that is no selection": lambda d: d["selection"].update(kind="Batch"),
    "a module": lambda d: d["selection"].update(kind="llkd"),
    "a parameter of a later version": lambda d: d["parameters"].update(new=1),
    "a teacher": lambda d: d["parameters"].update(teacher="os.system"),
    "callbacks": lambda d: d["parameters"].update(callbacks=["x"]),
    "a class lost": lambda d: d.update(classes=["billing"]),
    "classes that are one": lambda d: d.update(classes=["billing"] * 2),
    "the student lost": lambda d: d.update(student=None),
    "another student": lambda d: d["student"].update(kind="SklearnStudent"),
    "no window": lambda d: d["student"]["settings"].update(max_length=None),
    "no files": lambda d: d.pop("files", None),
    "files as a list": lambda d: d.update(files=["x"]),
    "a history lost": lambda d: d.update(history=["none"]),
    "another pooling": lambda d: d["student"]["settings"].update(pooling="attention"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_description_that_does_not_fit_is_a_named_error(change, copy):
    folder = copy()

    def later(description):
        CHANGES[change](description)
        description["skllkd"] = "9.0"

    edit(folder, CHANGES[change])
    with pytest.raises(SavedModelError, match="Save it again"):
        LLKDClassifier.load(folder)
    edit(folder, later)
    with pytest.raises(SavedModelError, match=r"skllkd 9\.0, .*install it"):
        LLKDClassifier.load(folder)


def config(**changes):
    """Return a change of the encoder's configuration."""
    return lambda d: d["student"]["settings"]["config"].update(changes)


_events = []
sys.addaudithook(lambda name, values: _events and _events[-1].append((name, values)))


@contextmanager
def watched():
    """Yield a list of all that Python does which its audit hooks are told of."""
    _events.append([("begin", ())])
    try:
        yield _events[-1]
    finally:
        _events.pop()


def assert_harmless(events, folder):
    """Assert that nothing was run, sent or written, and no data read but the folder's."""
    for name, values in events:
        assert name not in ("os.system", "subprocess.Popen", "socket.connect"), values
        assert name not in ("os.exec", "os.posix_spawn", "pickle.find_class"), values
        if name == "open" and isinstance(values[0], (str, bytes)):
            path, mode = os.fsdecode(values[0]), values[1]
            is_code = path.startswith((sys.prefix, sys.base_prefix, "/proc", "/sys"))
            is_ours = path.startswith((str(folder), str(Path(skllkd.__file__).parent)))
            assert is_ours or (is_code and mode in ("r", "rb", None)), values


TRICKS = {
    "a file outside": lambda d: d["files"].update({"../secret": "0"}),
    "an absolute file": lambda d: d["files"].update({"/etc/passwd": "0"}),
    "code on the hub": config(attn_implementation="someone/kernels"),
    "code in the folder": config(auto_map={"AutoModel": "code.Model"}),
    "another model": config(backbone="resnet"),
    "private keys": config(_attn_implementation="someone/kernels"),
    "code further in": config(text_config={"auto_map": {"AutoModel": "code.Model"}}),
    "endless layers": config(num_hidden_layers=10**9),
    "endless width": config(hidden_size=10**9),
    "endless words": config(vocab_size=10**12),
    "no model": config(model_type="resnet"),
    "an endless window": lambda d: d["student"]["settings"].update(max_length=10**30),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_stranger_s_folder_is_refused_before_anything_is_done(trick, copy):
    """Nothing outside the folder is opened, nothing is run, nothing is connected to."""
    folder = copy()
    (folder.parent / "secret").write_text("secret")
    edit(folder, TRICKS[trick])
    with pytest.raises(SavedModelError), watched() as events:
        LLKDClassifier.load(folder)
    assert_harmless(events, folder)


@pytest.mark.parametrize("name", [*NAMES[:4], "skllkd.json"])
def test_links_out_of_a_stranger_s_folder_are_not_followed(name, copy, tmp_path):
    folder = copy()
    shutil.copy(folder / name, tmp_path / "outside")
    (folder / name).unlink()
    (folder / name).symlink_to(tmp_path / "outside")
    with pytest.raises(SavedModelError, match="leads out of the folder"):
        LLKDClassifier.load(folder)


def test_the_cache_of_the_model_hub_may_link_to_its_blobs(saved, tmp_path):
    snapshot, blobs = tmp_path / "m" / "snapshots" / "1", tmp_path / "m" / "blobs"
    shutil.copytree(saved / "tuned", snapshot)
    blobs.mkdir()
    files = [path for path in snapshot.rglob("*") if path.is_file()]
    for number, path in enumerate(files):
        path.rename(blobs / str(number))
        path.symlink_to(blobs / str(number))
    expected = LLKDClassifier.load(saved / "tuned").predict_proba(TEXTS)
    found = LLKDClassifier.load(snapshot).predict_proba(TEXTS)
    np.testing.assert_array_equal(found, expected)


def test_weights_under_the_name_of_another_encoder_are_refused(copy, saved):
    """Features are cached under the name: they would be those of both."""
    folder = copy("frozen")
    body = folder / "encoder/model.safetensors"
    shutil.copy(saved / "tuned/encoder/model.safetensors", body)
    edit(folder, lambda d: None, sign=True)
    with pytest.raises(SavedModelError, match="digest"):
        LLKDClassifier.load(folder)


@pytest.mark.parametrize(
    "tokenizer",
    [
        "{}",
        '{"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": [["a"]]}}',
        '{"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}}',
        "[" * 100_000,
    ],
)
def test_a_tokenizer_that_is_none_is_refused(tokenizer, copy):
    folder = copy()
    (folder / "encoder/tokenizer.json").write_text(tokenizer)
    edit(folder, lambda d: None, sign=True)
    with pytest.raises(SavedModelError, match="tokenizer"):
        LLKDClassifier.load(folder)


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", "1e999", '{"format": []}'])
def test_a_description_that_is_none_is_refused(content, copy):
    folder = copy()
    (folder / "skllkd.json").write_text(content)
    with pytest.raises(SavedModelError, match="holds no saved classifier"):
        LLKDClassifier.load(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_loading_and_predicting_opens_no_file_elsewhere(kind, copy, fitted):
    folder = copy(kind)
    with watched() as events:
        loaded = LLKDClassifier.load(folder)
        predicted = loaded.predict(TEXTS)
    assert any(str(folder) in str(values) for _, values in events)
    assert_harmless(events, folder)
    assert (predicted == fitted[kind].predict(TEXTS)).all()


# ---- saving over a classifier


def test_a_save_that_fails_leaves_the_classifier_of_before(fitted, copy, monkeypatch):
    folder = copy()
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_files, "_sync", full)
    with pytest.raises(SavedModelError, match=r"No space left.*is as it was"):
        fitted["frozen"].save(folder)
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    LLKDClassifier.load(folder)


def test_a_save_that_was_complete_when_killed_is_finished_by_load(
    fitted, copy, monkeypatch
):
    folder = copy()
    monkeypatch.setattr(
        "skllkd._core.atomic_files.finish_replacing", lambda folder: None
    )
    fitted["frozen"].save(folder)
    monkeypatch.undo()
    assert (folder / ".complete" / "skllkd.json").exists()
    loaded = LLKDClassifier.load(folder)
    assert isinstance(loaded.student_, FrozenEncoderStudent)
    assert not (folder / ".complete").exists()


# ---- ONNX


def test_damage_to_an_onnx_file_is_found_when_it_is_opened(fitted, tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "m.onnx"
    fitted["tuned"].export_onnx(path, TEXTS)
    whole = path.read_bytes()
    for at in range(len(whole) // 40, len(whole), len(whole) // 20):
        damaged = bytearray(whole)
        damaged[at] ^= 64
        path.write_bytes(damaged)
        with pytest.raises(SavedModelError):
            ONNXClassifier(path).predict(["a text"])
    path.write_bytes(whole)
    ONNXClassifier(path).predict(["a text"])
