"""The reader and writer of tables."""

import pytest
from skllkd._core.tables import format_of, read_columns, read_rows, write_rows
from skllkd.exceptions import InvalidParameterError

ROWS = [
    {"text": 'a, "b"\nc', "label": "007"},
    {"text": "N/A", "label": "1.10"},
    {"text": "", "label": "TRUE"},
]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_strings_come_back_as_they_were_written(kind, tmp_path):
    path = str(tmp_path / f"t.{kind}")
    assert write_rows(iter(ROWS), path, format_of(path, None)) == 3
    assert list(read_rows(path, kind)) == ROWS
    assert read_columns(path)["label"] == ["007", "1.10", "TRUE"]


def test_rows_of_json_may_have_other_columns(tmp_path):
    path = tmp_path / "t.ndjson"
    path.write_text('{"text": "a"}\n\n{"text": "b", "id": 7}\n')
    assert read_columns(str(path)) == {"text": ["a", "b"], "id": [None, 7]}


def test_plain_lines_are_the_column_named(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("one\ntwo\r\n")
    assert list(read_rows(str(path), "txt", "body")) == [
        {"body": "one"},
        {"body": "two"},
    ]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "txt"])
def test_reading_begins_before_the_file_is_read(kind, tmp_path):
    path = str(tmp_path / f"t.{kind}")
    rows = [{"text": "t", "predicted": "a"}] * 3
    write_rows(rows, path, kind)
    stream = read_rows(path, kind)
    assert next(stream)["text"] in ("t", "a")
    stream.close()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.parquet", "PAR", "cannot be read as parquet"),
        ("t.jsonl", "[1]\n", "line 1 is no JSON object"),
        ("t.csv", "a\n1,2\n", "row 1: there are more cells"),
        ("t.doc", "x", "--format"),
        ("none.csv", None, "there is no file"),
    ],
)
def test_what_cannot_be_read_is_named(name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InvalidParameterError, match=message):
        read_columns(str(tmp_path / name))
