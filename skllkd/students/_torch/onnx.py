"""A classifier as an ONNX graph, with its products in 32 bits or in eight."""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skllkd._core.params import optional_import
from skllkd.students._torch.encoder import Classifier
from skllkd.students._torch.onnx_attention import known_attention, with_number_of_heads

_OPSET = 17
#: Architectures whose graph onnxruntime's optimizer of BERT knows.
_LIKE_BERT = {"bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra"}
#: How far logits of a fused graph may be from the model's.
_TOLERANCE = 1e-3
_QUANTIZED = ["MatMul", "Attention"]


def onnx_graph(
    model: Classifier, *, quantize: str | None, averages: bool = False
) -> Any:
    """Return a classifier as an ONNX model, from token ids and mask to logits.

    If it averages windows, a third input holds the share of each in each text.

    With `quantize="int8"` it multiplies in eight bits: weights by channel, activations
    by token (in front of attention, by batch).
    """
    onnx = optional_import("onnx", "onnx")
    plain = onnx.load_model_from_string(_traced(model, averages))
    graph = _fused(plain, model, averages)
    return graph if quantize is None else in_eight_bits(graph)


def _traced(model: Classifier, averages: bool) -> bytes:
    """Return the graph of a classifier as torch writes it."""
    encoder: Any = model.encoder
    encoder.set_attn_implementation("eager")  # the other forms cannot be traced
    is_known = encoder.config.model_type in _LIKE_BERT
    attention = known_attention(encoder) if is_known else nullcontext()
    example = _example(model, n_rows=2, length=8, averages=averages)
    axes = {
        "input_ids": {0: "windows", 1: "tokens"},
        "attention_mask": {0: "windows", 1: "tokens"},
        "share": {0: "texts", 1: "windows"},
    }
    names = list(axes)[: len(example)]
    file: Any = io.BytesIO()  # which it takes, whatever its annotation says
    with warnings.catch_warnings(), attention:
        # Parts that tracing cannot follow do not depend on the texts; the file is checked.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            example,
            file,
            input_names=names,
            output_names=["logits"],
            dynamic_axes={name: axes[name] for name in names}
            | {"logits": {0: "texts"}},
            opset_version=_OPSET,
            dynamo=False,  # the other exporter needs onnxscript
        )
    graph: bytes = file.getvalue()
    return graph


def _example(
    model: Classifier, n_rows: int, length: int, averages: bool
) -> tuple[torch.Tensor, ...]:
    """Return token ids and a mask; the last row is padded to twice its length.

    With `averages` also shares, of all rows in one text.
    """
    config: Any = model.encoder.config
    rng = np.random.RandomState(0)
    ids = rng.randint(0, config.vocab_size, size=(n_rows, length))
    mask = np.ones_like(ids)
    mask[-1, length // 2 :] = 0
    share = [np.full((1, n_rows), 1 / n_rows, np.float32)] if averages else []
    return tuple(torch.from_numpy(array) for array in (ids, mask, *share))


def _fused(plain: Any, model: Classifier, averages: bool) -> Any:
    """Return the graph with its layers as single operators, where that works."""
    config: Any = model.encoder.config
    if config.model_type not in _LIKE_BERT:
        return plain
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    options = FusionOptions("bert")
    # onnxruntime adds and normalises ten times as fast in two steps as in this one.
    options.enable_skip_layer_norm = options.enable_bias_skip_layer_norm = False
    with _quiet():
        try:
            fused = optimizer.optimize_model(
                with_number_of_heads(plain, config.num_attention_heads),
                model_type="bert",
                num_heads=config.num_attention_heads,
                hidden_size=config.hidden_size,
                opt_level=0,
                optimization_options=options,
            ).model
            if "com.microsoft" not in {opset.domain for opset in fused.opset_import}:
                opset = fused.opset_import.add()  # which the optimizer leaves out
                opset.domain, opset.version = "com.microsoft", 1
            return fused if _agrees(fused, model, averages) else plain
        except Exception:  # it may not know the graph of another version of torch
            return plain


def _agrees(graph: Any, model: Classifier, averages: bool) -> bool:
    """Return whether a graph computes the same as the model."""
    runtime = optional_import("onnxruntime", "onnx")
    session = runtime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for n_rows, length in [(1, 2), (3, 24)]:
        example = _example(model, n_rows, length, averages)
        with torch.inference_mode():
            wanted = model(*example).numpy()
        names = [given.name for given in session.get_inputs()]
        feed = {name: array.numpy() for name, array in zip(names, example, strict=True)}
        if not np.allclose(session.run(None, feed)[0], wanted, atol=_TOLERANCE):
            return False
    return True


def in_eight_bits(graph: Any) -> Any:
    """Return a graph with its large products in eight bits."""
    onnx = optional_import("onnx", "onnx")
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # The layers of the head cost little, and their rounding all goes to the logits.
    # They are Gemm, which the quantizer turns into a MatMul of this name.
    head = [f"{n.name}_MatMul" for n in graph.graph.node if n.op_type == "Gemm"]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(
            _rows_of_one_size(graph),
            path,
            op_types_to_quantize=_QUANTIZED,
            nodes_to_exclude=head,
            per_channel=True,
            weight_type=QuantType.QInt8,
            extra_options={
                "MatMulConstBOnly": True,  # products of activations stay as they are
                "DefaultTensorType": onnx.TensorProto.FLOAT,  # of fused operators
            },
        )
        return onnx.load_model(path)


def _rows_of_one_size(graph: Any) -> Any:
    """Return the graph with the rows that weights multiply divided by their maximum.

    The quantizer gives all numbers of a batch one step, and a few tokens have much
    larger activations than the others, of which little would be left. So each row is
    divided by its largest magnitude, and what comes of it multiplied again:
    x W = m (x / m) W with m = max |x|.
    """
    helper = optional_import("onnx", "onnx").helper
    scaled = type(graph)()
    scaled.CopyFrom(graph)
    weights = {weight.name for weight in scaled.graph.initializer}
    least = helper.make_tensor("least_maximum", 1, [], [1e-30])  # for rows of zeros
    scaled.graph.initializer.append(least)
    nodes = list(scaled.graph.node)
    del scaled.graph.node[:]

    def add(operator: str, *inputs: str, output: str, **attributes: Any) -> str:
        node = helper.make_node(operator, inputs, [output], name=output, **attributes)
        scaled.graph.node.append(node)
        return output

    for node in nodes:
        if node.op_type == "MatMul" and node.input[1] in weights:
            rows, product = node.input[0], node.output[0]
            size = add("Abs", rows, output=f"{product}/abs")
            size = add("ReduceMax", size, output=f"{product}/max", axes=[-1])
            size = add("Max", size, least.name, output=f"{product}/size")
            node.input[0] = add("Div", rows, size, output=f"{product}/row")
            node.output[0] = f"{product}/of_row"
            scaled.graph.node.append(node)
            add("Mul", node.output[0], size, output=product)
        else:
            scaled.graph.node.append(node)
    return scaled


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings, and loggers that write to the root, inside the block."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
