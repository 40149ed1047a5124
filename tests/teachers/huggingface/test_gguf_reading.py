"""Quick reading of GGUF files gives what the package `gguf` gives."""

import numpy as np
import pytest
from skllkd.teachers.huggingface.gguf_reading import quick_reading

gguf = pytest.importorskip("gguf")


@pytest.fixture(params=[gguf.GGUFEndian.LITTLE, gguf.GGUFEndian.BIG])
def path(request, tmp_path):
    """Return a file with a field and a tensor of every kind."""
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama", endianess=request.param)
    writer.add_string("a.name", "\u00fcber")
    writer.add_bool("a.flag", True)
    writer.add_float32("a.share", 0.25)
    writer.add_array("a.tokens", ["", "one", "\u4e8c"])
    writer.add_array("a.scores", [0.5, -1.5])
    writer.add_array("a.kinds", [1, -2, 3])
    rng = np.random.RandomState(0)
    writer.add_tensor("plain", rng.standard_normal((3, 5)).astype(np.float32))
    packed = gguf.quantize(
        rng.standard_normal((2, 64)).astype(np.float32), gguf.GGMLQuantizationType.Q4_1
    )
    kind = gguf.GGMLQuantizationType.Q4_1
    writer.add_tensor("packed", packed, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "model.gguf"


def contents(reader):
    """Return all fields and tensors of a file."""
    fields = {
        name: [field.types, [field.parts[i].tolist() for i in field.data]]
        for name, field in reader.fields.items()
    }
    tensors = {t.name: (t.tensor_type, t.data.tolist()) for t in reader.tensors}
    return fields, tensors


def test_the_same_is_read(path):
    plain = contents(gguf.GGUFReader(path))
    with quick_reading():
        quick = contents(gguf.GGUFReader(path))
    assert quick == plain
    assert set(quick[1]) == {"plain", "packed"}


def load(path):
    """Read a file as transformers does one whose architecture it does not know."""
    with quick_reading():
        first, again = gguf.GGUFReader(path), gguf.GGUFReader(path)
        assert again is first
        maps = [gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2) for _ in range(2)]
        assert maps[0] is maps[1]
        raise KeyError


def test_a_file_is_read_once_and_only_while_it_is_loaded(path):
    usual = gguf.GGUFReader, gguf.get_tensor_name_map
    with pytest.raises(KeyError):
        load(path)
    assert (gguf.GGUFReader, gguf.get_tensor_name_map) == usual
    with quick_reading():
        old = gguf.GGUFReader(path)
    with quick_reading():
        assert gguf.GGUFReader(path) is not old  # the file may be another by now
