"""The first layers of a language model of the Llama family.

Such a model has the real one's tokens, chat template, kinds of weights and computation
in each layer, and takes a tenth of its time. Its answers mean nothing: tests of their
sense run the whole model.
"""

import struct

FIRST_TENSOR = b"token_embd.weight"
N_LAYERS = b"llama.block_count"


def write_short_llama(source, target, n_layers=4):
    """Copy a GGUF file without its later layers."""
    data = source.read_bytes()
    n_tensors, n_entries = struct.unpack_from("<QQ", data, 8)
    begin = data.index(struct.pack("<Q", len(FIRST_TENSOR)) + FIRST_TENSOR)
    header = bytearray(data[24:begin])
    at = header.index(N_LAYERS) + len(N_LAYERS) + 4  # behind name and type
    struct.pack_into("<I", header, at, n_layers)
    tensors, begin = _tensors(data, begin, n_tensors)
    kept, size = [], 0
    for name, about, offset, end in tensors:
        layer = name.split(b".")[1]
        if not layer.isdigit() or int(layer) < n_layers:
            kept.append((about, size, data[begin + offset : begin + end]))
            size += end - offset
    parts = [data[:8], struct.pack("<QQ", len(kept), n_entries), header]
    parts += [about + struct.pack("<Q", offset) for about, offset, _ in kept]
    parts.append(bytes(-sum(map(len, parts)) % 32))
    target.write_bytes(b"".join([*parts, *(content for *_, content in kept)]))
    return target


def _tensors(data, at, n_tensors):
    """Return name, header without its offset, begin and end of each, and their begin."""
    found = []
    for _ in range(n_tensors):
        (length,) = struct.unpack_from("<Q", data, at)
        name = data[at + 8 : at + 8 + length]
        (n_dimensions,) = struct.unpack_from("<I", data, at + 8 + length)
        end = at + 8 + length + 4 + 8 * n_dimensions + 4  # behind sizes and type
        found.append((name, data[at:end], struct.unpack_from("<Q", data, end)[0]))
        at = end + 8
    begin = at + -at % 32
    ends = [offset for *_, offset in found[1:]] + [len(data) - begin]
    return [(*tensor, end) for tensor, end in zip(found, ends, strict=True)], begin
