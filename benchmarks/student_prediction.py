"""How fast a trained student predicts, beside what one would run without this package.

    python -m benchmarks.student_prediction --data FOLDER

all-MiniLM-L6-v2 with a linear head, trained on part of rtpolarity_llm's teacher labels,
predicts texts it has not seen. Everything is computed in one process on the CPU and takes
turns, for several rounds, so that what else the machine does slows all alike; speeds are
each one's best round, tokenizing included, and ratios are of these.

- pipeline: `transformers.pipeline("text-classification", batch_size=32)`, same weights.
- ours: `LLKDClassifier.predict_proba`. "bfloat16" is the same under torch's autocast,
  which is no option of the package.
- torch int8: ours, with torch's own dynamic quantisation of the linear layers.
- ONNX, ONNX int8: `ONNXClassifier` on what `export_onnx` wrote.
- products alone: the matrix products of the same texts in float32, nothing padded and
  nothing beside them: nothing that computes with torch in float32 is faster.

"equal" is the share of texts with the label of float32, and "difference" the largest of a
probability. Latency is that of one text, each one's turn after the other's.
"""

from __future__ import annotations

import pickle
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
import transformers
from skllkd import LLKDClassifier, ONNXClassifier
from skllkd.cli.demo import demo_student
from skllkd.selection import SelectAll
from transformers.modeling_outputs import SequenceClassifierOutput

from benchmarks.cells import about, benchmark_parser, write_figures
from benchmarks.data import add_data_option, gold_as_teacher, load_pool
from benchmarks.products import Products

BARS = {"ours": 2.4, "ONNX int8": 4.0}


class ForPipeline(transformers.PreTrainedModel):
    """Our classifier as a model of transformers."""

    config_class = transformers.PretrainedConfig
    _supports_sdpa = True  # as our predictor has it

    def __init__(self, config, classifier):
        super().__init__(config)
        self.classifier = classifier

    def forward(self, input_ids, attention_mask, token_type_ids=None):
        """Return the logits."""
        logits = self.classifier(input_ids, attention_mask)
        return SequenceClassifierOutput(logits=logits)


class Pipeline:
    """A pipeline of transformers that answers as ours do."""

    def __init__(self, classifier, folder, device="cpu"):
        from skllkd.students._torch.encoder import build_classifier

        student = classifier.student_
        names = [str(name) for name in classifier.classes_]
        module = build_classifier(student.config_, student.weights_, student.pooling_)
        config = module.encoder.config
        config.id2label = dict(enumerate(names))
        self.place = {name: k for k, name in enumerate(names)}
        tokenizer = transformers.AutoTokenizer.from_pretrained(Path(folder) / "encoder")
        self.run = transformers.pipeline(
            "text-classification",
            model=ForPipeline(config, module).eval(),
            tokenizer=tokenizer,
            device=device,
            batch_size=32,
            top_k=None,
            truncation=True,
        )

    def __call__(self, texts):
        """Return distributions."""
        proba = np.zeros((len(texts), len(self.place)))
        for row, scores in enumerate(self.run(list(texts))):
            for score in scores:
                proba[row, self.place[score["label"]]] = score["score"]
        return proba


class Bfloat16:
    """Something that predicts, under autocast."""

    def __init__(self, predict, device="cpu"):
        self.predict, self.device = predict, device

    def __call__(self, texts):
        """Return distributions."""
        with torch.autocast(self.device, dtype=torch.bfloat16):
            return self.predict(texts)


def torch_int8(classifier):
    """Return ours with torch's dynamically quantised layers."""
    twin = pickle.loads(pickle.dumps(classifier))  # with a module of its own
    twin.predict(["a text"])
    twin.student_._predictor = torch.ao.quantization.quantize_dynamic(
        twin.student_._predictor, {torch.nn.Linear}, dtype=torch.qint8
    )
    return twin.predict_proba


def trained(data, n_texts, n_epochs):
    """Return a trained classifier and its accuracy on texts with gold labels."""
    pool = load_pool(data / "rtpolarity_llm", "train", n_texts)
    dev = load_pool(data / "rtpolarity_llm", "dev")
    classifier = LLKDClassifier(
        classes=pool.classes,
        refine=None,
        student=demo_student().set_params(device="cpu"),
        selection=SelectAll(),
        n_epochs=n_epochs,
        random_state=0,
    ).fit(pool.texts, teacher_proba=pool.teacher_proba)
    return classifier, dev.texts, classifier.score(dev.texts, dev.gold)


def best_rounds(runners, texts, n_rounds):
    """Return texts a second of each one's best round, and its last answer."""
    best, answers = dict.fromkeys(runners, float("inf")), {}
    for _ in range(n_rounds):
        for name, run in runners.items():
            start = time.perf_counter()
            answers[name] = run(texts)
            best[name] = min(best[name], time.perf_counter() - start)
    return {name: len(texts) / seconds for name, seconds in best.items()}, answers


def products_alone(classifier, texts, n_rounds):
    """Return texts a second of the products that predicting takes, at their best."""
    student = classifier.student_
    lengths = np.sort(student._tokenize(texts).lengths)
    size = student.predict_batch_size or 64
    n_tokens = [lengths[i : i + size].sum() for i in range(0, len(lengths), size)]
    products = Products(student._predictor.encoder)  # there since the first prediction
    return len(texts) / min(products.seconds(n_tokens) for _ in range(n_rounds))


def latencies(runners, texts):
    """Return the median and the 99th percentile of one text's time, in ms."""
    seconds = {name: [] for name in runners}
    for text in texts:
        for name, run in runners.items():
            start = time.perf_counter()
            run([text])
            seconds[name].append(time.perf_counter() - start)
    return {
        name: {
            "median": 1000 * float(np.median(some)),
            "99th": 1000 * float(np.quantile(some, 0.99)),
        }
        for name, some in seconds.items()
    }


def speed_table(name, classifier, runners, texts, n_rounds):
    """Measure one set, print a table, and return its figures."""
    speeds, answers = best_rounds(runners, texts, n_rounds)
    alone = products_alone(classifier, texts, n_rounds)
    own, figures = answers["ours"], {}
    print(f"{name:16} {'texts/s':>8} {'ratio':>7} {'bar':>5} {'equal':>8} difference")
    for kind, speed in speeds.items():
        equal = float((answers[kind].argmax(1) == own.argmax(1)).mean())
        figures[kind] = {
            "texts_per_second": speed,
            "ratio": speed / speeds["pipeline"],
            "bar": BARS.get(kind),
            "equal_labels": equal,
            "largest_difference": float(np.abs(answers[kind] - own).max()),
        }
        bar = f"{BARS[kind]:.1f}x" if kind in BARS else ""
        print(
            f"{kind:16} {speed:8.0f} {figures[kind]['ratio']:6.2f}x {bar:>5} "
            f"{equal:8.2%} {figures[kind]['largest_difference']:.1e}",
            flush=True,
        )
    ratio = alone / speeds["pipeline"]
    figures["products alone"] = {"texts_per_second": alone, "ratio": ratio}
    print(f"{'products alone':16} {alone:8.0f} {ratio:6.2f}x", flush=True)
    return figures


def main():
    """Train, run, print tables, and write the figures as JSON."""
    parser = benchmark_parser(__doc__, "student_prediction")
    add_data_option(parser)
    parser.add_argument("--train-texts", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--single-texts", type=int, default=300)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    data = Path(options.data)
    classifier, dev_texts, accuracy = trained(data, options.train_texts, options.epochs)
    print(f"the student's accuracy on {len(dev_texts)} texts: {accuracy:.3f}")
    sets = {
        "rtpolarity_llm": dev_texts[: options.texts],
        "agnews": gold_as_teacher(data / "agnews", "dev", options.texts).texts,
    }
    with tempfile.TemporaryDirectory() as folder:
        classifier.save(folder)
        exports, texts = {}, sets["rtpolarity_llm"]
        for quantize in (None, "int8"):
            path = Path(folder) / f"{quantize}.onnx"
            result = classifier.export_onnx(
                path, texts, quantize=quantize, max_disagreement=1.0
            )
            exports[str(quantize)] = vars(result)
        runners = {
            "pipeline": Pipeline(classifier, folder),
            "ours": classifier.predict_proba,
            "bfloat16": Bfloat16(classifier.predict_proba),
            "torch int8": torch_int8(classifier),
            "ONNX": ONNXClassifier(Path(folder) / "None.onnx").predict_proba,
            "ONNX int8": ONNXClassifier(Path(folder) / "int8.onnx").predict_proba,
        }
        figures = {
            name: speed_table(name, classifier, runners, some, options.rounds)
            for name, some in sets.items()
        }
        single = latencies(runners, texts[: options.single_texts])
    print(f"{'one text':16} {'median':>9} {'99th':>9}")
    for name, ms in single.items():
        print(f"{name:16} {ms['median']:6.1f} ms {ms['99th']:6.1f} ms")
    settings = {k: v for k, v in vars(options).items() if k not in ("data", "output")}
    head = about(
        "student_prediction --data FOLDER", "torch", "transformers", "onnxruntime"
    )
    found = {
        "options": settings,
        "accuracy": accuracy,
        "exports": exports,
        "figures": figures,
        "single_text_ms": single,
    }
    write_figures(options.output, head | found)


if __name__ == "__main__":
    main()
