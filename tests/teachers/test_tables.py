"""Answers in files and data frames."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from skllkd.exceptions import (
    InvalidParameterError,
    MissingDependencyError,
    MissingLabelWarning,
    SkllkdWarning,
    TeacherOutputError,
)
from skllkd.teachers import (
    BatchCalibration,
    CallableTeacher,
    PrecomputedTeacher,
)

AB = ["a", "b"]
TEXTS = ["one", 'two, "quoted"\nlines', "N/A", "None", "three"]
PROBA = [[0.1, 0.9], [1 / 3, 2 / 3], [np.nan, np.nan], [1.0, 0.0], [0.7, 0.3]]


def written(path, frame):
    """Write a frame in the format its path says."""
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix in (".csv", ".tsv"):
        sep = "\t" if path.suffix == ".tsv" else ","
        frame.to_csv(path, index=False, sep=sep)
    else:
        frame.to_json(path, orient="records", lines=True, double_precision=15)
    return path


FORMATS = ["parquet", "csv", "tsv", "jsonl", "json", "ndjson"]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("classes", [AB, [3, 1], [True, False]], ids=str)
def test_what_labels_write_is_read_again(suffix, classes, tmp_path):
    teacher = PrecomputedTeacher(TEXTS, PROBA)
    with pytest.warns(MissingLabelWarning):
        labels = teacher.label(TEXTS, classes)
    path = tmp_path / f"labels.{suffix}"
    if suffix == "parquet":
        labels.to_parquet(path, TEXTS)
    else:
        written(path, labels.to_pandas(TEXTS))
    again = PrecomputedTeacher.from_table(path)
    with pytest.warns(MissingLabelWarning, match="1 of 5"):
        read = again.label(TEXTS, classes)
    np.testing.assert_allclose(read.proba, labels.proba, atol=1e-12)
    with pytest.warns(MissingLabelWarning):
        turned = again.label(TEXTS, classes[::-1])
    np.testing.assert_allclose(turned.proba, labels.proba[:, ::-1], atol=1e-12)


@pytest.mark.parametrize("suffix", FORMATS)
def test_labels_and_confidences(suffix, tmp_path):
    frame = pd.DataFrame(
        {"body": ["x", "y", "z"], "label": ["a", None, "b"], "sure": [0.9, 0.5, 0.6]}
    )
    path = written(tmp_path / f"t.{suffix}", frame)
    with_confidence = PrecomputedTeacher.from_table(
        path, text="body", confidence="sure", calibration=BatchCalibration()
    )
    assert with_confidence.calibration == BatchCalibration()
    with_confidence.calibration = None
    with pytest.warns(MissingLabelWarning, match="1 of 3"):
        proba = with_confidence.label(["x", "y", "z"], AB).proba
    np.testing.assert_allclose(proba[[0, 2]], [[0.9, 0.1], [0.4, 0.6]])
    hard = PrecomputedTeacher.from_table(path, text="body")
    np.testing.assert_array_equal(hard.label(["x"], AB).proba, [[1, 0]])


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("classes", [[1, 0], ["1", "0"]], ids=str)
def test_numbers_as_labels_with_a_gap(suffix, classes, tmp_path):
    frame = pd.DataFrame({"text": ["x", "y", "z"], "label": [1, 0, None]})
    path = written(tmp_path / f"t.{suffix}", frame)
    labels = PrecomputedTeacher.from_table(path).label(["x", "y"], classes)
    np.testing.assert_array_equal(labels.proba, [[1, 0], [0, 1]])


def test_a_class_may_be_named_none(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,label\nx,None\ny,nan\nz,\n")
    teacher = PrecomputedTeacher.from_table(path)
    np.testing.assert_array_equal(
        teacher.label(["x", "y"], ["nan", "None"]).proba, [[0, 1], [1, 0]]
    )
    with pytest.warns(MissingLabelWarning):
        teacher.label(["z"], ["nan", "None"])


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_labels_stay_the_strings_they_are(suffix, tmp_path):
    names = ["007", "7", "1.10", "1.1", "TRUE", "2024-01-01", "1e3"]
    frame = pd.DataFrame({"text": list("abcdefg"), "label": names})
    path = written(tmp_path / f"t.{suffix}", frame)
    labels = PrecomputedTeacher.from_table(path).label(list("abcdefg"), names)
    np.testing.assert_array_equal(labels.proba, np.eye(7))


def test_a_cell_that_is_no_number_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("text,label,sure\nx,a,much\n")
    with pytest.raises(
        InvalidParameterError, match=r"'sure' .*numbers.*'much' in row 1"
    ):
        PrecomputedTeacher.from_table(tmp_path / "t.csv", confidence="sure")
    (tmp_path / "t.csv").write_text('text,proba_a,proba_b\nx,0.5,0.5\ny,"0,9","0,1"\n')
    with pytest.raises(
        InvalidParameterError, match=r"'proba_a' .*point.*'0,9' in row 2"
    ):
        PrecomputedTeacher.from_table(tmp_path / "t.csv")


def test_labels_alone_in_lists(tmp_path):
    (tmp_path / "t.jsonl").write_text(
        '{"text": "x", "label": [1]}\n{"text": "y", "label": [0]}\n'
    )
    teacher = PrecomputedTeacher.from_table(tmp_path / "t.jsonl")
    for classes in ([1, 0], ["1", "0"]):
        np.testing.assert_array_equal(
            teacher.label(["y", "x"], classes).proba, 1 - np.eye(2)
        )


def test_a_column_that_is_there_twice_is_refused():
    frame = pd.DataFrame([["x", "a", "b"]], columns=["text", "label", "label"])
    with pytest.raises(InvalidParameterError, match="'label' is there 2 times"):
        PrecomputedTeacher.from_table(frame)


def test_texts_may_be_nested(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"data": {"text": "x"}, "label": "a"}\n')
    teacher = PrecomputedTeacher.from_table(tmp_path / "t.jsonl", text="data.text")
    np.testing.assert_array_equal(teacher.label(["x"], AB).proba, [[1, 0]])


@pytest.mark.parametrize("table_of", [pd.DataFrame, pl.DataFrame, pa.table])
def test_data_frames(table_of):
    columns = {"t": ["x", "y"], "p1": [0.2, 0.9], "p2": [0.8, 0.1]}
    teacher = PrecomputedTeacher.from_table(
        table_of(columns), text="t", proba={"b": "p1", "a": "p2"}
    )
    np.testing.assert_allclose(
        teacher.label(["y", "x"], AB).proba, [[0.1, 0.9], [0.8, 0.2]]
    )


def test_probabilities_by_class():
    answers = {"b": [0.2, None], "a": [0.8, None]}
    teacher = PrecomputedTeacher(["x", "y"], answers)
    with pytest.warns(MissingLabelWarning, match="1 of 2"):
        proba = teacher.label(["x", "y"], AB).proba
    np.testing.assert_allclose(proba[0], [0.8, 0.2])
    with pytest.raises(
        InvalidParameterError, match=r"`answers`.*\['b', 'a'\].*\['c'\]"
    ):
        teacher.label(["x"], ["a", "b", "c"])
    with pytest.raises(TeacherOutputError, match="summing to 1"):
        PrecomputedTeacher(["x"], {"a": [0.2], "b": [0.3], "c": [0.5]}).label(["x"], AB)


def test_a_list_of_arrays_is_rows():
    teacher = PrecomputedTeacher(["x"], [np.array([0.8, 0.2])])
    np.testing.assert_allclose(teacher.label(["x"], AB).proba, [[0.8, 0.2]])


def test_the_columns_of_probabilities_come_before_the_label():
    frame = pd.DataFrame(
        {"text": ["x"], "label": ["a"], "proba_a": [0.6], "proba_b": 0.4}
    )
    probable = PrecomputedTeacher.from_table(frame).label(["x"], AB)
    np.testing.assert_allclose(probable.proba, [[0.6, 0.4]])
    sure = PrecomputedTeacher.from_table(frame, label="label").label(["x"], AB)
    np.testing.assert_allclose(sure.proba, [[1, 0]])


def test_what_cannot_be_read_is_named(tmp_path):
    frame = pd.DataFrame({"text": ["x"], "y": ["a"]})

    def read(table=frame, **columns):
        PrecomputedTeacher.from_table(table, **columns)

    with pytest.raises(InvalidParameterError, match=r"`text`.*'body'.*\['text', 'y'\]"):
        read(text="body")
    with pytest.raises(InvalidParameterError, match=r"`label`.*'label'.*\['text'\]"):
        read(frame[["text"]])
    of_classes = PrecomputedTeacher.from_table(frame)  # a column for each class
    with pytest.raises(InvalidParameterError, match=r"\['y'\], none for \['a', 'b'\]"):
        of_classes.label(["x"], ["a", "b"])
    with pytest.raises(InvalidParameterError, match=r"`confidence`.*'sure'"):
        read(label="y", confidence="sure")
    with pytest.raises(InvalidParameterError, match="`proba`.*'p_b'"):
        read(proba={"a": "y", "b": "p_b"})
    with pytest.raises(InvalidParameterError, match="`proba` must map"):
        read(proba=["y"])
    with pytest.raises(InvalidParameterError, match="got both"):
        read(label="y", proba={"a": "y"})
    with pytest.raises(InvalidParameterError, match="`table`.*dict"):
        read({"text": ["x"]})
    with pytest.raises(InvalidParameterError, match=r"\.parquet, \.csv.*'t\.doc'"):
        read(tmp_path / "t.doc")
    with pytest.raises(InvalidParameterError, match=r"t\.csv: there is no file"):
        read(tmp_path / "t.csv")
    (tmp_path / "t.json").write_text(json.dumps([{"text": "x"}], indent=1))
    with pytest.raises(InvalidParameterError, match=r"`label`.*\['text'\]"):
        read(tmp_path / "t.json")
    (tmp_path / "t.parquet").write_bytes(b"PAR")
    with pytest.raises(InvalidParameterError, match=r"t\.parquet cannot be read"):
        read(tmp_path / "t.parquet")
    with pytest.raises(InvalidParameterError, match="`text` must hold strings"):
        read(pd.DataFrame({"text": ["x", None], "label": ["a", "b"]}))


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    frame = pd.DataFrame({"text": ["x"], "label": ["a"]})
    path = written(tmp_path / "t.parquet", frame)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"skllkd\[table\]"):
        PrecomputedTeacher.from_table(path)


def test_a_teacher_may_be_written_and_read_as_another(tmp_path):
    teacher = CallableTeacher(lambda texts: [[0.2, 0.8]] * len(texts))
    teacher.label(["x"], AB).to_parquet(tmp_path / "l.parquet", ["x"])
    read = PrecomputedTeacher.from_table(tmp_path / "l.parquet")
    np.testing.assert_allclose(read.label(["x"], AB).proba, [[0.2, 0.8]])


def test_only_line_feeds_end_lines(tmp_path):
    text = "before\u2028after\x85end"
    line = json.dumps({"text": text, "label": "a"}, ensure_ascii=False)
    (tmp_path / "t.jsonl").write_text(line + "\n", encoding="utf-8")
    teacher = PrecomputedTeacher.from_table(tmp_path / "t.jsonl")
    assert not teacher.label([text], AB).missing.any()


def test_the_texts_written_are_those_of_the_labels_and_whole(tmp_path):
    labels = PrecomputedTeacher(["x"], ["a"]).label(["x"], AB)
    with pytest.raises(InvalidParameterError, match="1 texts of these labels; got 2"):
        labels.to_pandas(["x", "y"])
    with pytest.warns(SkllkdWarning, match="surrogate"):
        labels.to_parquet(tmp_path / "l.parquet", ["half \ud83d"])
    assert pd.read_parquet(tmp_path / "l.parquet")["text"].tolist() == ["half \ufffd"]
