"""Tables that are written: complete or absent, as they come, and valid."""

import io
import json
import os
import stat
import sys

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from skllkd._core.tables.arrow import ArrowBlock
from skllkd._core.tables.blocks import RowBlock
from skllkd._core.tables.formats import OUTPUT_FORMATS
from skllkd._core.tables.writing import open_output, writer_of
from skllkd.exceptions import InvalidParameterError

from tests._core.tables.conversions import pipe, read, read_piped, write, written

NAN = float("nan")


def write_and_fail(path, kind):
    with open_output(str(path), kind, "text") as output:
        output.write(RowBlock([{"text": "a"}]))
        raise InvalidParameterError("later")


@pytest.mark.parametrize("kind", OUTPUT_FORMATS)
def test_a_file_is_complete_or_as_it_was(kind, tmp_path):
    path = tmp_path / "out"
    for before in (None, b"earlier"):
        if before is not None:
            path.write_bytes(before)
        with pytest.raises(InvalidParameterError, match="later"):
            write_and_fail(path, kind)
        assert list(tmp_path.iterdir()) == ([path] if before else [])
        assert before is None or path.read_bytes() == before
    write(path, [{"text": "a"}], kind)
    assert path.read_bytes() != before
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_may_be_read_by_others_and_an_old_one_by_whom_it_was(tmp_path):
    path = tmp_path / "out.csv"
    mask = os.umask(0o022)
    try:
        write(path, [{"text": "a"}], "csv")
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.chmod(0o600)
    write(path, [{"text": "b"}], "csv")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.csv").write_text("earlier")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    write(tmp_path / "link.csv", [{"text": "a"}], "csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert read(tmp_path / "real.csv") == [{"text": "a"}]


@pytest.mark.parametrize(
    ("name", "message"), [("", "is a folder"), ("none/out.csv", "cannot be written")]
)
def test_a_place_that_cannot_be_written_is_named_at_once(name, message, tmp_path):
    with (
        pytest.raises(InvalidParameterError, match=message),
        open_output(str(tmp_path / name), "csv", "text"),
    ):
        pytest.fail("the work has begun")
    with (
        pytest.raises(InvalidParameterError, match="excel is not written"),
        open_output(str(tmp_path / "a.xlsx"), "excel", "text"),
    ):
        pytest.fail("the work has begun")


def test_a_pipe_has_every_block_at_once(monkeypatch):
    reading, writing = os.pipe()
    with open(writing, "w") as stdout, open(reading, "rb", buffering=0) as reader:
        monkeypatch.setattr(sys, "stdout", stdout)
        with open_output("-", "csv", "text") as output:
            output.write(RowBlock([{"text": "th\xe9"}]))
            assert reader.read(99) == "text\nth\xe9\n".encode()
            with pytest.raises(InvalidParameterError, match=r"row 2 .*'late'"):
                output.write(RowBlock([{"text": "b", "late": 1}]))


def test_columns_that_come_late_are_in_all_rows():
    rows = [{"text": "a,\r\n"}, {"text": "b"}, {"late": 2, "text": "c"}, {}]
    assert written(rows, "csv") == b'text,late\n"a,\r\n",\nb,\nc,2\n,\n'
    found = parquet.read_table(pa.BufferReader(written(rows, "parquet"))).to_pylist()
    assert [row["late"] for row in found] == [None, None, 2, None]


def test_numbers_keep_their_bits_and_blocks_may_differ():
    rows = [{"id": None}, {"id": None}, {"id": 2**63 + 5}, {"id": 7}]
    found = parquet.read_table(pa.BufferReader(written(rows, "parquet")))
    assert found["id"].to_pylist() == [row["id"] for row in rows]
    mixed = [{"id": 2**60 + 1}, {"id": 1}, {"id": 0.5}]
    with pytest.raises(InvalidParameterError, match="Write .jsonl"):
        written(mixed, "parquet")
    assert [json.loads(line)["id"] for line in written(mixed, "jsonl").splitlines()] == [
        2**60 + 1, 1, 0.5,
    ]  # fmt: skip


def test_a_column_of_several_types_is_named():
    with pytest.raises(InvalidParameterError, match=r"column 'x'.*Write .jsonl"):
        written([{"x": 1}, {"x": "a"}], "parquet")
    with pytest.raises(InvalidParameterError, match=r"\bx\b.*Write .jsonl"):
        written([{"x": 1}, {"x": "a"}], "parquet", block_size=1)
    with pytest.raises(InvalidParameterError, match=r"column 'x'.*Write .jsonl"):
        written([{"x": 2**70}], "arrow")


def test_missing_values_have_no_word():
    row = {
        "a": None,
        "b": NAN,
        "c": [NAN, {"d": float("inf")}],
        "e": True,
        "f": b"\xff",
    }
    assert json.loads(written([row], "jsonl")) == {
        "a": None, "b": None, "c": [None, {"d": None}], "e": True, "f": "/w==",
    }  # fmt: skip
    assert written([row], "tsv") == (
        b'a\tb\tc\te\tf\n\t\t"[null, {""d"": null}]"\tTrue\t/w==\n'
    )


def test_lines_hold_one_column():
    assert written([{"text": "a"}, {"text": None}, {"text": 3}], "txt") == b"a\n\n3\n"
    with pytest.raises(InvalidParameterError, match="line end"):
        written([{"text": "a\nb"}], "txt")


def test_arrow_columns_are_text_where_no_types_are():
    table = pa.table(
        {
            "ns": pa.array([1_714_557_600_123_456_789], pa.timestamp("ns")),
            "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
            "price": pa.array([110]).cast(pa.decimal128(22, 2)),
        }
    )
    assert ArrowBlock(table).rows() == [
        {"ns": "2024-05-01 10:00:00.123456789", "map": [("k", 1)], "price": "110.00"}
    ]


def test_an_empty_array_is_one():
    assert json.loads(written([], "json")) == []
    with pipe(written([], "json")):
        assert read("-", format="json") == []


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_bytes_are_words_if_all_of_their_column_are(kind):
    """As the strings of parquet files without a logical type, beside digests."""
    columns = {"name": ["M\xfcller".encode(), b""], "digest": [b"\xff\x00", b"ab"]}
    block = ArrowBlock(pa.table(columns | {"parts": [[b"a"], None]}))
    found = read_piped(output_of(kind, block), format=kind)
    assert [row["name"] for row in found] == ["M\xfcller", ""]
    assert [row["digest"] for row in found] == ["/wA=", "YWI="]
    assert found[0]["parts"] in (["YQ=="], '["YQ=="]')
    later = pa.table({"name": [b"c", None, b"\xe9"], "digest": [b"x", b"y", None]})
    with pytest.raises(InvalidParameterError, match="row 5: column 'name' holds bytes"):
        output_of(kind, block, ArrowBlock(later))
    found = read_piped(output_of(kind, block, ArrowBlock(later[:2])), format=kind)
    assert [row["digest"] for row in found] == ["/wA=", "YWI=", "eA==", "eQ=="]


def output_of(kind, *blocks):
    """Return the bytes of a table that is written in blocks."""
    stream = io.BytesIO()
    writer = writer_of(stream, kind, "name", is_pipe=True)
    for block in blocks:
        writer.write(block)
    writer.finish()
    return stream.getvalue()
