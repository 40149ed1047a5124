"""The commands over the Python interface: the same answers, files in and out."""

import csv
import io
import json
import shutil
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pandas as pd
import pytest
from skllkd import LLKDClassifier
from skllkd._core.tables.formats import Source
from skllkd._core.tables.reading import read_table
from skllkd.cli.main import main, parser_of_all
from skllkd.cli.teacher import teacher_of
from skllkd.exceptions import InvalidParameterError, MissingLabelWarning
from skllkd.teachers import (
    EmbeddingTeacher,
    LlamaCppTeacher,
    OpenAITeacher,
    PrecomputedTeacher,
    TransformersTeacher,
)

from tests.conftest import TOPICS


def parsed(teacher, *options, classes=("a", "b")):
    """Return the options of a command with a teacher."""
    command = ["label", "x.csv", "--teacher", teacher, *options, "--classes", *classes]
    return parser_of_all().parse_args(command)


@pytest.fixture(scope="module")
def answers(news, tmp_path_factory):
    """A table of answers: a teacher without a model."""
    texts, gold = (part[:100] for part in news)
    path = tmp_path_factory.mktemp("answers") / "answers.csv"
    pd.DataFrame({"text": texts, "label": gold}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def saved(answers, tiny_path, tmp_path_factory):
    """Run `skllkd fit` once for all tests."""
    folder = tmp_path_factory.mktemp("saved")
    arguments = ["fit", str(answers), "--teacher", str(answers), "--classes", *TOPICS]
    arguments += ["--model", str(folder / "model"), "--student", str(tiny_path)]
    out, error = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as environment,
        redirect_stdout(out),
        redirect_stderr(error),
    ):
        environment.setenv("SKLLKD_CACHE", str(folder / "cache"))
        assert main([*arguments, "--frozen", "--epochs", "5"]) == 0
    assert "greement" in out.getvalue()
    assert "saved in" in error.getvalue()
    return folder / "model"


@pytest.fixture
def model(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def test_fit_is_the_classifier_s_fit(model, answers, tiny_path):
    table = pd.read_csv(answers)
    loaded = LLKDClassifier.load(model)
    assert loaded.classes_.tolist() == sorted(TOPICS)
    assert loaded.n_epochs == 5
    assert loaded.pseudo_labels_.tolist() == table["label"].tolist()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_predict_keeps_the_columns_and_adds_two(model, news, tmp_path, suffix):
    frame = pd.DataFrame({"id": range(30), "body": news[0][:30]})
    source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    if suffix == "csv":
        frame.to_csv(source, index=False)
    elif suffix == "jsonl":
        frame.to_json(source, orient="records", lines=True)
    else:
        frame.to_parquet(source)
    arguments = ["predict", str(model), str(source), "--column", "body"]
    assert main([*arguments, "-o", str(target)]) == 0
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}.get(suffix)
    found = read(target) if read else pd.read_json(target, lines=True)
    assert list(found.columns) == ["id", "body", "predicted", "confidence"]
    assert found["id"].tolist() == list(range(30))
    proba = LLKDClassifier.load(model).predict_proba(news[0][:30])
    np.testing.assert_allclose(found["confidence"], proba.max(axis=1), atol=1e-5)


def piped(text):
    """Stand in for standard input."""
    return io.TextIOWrapper(io.BytesIO(text.encode()))


def test_predict_from_standard_input_to_standard_output(
    model, news, monkeypatch, capsys
):
    texts = [" ".join(text.split()) for text in news[0][:7]]
    monkeypatch.setattr(sys, "stdin", piped("\n".join(texts) + "\n"))
    assert main(["predict", str(model)]) == 0
    out, error = capsys.readouterr()
    assert out.split("\n")[:-1] == LLKDClassifier.load(model).predict(texts).tolist()
    assert error == ""
    monkeypatch.setattr(sys, "stdin", piped("text\nred\n"))
    assert main(["predict", str(model)]) == 0
    out, error = capsys.readouterr()
    assert error == "standard input is read as csv; --format says another.\n"
    (row,) = csv.DictReader(io.StringIO(out))
    assert list(row) == ["text", "predicted", "confidence"]


def test_predict_streams(model, monkeypatch):
    """What was predicted is written before the rest of the input is there."""
    seen = []

    class In(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            part = b"a text\nanother\n" if seen.count("read") < 3 else b""
            seen.append("read")
            buffer[: len(part)] = part
            return len(part)

    class Out(io.BytesIO):
        def write(self, data):
            seen.append("written")
            return super().write(data)

    streams = {"stdin": io.BufferedReader(In()), "stdout": Out()}
    for name, stream in streams.items():
        text = io.TextIOWrapper(stream)
        monkeypatch.setattr(sys, name, text)
    assert main(["predict", str(model)]) == 0
    assert seen == ["read", "written"] * 3 + ["read"]


def test_label_writes_a_table_a_teacher_can_read(answers, tmp_path, capsys):
    target = tmp_path / "labels.parquet"
    arguments = ["label", str(answers), "--teacher", str(answers), "--classes", *TOPICS]
    arguments += ["-o", str(target)]
    assert main(arguments) == 1
    assert "a column 'label' already" in capsys.readouterr().err
    assert main([*arguments, "--output-column", "topic"]) == 0
    assert "100 texts labelled" in capsys.readouterr().err
    written = pd.read_parquet(target)
    assert written["label"].tolist() == pd.read_csv(answers)["label"].tolist()
    assert written.columns[2:4].tolist() == ["topic", "topic_proba_business"]
    texts = pd.read_csv(answers)["text"].tolist()
    teacher = PrecomputedTeacher.from_table(target, label="topic")
    again = teacher.label(texts, TOPICS)
    chosen = np.array(TOPICS)[again.proba.argmax(axis=1)]
    assert chosen.tolist() == pd.read_csv(answers)["label"].tolist()


def test_report_reads_what_the_model_was_fitted_on(model, answers, capsys):
    assert main(["report", str(model), str(answers)]) == 0
    assert "greement" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "in.csv",
            "body\nred\n",
            "there is no column 'text'; the columns are ['body']",
        ),
        (
            "in.jsonl",
            '{"text": "a"}\n{"text": 3}\n',
            "row 2: column 'text' holds 3 (int)",
        ),
        ("in.jsonl", '{"text": "a"}\nnothing\n', "line 2 is no JSON"),
        ("in.csv", "text\na,b\n", "line 2: 2 cell(s), and 1 column(s)"),
        ("in.csv", "text,confidence\na,1\n", "a column 'confidence' already"),
        ("in.doc", "x", "--format"),
    ],
)
def test_bad_input_is_named_with_its_row(
    model, tmp_path, capsys, name, content, message
):
    (tmp_path / name).write_text(content)
    assert main(["predict", str(model), str(tmp_path / name)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("skllkd: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_bad_row_leaves_the_earlier_output_as_it_is(model, tmp_path):
    rows = [{"text": "red"}, {"text": "blue"}, {"text": 3}]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    target = tmp_path / "out.jsonl"
    target.write_text("earlier")
    arguments = ["predict", str(model), str(tmp_path / "in.jsonl")]
    assert main([*arguments, "-o", str(target)]) == 1
    assert target.read_text() == "earlier"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "no-model", "-"], "no-model"),
        (["plan", "missing.csv", "--teacher", "x", "--classes", "a", "b"], "missing"),
    ],
)
def test_what_is_not_there_is_named(arguments, message, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", piped(""))
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "plan",
        "label",
        "fit",
        "predict",
        "report",
        "evaluate",
        "export",
        "store",
    ],
)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 8


@pytest.mark.parametrize("command", ["predict", "label"])
def test_the_input_is_never_overwritten(model, answers, command, capsys):
    before = answers.read_bytes()
    arguments = {
        "predict": ["predict", str(model), str(answers)],
        "label": ["label", str(answers), "--teacher", str(answers), "--classes", "a"],
    }[command]
    again = answers.parent / "." / answers.name
    assert main([*arguments, "-o", str(again)]) == 1
    assert "is the input" in capsys.readouterr().err
    assert answers.read_bytes() == before


def test_gold_labels_of_the_input_stay(model, answers, tmp_path):
    target = tmp_path / "out.csv"
    assert main(["predict", str(model), str(answers), "-o", str(target)]) == 0
    gold, found = pd.read_csv(answers), pd.read_csv(target)
    assert found["label"].tolist() == gold["label"].tolist()
    chosen = LLKDClassifier.load(model).predict(gold["text"])
    assert found["predicted"].tolist() == chosen.tolist()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_row_without_a_text_is_kept_without_a_label(
    kind, model, answers, tmp_path, capsys
):
    text = pd.read_csv(answers)["text"][0]
    rows = [{"text": text}, {"text": None, "id": 2**63 + 1}, {"id": 3}]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    label = ["label", str(tmp_path / "in.jsonl"), "--teacher", str(answers)]
    predict = ["predict", str(model), str(tmp_path / "in.jsonl")]
    for command in ([*label, "--classes", *TOPICS], predict):
        target = tmp_path / f"out.{kind}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MissingLabelWarning)
            assert main([*command, "-o", str(target)]) == 0
        error = capsys.readouterr().err
        assert "2 of 3 rows have no text (the first is row 2)" in error
        with read_table(Source(str(target))) as table:
            found = [row for block in table for row in block.rows()]
        column = "label" if command[0] == "label" else "predicted"
        assert [row[column] in TOPICS for row in found] == [True, False, False]
        nothing = "" if kind == "csv" else None
        assert [row[column] for row in found[1:]] == [nothing] * 2
        assert str(found[1]["id"]) == str(2**63 + 1)


def test_a_text_may_be_nested_and_examples_be_numbers(answers, tmp_path, capsys):
    text = pd.read_csv(answers)["text"][0]
    (tmp_path / "in.jsonl").write_text(json.dumps({"data": {"text": text}}) + "\n")
    command = ["label", str(tmp_path / "in.jsonl"), "--teacher", str(answers)]
    assert main([*command, "--classes", *TOPICS, "--column", "data.text"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["data"]["text"], row["label"] in TOPICS) == (text, True)
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": False}]
    (tmp_path / "ex.jsonl").write_text("\n".join(map(json.dumps, rows)))
    options = parsed(
        "m", "--examples", str(tmp_path / "ex.jsonl"), classes=["1", "false"]
    )
    assert teacher_of(options).examples == [("a", "1"), ("b", "false")]


def test_plan_says_what_labelling_takes(answers, tiny_path, capsys):
    arguments = ["plan", str(answers), "--teacher", str(answers)]
    arguments += ["--classes", *TOPICS, "--student", str(tiny_path)]
    assert main(arguments) == 0
    texts = pd.read_csv(answers)["text"].tolist()
    plan = PrecomputedTeacher.from_table(answers).plan(texts, TOPICS)
    assert capsys.readouterr().out.startswith(f"{plan}\n")


def test_export_writes_a_file_that_predict_takes(model, answers, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    target = tmp_path / "model.onnx"
    assert main(["export", str(model), str(answers), "--output", str(target)]) == 0
    assert "equal_labels" in capsys.readouterr().out
    outputs = []
    for name in (model, target):
        out = tmp_path / "out.csv"
        assert main(["predict", str(name), str(answers), "-o", str(out)]) == 0
        outputs.append(pd.read_csv(out)["predicted"].tolist())
    assert outputs[0] == outputs[1]


def test_plan_says_the_cost_at_the_price_that_is_given(
    tmp_path, tiny_path, capsys, monkeypatch
):
    monkeypatch.setenv("SKLLKD_CACHE", str(tmp_path))
    source = tmp_path / "texts.txt"
    source.write_text("at noon\nin the evening\n", encoding="utf-8")
    arguments = [
        "plan",
        str(source),
        "--teacher",
        "a-model",
        "--classes",
        "early",
        "late",
    ]
    arguments += ["--base-url", "http://localhost:1/v1", "--sample", "0"]
    arguments += ["--student", str(tiny_path)]
    assert main(arguments) == 0
    assert "unknown" in cost_line(capsys)
    assert main([*arguments, "--price", "1000000", "0"]) == 0  # a token read costs 1
    out = capsys.readouterr().out
    line = {row.split("  ")[0]: row.split()[-1] for row in out.splitlines() if row}
    tokens = int(line["tokens read, estimated"].replace(",", ""))
    assert tokens > 0
    assert float(line["cost"].replace(",", "")) == tokens


def cost_line(capsys):
    (line,) = [
        row for row in capsys.readouterr().out.splitlines() if row.startswith("cost")
    ]
    return line


def test_a_gguf_file_is_read_by_what_is_installed(monkeypatch, capsys):
    options = parsed("model.gguf", "--max-calls", "9", "--instruction", "Which?")
    for spec, kind in ((None, TransformersTeacher), (object(), LlamaCppTeacher)):
        monkeypatch.setattr("skllkd.cli.teacher.find_spec", lambda _, s=spec: s)
        teacher = teacher_of(options)
        assert type(teacher) is kind
        assert (teacher.max_calls, teacher.instruction) == (9, "Which?")
        said = "read by transformers" in capsys.readouterr().err
        assert said == (kind is TransformersTeacher)


def test_a_folder_is_a_sentence_encoder_unless_a_server_is_named(
    answers, tiny_path, capsys
):
    command = ["label", str(answers), "--teacher", str(tiny_path), "--classes", *TOPICS]
    assert main([*command, "--output-column", "topic"]) == 0
    found = pd.read_csv(io.StringIO(capsys.readouterr().out))
    expected = EmbeddingTeacher(tiny_path).label(found["text"], TOPICS)
    names = np.array(TOPICS)[expected.proba.argmax(axis=1)]
    assert found["topic"].tolist() == names.tolist()
    options = parsed(str(tiny_path), "--base-url", "http://localhost:1/v1")
    assert type(teacher_of(options)) is OpenAITeacher


def test_labels_are_a_table_on_standard_output_too(answers, tmp_path, capsys):
    texts = [" ".join(text.split()) for text in pd.read_csv(answers)["text"]]
    (tmp_path / "in.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    command = ["label", str(tmp_path / "in.txt"), "--teacher", str(answers)]
    assert main([*command, "--classes", *TOPICS]) == 0
    assert capsys.readouterr().out.startswith("text,label,proba_business,")
    target = tmp_path / "labels.txt"
    assert main([*command, "--classes", *TOPICS, "-o", str(target)]) == 0
    assert set(target.read_text().split("\n")) == {*TOPICS, ""}


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_counts_the_rows_predicted_unless_they_are_on_the_terminal(
    model, answers, is_terminal, monkeypatch
):
    seen = []

    class Bar:
        def __init__(self, total, name, unit, verbose):
            seen.append(bool(verbose))

        def update(self, n_rows):
            seen.append(n_rows)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr("skllkd.cli.predict.progress_bar", Bar)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal, raising=False)
    assert main(["predict", str(model), str(answers)]) == 0
    assert seen[0] == (not is_terminal)
    assert sum(seen[1:]) == 100


def test_a_mistyped_store_buys_nothing_again(tmp_path):
    store = tmp_path / "labelss.sqlite"
    server = ["m", "--base-url", "http://localhost:1/v1", "--store", str(store)]
    with pytest.raises(InvalidParameterError, match="--create-store"):
        teacher_of(parsed(*server))
    assert not store.exists()
    assert teacher_of(parsed(*server, "--create-store")).store == store


@pytest.mark.parametrize(
    "option", [["--store", "x"], ["--method", "votes"], ["--examples", "x.csv"]]
)
def test_an_option_that_a_kind_of_teacher_does_not_take_is_refused(
    option, answers, tiny_path, capsys
):
    for teacher in (answers, tiny_path):
        command = ["plan", str(answers), "--teacher", str(teacher), *option]
        assert main([*command, "--classes", "a", "b"]) == 1
        assert f"{option[0]} is not for a" in capsys.readouterr().err
    if option[0] == "--method":
        with pytest.raises(InvalidParameterError, match="not for a local model"):
            teacher_of(parsed("model.gguf", *option))
