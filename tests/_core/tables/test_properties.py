"""Properties of reading and writing: nothing is lost, changed or raised by others."""

import codecs
import contextlib
import gzip
import io
import json
import math
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

TABLES = [kind for kind in OUTPUT_FORMATS if kind != "txt"]
cells = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    [
        "007",
        "1.10",
        "TRUE",
        "NA",
        "2024-01-01",
        'a "b"',
        "a\r\nb",
        " ",
        "\ufeff",
        "a\0b",
        ";",
    ]
)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=4)


def outcome(call, message):
    """Return what a call returns, or None if it raises an error with a message."""
    try:
        return call()
    except InvalidParameterError as error:
        if message in str(error):
            return None
        raise


@st.composite
def string_tables(draw):
    """Tables of strings, one of whose columns is named text."""
    columns = ["text", *draw(st.lists(names, max_size=3, unique=True))]
    columns = draw(st.permutations(list(dict.fromkeys(columns))))
    row = st.tuples(*[cells] * len(columns))
    return [
        dict(zip(columns, values, strict=True))
        for values in draw(st.lists(row, min_size=1, max_size=5))
    ]


@given(
    rows=string_tables(),
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
    rows=string_tables(),
    kinds=st.tuples(st.sampled_from(TABLES), st.sampled_from(TABLES)),
    labels=st.lists(st.none() | cells.filter(bool), min_size=5, max_size=5),
    name=names.filter(bool) | st.just("predicted"),
)
def test_columns_are_added_to_any_table_in_any_format(rows, kinds, labels, name):
    """Whatever was there stays, or the name is refused; no label is no word."""
    added = AddedColumns(SimpleNamespace(output_column=name), "predicted", ["sure"])
    assert added.names == [name, f"{name}_sure"]
    stream = io.BytesIO()
    writer = writer_of(stream, kinds[1], name, is_pipe=True)
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
        assert row.pop(name) == (nothing if label is None else label)
        assert row.pop(f"{name}_sure") == ("0.5" if is_text else 0.5)
        assert row == before
    assert len(found) == len(rows)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | cells,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)
    ),
    max_leaves=6,
)
json_rows = st.lists(
    st.builds(
        lambda row, text: row | {"text": text},
        st.dictionaries(names, json_values, max_size=3),
        cells,
    ),
    min_size=1,
    max_size=4,
)


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


arrow_columns = st.one_of(
    st.lists(st.none() | st.integers(0, 2**64 - 1), min_size=2, max_size=2).map(
        lambda v: pa.array(v, pa.uint64())
    ),
    st.lists(
        st.none() | st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=2
    ).flatmap(
        lambda v: st.sampled_from(
            [
                pa.int64(),
                pa.timestamp("ns"),
                pa.timestamp("us", "UTC"),
                pa.duration("us"),
            ]
        ).map(lambda kind: pa.array(v, pa.int64()).view(kind))
    ),
    st.lists(st.none() | st.binary(max_size=3), min_size=2, max_size=2).map(
        lambda v: pa.array(v, pa.binary())
    ),
    st.lists(
        st.none() | st.lists(st.tuples(cells, st.floats(width=32)), max_size=2),
        min_size=2,
        max_size=2,
    ).map(lambda v: pa.array(v, pa.map_(pa.string(), pa.float32()))),
    st.lists(st.none() | cells, min_size=2, max_size=2).map(
        lambda v: pa.array(v, pa.large_string()).dictionary_encode()
    ),
)


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
    given = parquet.read_table(data)["other"]
    opened = pa.ipc.open_file if kind == "arrow" else parquet.ParquetFile
    with opened(pa.BufferReader(out.getvalue())) as file:
        found = (file.read_all if kind == "arrow" else file.read)()
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


def likely_bytes():
    """Bytes that look like some table, damaged or not."""
    pieces = st.sampled_from(PIECES)
    return st.lists(pieces | st.binary(max_size=4), max_size=12).map(b"".join)


@given(
    data=likely_bytes() | st.binary(max_size=40),
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
        path = tmp_path / "t"
        path.write_bytes(data)
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
    path = tmp_path / f"t.{kind}"
    path.write_bytes(damaged)
    outcome(lambda: read(path), str(path))


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
