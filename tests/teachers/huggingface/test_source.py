"""Origin and identity of Hugging Face models."""

import pytest
from skllkd.exceptions import SavedModelError
from skllkd.teachers.huggingface.source import ModelSource


@pytest.fixture
def gguf(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF and the rest")
    return path


def test_a_gguf_file_is_a_model(gguf, monkeypatch):
    source = ModelSource.find(gguf, None, None)
    assert source == ModelSource(str(gguf.parent), "model.gguf", None)
    assert source == ModelSource.find(gguf.parent, "model.gguf", None)
    assert source.is_local and source.name == "model.gguf"
    assert list(source.fingerprint()) == ["model.gguf"]
    monkeypatch.chdir(gguf.parent)
    assert ModelSource.find("model.gguf", None, None) == source


def test_a_folder_is_told_from_others_by_what_determines_an_answer(tmp_path):
    for name in ("model.safetensors", "config.json", "generation_config.json", "x.md"):
        (tmp_path / name).write_text("{}")
    source = ModelSource.find(tmp_path, None, None)
    assert list(source.fingerprint()) == ["config.json", "model.safetensors"]
    before = source.state()
    (tmp_path / "x.md").write_text("longer")
    assert source.state() == before
    (tmp_path / "config.json").write_text("longer")
    assert source.state() != before


def test_any_other_name_is_one_on_the_hub():
    source = ModelSource.find("somebody/model", "model.gguf", "main")
    assert source == ModelSource("somebody/model", "model.gguf", "main")
    assert not source.is_local and source.state() == ()


@pytest.mark.parametrize("name", ["none.gguf", "./none", "/none/at/all"])
def test_a_path_that_is_not_there_is_named(name):
    with pytest.raises(SavedModelError, match=f"`model`.*no f.*{name}"):
        ModelSource.find(name, None, None)
