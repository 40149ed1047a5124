"""The commands over the Python interface: the same answers, files in and out."""

import argparse
import csv
import io
import json
import sys

import numpy as np
import pandas as pd
import pytest
from skllkd import LLKDClassifier
from skllkd.cli.arguments import teacher_of
from skllkd.cli.main import main
from skllkd.teachers import (
    EmbeddingTeacher,
    LlamaCppTeacher,
    OpenAITeacher,
    PrecomputedTeacher,
    TransformersTeacher,
)

from tests.conftest import TOPICS


@pytest.fixture
def answers(news, tmp_path):
    """A table of answers: a teacher without a model."""
    texts, gold = (part[:100] for part in news)
    path = tmp_path / "answers.csv"
    pd.DataFrame({"text": texts, "label": gold}).to_csv(path, index=False)
    return path


@pytest.fixture
def model(answers, tiny_path, tmp_path, capsys):
    arguments = ["fit", str(answers), "--teacher", str(answers), "--classes", *TOPICS]
    arguments += ["--model", str(tmp_path / "model"), "--student", str(tiny_path)]
    status = main([*arguments, "--frozen", "--epochs", "5"])
    assert status == 0
    out, error = capsys.readouterr()
    assert "greement" in out
    assert "saved in" in error
    return tmp_path / "model"


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


def test_predict_from_standard_input_to_standard_output(
    model, news, monkeypatch, capsys
):
    texts = [" ".join(text.split()) for text in news[0][:7]]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(texts) + "\n"))
    assert main(["predict", str(model)]) == 0
    out, error = capsys.readouterr()
    assert out.split("\n")[:-1] == LLKDClassifier.load(model).predict(texts).tolist()
    assert error == ""
    monkeypatch.setattr(sys, "stdin", io.StringIO("text\nred\n"))
    assert main(["predict", str(model), "--format", "csv"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert list(row) == ["text", "predicted", "confidence"]


def test_predict_streams(model, monkeypatch):
    """What was predicted is written before the rest of the input is there."""
    monkeypatch.setattr("skllkd.cli.classifier._CHUNK", 2)
    seen = []

    class Out(io.StringIO):
        def write(self, text):
            seen.append("written")
            return super().write(text)

    def lines():
        for i in range(4):
            seen.append("read")
            yield f"text {i}\n"

    monkeypatch.setattr(sys, "stdin", lines())
    monkeypatch.setattr(sys, "stdout", Out())
    assert main(["predict", str(model)]) == 0
    assert seen == ["read", "read", "written", "written"] * 2


def test_label_writes_a_table_a_teacher_can_read(answers, tmp_path, capsys):
    target = tmp_path / "labels.parquet"
    arguments = ["label", str(answers), "--teacher", str(answers)]
    assert main([*arguments, "--classes", *TOPICS, "-o", str(target)]) == 0
    assert "100 texts labelled" in capsys.readouterr().err
    texts = pd.read_csv(answers)["text"].tolist()
    again = PrecomputedTeacher.from_table(target).label(texts, TOPICS)
    chosen = np.array(TOPICS)[again.proba.argmax(axis=1)]
    assert chosen.tolist() == pd.read_csv(answers)["label"].tolist()


def test_report_reads_what_the_model_was_fitted_on(model, answers, capsys):
    assert main(["report", str(model), str(answers)]) == 0
    assert "greement" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.csv", "body\nred\n", "row 1: there is no text in column 'text'"),
        ("in.jsonl", '{"text": "a"}\n{"text": 3}\n', "row 2: there is no text"),
        ("in.jsonl", '{"text": "a"}\nnothing\n', "line 2 is no JSON"),
        ("in.jsonl", "[1]\n", "line 1 is no JSON object"),
        ("in.csv", "text\na,b\n", "row 1: there are more cells than columns"),
        ("in.csv", "text\n" + "x" * 200_000 + "\n", "is no CSV"),
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


def test_rows_before_a_bad_one_are_not_lost(model, tmp_path, monkeypatch):
    monkeypatch.setattr("skllkd.cli.classifier._CHUNK", 2)
    rows = [{"text": "red"}, {"text": "blue"}, {"text": None}]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    target = tmp_path / "out.jsonl"
    arguments = ["predict", str(model), str(tmp_path / "in.jsonl")]
    assert main([*arguments, "-o", str(target)]) == 1
    assert len(target.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "no-model", "-"], "no-model"),
        (["plan", "missing.csv", "--teacher", "x.gguf", "--classes", "a"], "missing"),
    ],
)
def test_what_is_not_there_is_named(arguments, message, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["demo", "plan", "label", "fit", "predict", "report", "export", "store"]
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


def test_rows_with_other_columns_make_no_csv(model, tmp_path, capsys):
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n{"text": "b", "id": 1}\n')
    arguments = ["predict", str(model), str(tmp_path / "in.jsonl")]
    assert main([*arguments, "-o", str(tmp_path / "out.csv")]) == 1
    assert "row 2 has the columns" in capsys.readouterr().err


def test_plan_says_what_labelling_takes(answers, capsys):
    arguments = ["plan", str(answers), "--teacher", str(answers)]
    assert main([*arguments, "--classes", *TOPICS]) == 0
    texts = pd.read_csv(answers)["text"].tolist()
    plan = PrecomputedTeacher.from_table(answers).plan(texts, TOPICS)
    assert capsys.readouterr().out == f"{plan}\n"


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


def test_plan_says_the_cost_at_the_price_that_is_given(tmp_path, capsys, monkeypatch):
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
    arguments += ["--base-url", "http://localhost:1/v1"]
    assert main(arguments) == 0
    assert "unknown" in cost_line(capsys)
    assert main([*arguments, "--price", "1000000", "0"]) == 0  # a token read costs 1
    out = capsys.readouterr().out
    line = {row.split("  ")[0]: row.split()[-1] for row in out.splitlines()}
    tokens = int(line["tokens read, estimated"].replace(",", ""))
    assert tokens > 0
    assert float(line["cost"].replace(",", "")) == tokens


def cost_line(capsys):
    (line,) = [
        row for row in capsys.readouterr().out.splitlines() if row.startswith("cost")
    ]
    return line


def test_a_gguf_file_is_read_by_what_is_installed(monkeypatch, capsys):
    options = argparse.Namespace(
        teacher="model.gguf", examples=None, max_calls=9, instruction="Which?"
    )
    for spec, kind in ((None, TransformersTeacher), (object(), LlamaCppTeacher)):
        monkeypatch.setattr("skllkd.cli.arguments.find_spec", lambda _, s=spec: s)
        teacher = teacher_of(options)
        assert type(teacher) is kind
        assert (teacher.max_calls, teacher.instruction) == (9, "Which?")
        said = "read by transformers" in capsys.readouterr().err
        assert said == (kind is TransformersTeacher)


def test_a_folder_is_a_sentence_encoder_unless_a_server_is_named(
    answers, tiny_path, capsys
):
    command = ["label", str(answers), "--teacher", str(tiny_path), "--classes", *TOPICS]
    assert main(command) == 0
    found = pd.read_csv(io.StringIO(capsys.readouterr().out))
    expected = EmbeddingTeacher(tiny_path).label(found["text"], TOPICS)
    names = np.array(TOPICS)[expected.proba.argmax(axis=1)]
    assert found["label"].tolist() == names.tolist()
    options = argparse.Namespace(
        teacher=str(tiny_path), base_url="http://localhost:1/v1", examples=None,
        max_calls=None, instruction=None, api_key_env=None, max_cost=None, price=None,
    )  # fmt: skip
    assert type(teacher_of(options)) is OpenAITeacher


def test_labels_are_a_table_on_standard_output_too(answers, tmp_path, capsys):
    command = ["label", str(answers), "--teacher", str(answers), "--classes", *TOPICS]
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("text,label,proba_business,")
    assert main([*command, "-o", str(tmp_path / "labels.txt")]) != 0
    assert "labels.txt' must be a table" in capsys.readouterr().err
