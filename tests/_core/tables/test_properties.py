"""Properties of reading and writing: nothing is lost, changed or raised by others."""

import codecs
import contextlib
import gzip
import io
import json
import math
import struct
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from skllkd._core.tables.formats import OUTPUT_FORMATS, Source
from skllkd._core.tables.reading import read_table
from skllkd._core.tables.writing import writer_of
from skllkd.cli.tables import AddedColumns
from skllkd.exceptions import InvalidParameterError

from tests._core.tables.conversions import pipe, read, read_piped, written
from tests.choices import Choices, built

TABLES = [kind for kind in OUTPUT_FORMATS if kind != "txt"]
CELLS = [
    *("007", "1.10", "TRUE", "NA", "2024-01-01", 'a "b"', "a\r\nb", " ", "\ufeff"),
    *("a\0b", ";"),
]


def cell(choices):
    """Choose any string, or one that might be taken for another."""
    return choices.of(CELLS) if choices.below(2) else choices.text()


def name(choices):
    """Choose the name of a column."""
    return choices.text(3).translate(dict.fromkeys(map(ord, "\0\ufeff")))


def outcome(call, message):
    """Return what a call returns, or None if it raises an error with a message."""
    try:
        return call()
    except InvalidParameterError as error:
        if message in str(error):
            return None
        raise


def string_table(choices):
    """Make a table of strings, one of whose columns is named text."""
    columns = choices.several(name, 3)
    columns.insert(choices.below(len(columns) + 1), "text")
    columns = list(dict.fromkeys(columns))
    n_rows = 1 + choices.below(3)  # two blocks
    return [{column: cell(choices) for column in columns} for _ in range(n_rows)]


string_tables = built(string_table)


@given(
    rows=string_tables,
    kinds=st.tuples(st.sampled_from(TABLES), st.sampled_from(TABLES)),
    is_packed=st.booleans(),
)
@example(rows=[{"text": ""}], kinds=("csv", "tsv"), is_packed=False)
@example(rows=[{"text": "\r"}], kinds=("csv", "jsonl"), is_packed=True)
def test_strings_pass_from_any_format_to_any_other(rows, kinds, is_packed):
    found = rows
    for kind in kinds:
        data = written(found, kind)
        data = gzip.compress(data) if is_packed else data
        found = read_piped(data, format=kind)
        assert found == rows, kind


@given(
    rows=string_tables,
    kinds=st.tuples(st.sampled_from(TABLES), st.sampled_from(TABLES)),
    labels=built(lambda c: [cell(c) or None if c.below(3) else None for _ in range(5)]),
    added_name=built(lambda c: (name(c) if c.below(2) else "") or "predicted", 16),
)
def test_columns_are_added_to_any_table_in_any_format(rows, kinds, labels, added_name):
    """Whatever was there stays, or the name is refused; no label is no word."""
    added = AddedColumns(
        SimpleNamespace(output_column=added_name), "predicted", ["sure"]
    )
    assert added.names == [added_name, f"{added_name}_sure"]
    stream = io.BytesIO()
    writer = writer_of(stream, kinds[1], added_name, is_pipe=True)
    with (
        pipe(written(rows, kinds[0])),
        read_table(Source("-", format=kinds[0])) as table,
        contextlib.closing(writer),
    ):
        start = 0
        for block in table:
            part = labels[start : start + len(block)]
            start += len(block)
            wider = outcome(
                lambda b=block, p=part: added.add(b, [p, [0.5] * len(p)]),
                "already, which would be lost",
            )
            if wider is None:
                assert {*added.names} & {*rows[0]}
                return
            writer.write(wider)
        writer.finish()
    found = read_piped(stream.getvalue(), format=kinds[1])
    is_text = kinds[1] in ("csv", "tsv")
    for row, before, label in zip(found, rows, labels, strict=False):
        nothing = "" if is_text else None
        assert row.pop(added_name) == (nothing if label is None else label)
        assert row.pop(f"{added_name}_sure") == ("0.5" if is_text else 0.5)
        assert row == before
    assert len(found) == len(rows)


JSON_LEAVES = [
    lambda _: None,
    lambda c: bool(c.below(2)),
    lambda c: c.integer((1, 1, 2, 4, 8, 9)),
    Choices.finite,
    cell,
]


def json_row(choices):
    """Make a row of any JSON, with a text."""

    def value(c):
        return c.nested(lambda c: c.of(JSON_LEAVES)(c), name)

    return choices.mapping(name, value) | {"text": cell(choices)}


json_rows = built(lambda c: c.several(json_row, 3, least=1), 256)


@given(rows=json_rows)
def test_json_is_valid_and_comes_back(rows):
    lines, array = written(rows, "jsonl"), written(rows, "json")
    assert list(map(json.loads, lines.split(b"\n")[:-1])) == rows
    assert json.loads(array) == rows
    assert read_piped(lines, format="json") == read_piped(array, format="jsonl") == rows


@given(rows=json_rows, kind=st.sampled_from(["parquet", "arrow"]))
def test_json_comes_back_from_columns_with_types_or_is_refused(rows, kind):
    data = outcome(lambda: written(rows, kind), "Write .jsonl")
    if data is None:
        return
    for found, row in zip(read_piped(data, format=kind), rows, strict=True):
        assert set(row) <= set(found)
        assert all(same(found[name], row.get(name)) for name in found)


def same(found, given):
    """Return whether two values are the same but for fields that are missing."""
    if isinstance(given, dict):
        return all(same(found.get(name), given.get(name)) for name in {*found, *given})
    if isinstance(given, list):
        return len(found) == len(given) and all(map(same, found, given))
    return found == given


@given(rows=json_rows)
def test_csv_has_every_row_and_column(rows):
    found = read_piped(written(rows, "csv"), format="csv")
    assert [row["text"] for row in found] == [row["text"] for row in rows]
    assert set(found[0]) == {name for row in rows for name in row}
    for row, cell in zip(rows, found, strict=True):
        assert all(cell[name] == "" for name in cell if row.get(name) is None)


COUNTED = [pa.int64(), pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.duration("us")]


def counted(choices):
    """Make a column of integers, or of times and durations that are these integers."""
    values = either(choices, lambda c: c.integer((1, 2, 4, 8)))
    return pa.array(values, pa.int64()).view(choices.of(COUNTED))


def either(choices, value):
    """Make two values, each of which may be None."""
    return [value(choices) if choices.below(3) else None for _ in range(2)]


def pair(choices):
    """Make an item of a map: a string and a number of 32 bits."""
    return cell(choices), struct.unpack("<f", choices.take(4))[0]


ARROW_COLUMNS = [
    lambda c: pa.array(
        either(c, lambda c: int.from_bytes(c.take(c.of((1, 8))))), pa.uint64()
    ),
    counted,
    lambda c: pa.array(either(c, lambda c: c.take(c.below(4))), pa.binary()),
    lambda c: pa.array(
        either(c, lambda c: c.several(pair, 2)), pa.map_(pa.string(), pa.float32())
    ),
    lambda c: pa.array(either(c, cell), pa.large_string()).dictionary_encode(),
]
arrow_columns = built(lambda c: c.of(ARROW_COLUMNS)(c), 64)


@given(column=arrow_columns, kind=st.sampled_from(["parquet", "arrow"]))
def test_columns_of_any_type_are_kept(column, kind):
    data = io.BytesIO()
    table = pa.table({"text": ["a", "b"], "other": column})
    parquet.write_table(table, data)
    out, lines = io.BytesIO(), io.BytesIO()
    writer = writer_of(out, kind, "n", is_pipe=False)
    as_json = writer_of(lines, "jsonl", "n", is_pipe=False)
    with pipe(data.getvalue()), read_table(Source("-")) as rows:
        for block in rows:
            assert block.values("text") == ["a", "b"]
            writer.write(block.with_columns({"n": [1, None]}))
            as_json.write(block)
    writer.finish()
    writer.close()
    given = parquet.ParquetFile(data).read(use_threads=False)["other"]
    opened = pa.ipc.open_file if kind == "arrow" else parquet.ParquetFile
    with opened(pa.BufferReader(out.getvalue())) as file:
        found = file.read_all() if kind == "arrow" else file.read(use_threads=False)
    assert found["other"].type == given.type
    assert "nan" in str(given) or found["other"].equals(given)
    for line in lines.getvalue().split(b"\n")[:-1]:
        json.loads(line, parse_constant=pytest.fail)


PIECES = [
    *(b'"', b'""', b",", b";", b"\t", b"\n", b"\r\n", b"\r", b"text", b"\\", b"\0"),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b"null",
        b"1e999",
        b'"\\ud83d"',
        b'{"text": "a"}\n',
    ),
    *(b"\xff", b"\xe9", b"PAR1", b"ARROW1", b"PK\x03\x04", b"\x1f\x8b", b"FEA1"),
    *(b"\x28\xb5\x2f\xfd", b"sep=;", b"\xff" * 4, codecs.BOM_UTF8),
    *(codecs.BOM_UTF16_LE, codecs.BOM_UTF32_BE),
]


def likely_bytes(choices):
    """Make bytes that look like some table, damaged or not."""
    return b"".join(choices.several(piece, 12))


def piece(choices):
    """Choose a piece of a table, or a few bytes."""
    return choices.of(PIECES) if choices.below(3) else choices.take(choices.below(5))


@given(
    data=built(likely_bytes, 64) | st.binary(max_size=40),
    kind=st.sampled_from([*OUTPUT_FORMATS, "excel", None]),
    encoding=st.sampled_from([None, None, "cp1252", "utf-16", "hex", "none", "utf-7"]),
    delimiter=st.sampled_from([None, None, ";", "", "ab", '"']),
    quotes=st.booleans(),
)
def test_any_bytes_are_rows_or_a_named_error(
    data, kind, encoding, delimiter, quotes, tmp_path
):
    given = {
        "format": kind,
        "encoding": encoding,
        "delimiter": delimiter,
        "quotes": quotes,
    }
    dripping, at_once = (
        outcome(lambda size=size: read_piped(data, size, **given), "standard input")
        for size in (1, 1 << 20)
    )
    assert repr(dripping) == repr(at_once)
    if kind is not None:
        path = new_file(tmp_path / "t", data)
        by_name = outcome(lambda: read(path, **given), str(path))
        assert repr(by_name) == repr(at_once)


@given(
    data=st.binary(max_size=6),
    place=st.floats(0, 1),
    n_cut=st.integers(0, 30),
    kind=st.sampled_from(["parquet", "arrow", "csv.gz", "csv.zst"]),
)
def test_damaged_files_are_rows_or_a_named_error(
    whole_files, data, place, n_cut, kind, tmp_path
):
    content = whole_files[kind]
    start = math.floor(place * len(content))
    damaged = content[:start] + data + content[start + n_cut :]
    path = new_file(tmp_path / f"t.{kind}", damaged)
    outcome(lambda: read(path), str(path))


def new_file(path, data):
    """Write a file in the place of another: quicker than to cut that to nothing."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def whole_files():
    """Return the bytes of sound files, which are not shown with a failure."""

    class Unseen(dict):
        __repr__ = object.__repr__

    rows = [{"text": f"text {i}", "n": str(i)} for i in range(9)]
    files = {kind: written(rows, kind) for kind in TABLES}
    packed = {"csv.gz": gzip.compress(files["csv"])}
    packed["csv.zst"] = pa.Codec("zstd").compress(files["csv"], asbytes=True)
    return Unseen(files | packed)
