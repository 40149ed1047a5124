"""Files as people have them: read as they are, or refused by name with a remedy."""

import codecs
import csv
import gzip
import io
import json
import sys

import openpyxl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as parquet
import pytest
from skllkd._core.tables.formats import Source, format_of_name
from skllkd._core.tables.reading import WholeTable, read_table
from skllkd.exceptions import InvalidParameterError, MissingDependencyError

from tests._core.tables.conversions import pipe, read, read_piped

ROWS = [{"id": "1", "text": "Café; fermé"}, {"id": "2", "text": "plain"}]


def said_by(path, **given):
    """Return the rows of a file, and what was said."""
    said = []
    return read(path, notice=said.append, **given), said


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiter_encoding_and_line_ends_are_told(delimiter, encoding, end, tmp_path):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(
        text, ["id", "text"], delimiter=delimiter, lineterminator=end
    )
    writer.writeheader()
    writer.writerows(ROWS)
    path = tmp_path / "in.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    rows, said = said_by(path)
    assert rows == ROWS
    assert read_piped(path.read_bytes(), format="csv") == ROWS
    assert len(said) == (delimiter != ",") + (encoding in ("utf-16", "utf-32"))


@pytest.mark.parametrize(
    "encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
)
@pytest.mark.parametrize("size", [1, 5, 100])
def test_wide_encodings_are_told_without_a_mark(encoding, size, tmp_path):
    """Read as UTF-8, each letter would have a NUL beside it, without a word."""
    texts = ["Café; fermé", "plain"]
    files = {
        "txt": ("\n".join(texts) + "\n", [{"text": text} for text in texts]),
        "csv": ("id,text\n1,Café; fermé\n2,plain\n", ROWS),
        "jsonl": ("".join(json.dumps(row) + "\n" for row in ROWS), ROWS),
    }
    for kind, (content, rows) in files.items():
        path = tmp_path / f"in.{kind}"
        path.write_bytes(content.encode(encoding))
        found, said = said_by(path)
        assert found == rows and encoding.upper() in said[0]
        assert read_piped(path.read_bytes(), size, format=kind) == rows


def test_the_line_that_excel_puts_before_the_header(tmp_path):
    (tmp_path / "in.csv").write_bytes(b"sep=;\r\ntext;n\r\na,b;1\r\n")
    assert read(tmp_path / "in.csv") == [{"text": "a,b", "n": "1"}]
    (tmp_path / "in.csv").write_bytes(b"sep=;\r\ntext;n\r\na\r\n")
    with pytest.raises(InvalidParameterError, match="line 3"):
        read(tmp_path / "in.csv")


def test_the_delimiter_may_be_named(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("text^n\na,b^1\n")
    assert read(path, delimiter="^") == [{"text": "a,b", "n": "1"}]


@pytest.mark.parametrize("encoding", ["cp1252", "shift_jis"])
def test_other_encodings_are_named_or_asked_for(encoding, tmp_path):
    path = tmp_path / "in.csv"
    word = "日本語のテキスト" if encoding == "shift_jis" else "fermé"
    path.write_bytes(f"text\nfine\n{word}\n".encode(encoding))
    assert read(path, encoding=encoding) == [{"text": "fine"}, {"text": word}]
    with pytest.raises(InvalidParameterError, match="UTF-8") as raised:
        read(path, has_options=True)
    assert str(path) in str(raised.value)
    assert "--encoding" in str(raised.value)
    if encoding == "cp1252":
        assert "line 3" in str(raised.value)


def test_long_cells_and_the_limit_of_others(tmp_path):
    limit = csv.field_size_limit()
    text = "word " * 40_000
    (tmp_path / "in.csv").write_text(f"text,n\n{text},1\n")
    assert read(tmp_path / "in.csv") == [{"text": text, "n": "1"}]
    assert csv.field_size_limit() == limit


def test_quotes_may_be_part_of_the_text(tmp_path):
    path = tmp_path / "in.tsv"
    path.write_text('text\tn\n"odd\t1\nso "called"\t2\n')
    with pytest.raises(InvalidParameterError, match="--no-quotes"):
        read(path, has_options=True)
    assert [row["text"] for row in read(path, quotes=False)] == ['"odd', 'so "called"']


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", 'id,text\n1,a\n2,"b\n3,c\n', "line 3: a quotation mark is opened"),
        ("t.csv", 'text\n"say \\"so\\" again"\n', "line 2: .*escaped by a backslash"),
        ("t.csv", "text,n\na,1\nb\n", r"line 3: 1 cell\(s\), and 2 column"),
        ("t.csv", "text,n\n\na,1\nb,2,3\n", r"line 4: 3 cell\(s\), and 2 column"),
        ("t.csv", "", "is empty: it has no header"),
        ("t.csv", "a,text,a\n1,b,2\n", r"the name 'a' 2 times \(columns 1, 3\)"),
        ("t.csv", "text,,\na,,\n", r"the name '' 2 times \(columns 2, 3\)"),
        ("t.jsonl", '{"text": "a"}\n[1]\n', "line 2 is no JSON object"),
        ("t.jsonl", '{"text": "a"}\nnothing\n', "line 2 is no JSON: Expecting"),
        ("t.jsonl", '{"n": 1e308}\n{"n": [-1e400]}', "line 2 has the number '-1e400'"),
        ("t.json", '[{"n": 1.8E309}]', "t.json has the number '1.8E309'"),
        ("t.jsonl", '{"text": 1, "text": 2}\n', "the name 'text' twice"),
        ("t.jsonl", "[" * 100_000, "nested too deeply"),
        ("t.json", '[{"text": "a"}, 3]', "entry 2 of the array is no JSON object"),
        ("t.parquet", "PAR", "cannot be read as parquet"),
        ("t.parquet", "", "cannot be read as parquet"),
        ("t.parquet", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("t.feather", "FEA1", "version 1 of Feather"),
        ("t.feather", "ARROW1", "cannot be read as arrow"),
        ("t.xlsx", "PK\x03\x04", "cannot be read as a workbook"),
        ("t.csv", "PK\x03\x04", "should be csv, and begins as .* excel"),
        ("t.csv.gz", "text\na\n", None),
        ("t.doc", "x", "does not say which format"),
        ("none.csv", None, "no file of that name"),
    ],
)
def test_bad_files_are_named(name, content, message, tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    if message is None:
        assert read(path) == [{"text": "a"}]
        return
    with pytest.raises(InvalidParameterError, match=message) as raised:
        read(path)
    assert name in str(raised.value)


def test_compressed_files_that_are_cut_off_are_named(tmp_path):
    whole = gzip.compress(b"text\n" + b"a\n" * 1000)
    (tmp_path / "t.csv.gz").write_bytes(whole[:-9])
    with pytest.raises(InvalidParameterError, match="damaged or cut off"):
        read(tmp_path / "t.csv.gz")
    packed = pa.Codec("zstd").compress(b"text\na\n", asbytes=True)
    (tmp_path / "t.csv.zst").write_bytes(packed)
    assert read(tmp_path / "t.csv.zst") == [{"text": "a"}]
    assert read_piped(packed, format="csv") == [{"text": "a"}]


def test_objects_in_lines_and_in_an_array(tmp_path):
    rows = [{"text": "a", "id": 2**63 + 1}, {"id": 1, "text": "b", "late": [1.5, None]}]
    lines = "\n".join(map(json.dumps, rows))
    for name in ("t.jsonl", "t.ndjson", "t.json"):
        for content in (
            lines,
            json.dumps(rows),
            json.dumps(rows, indent=1),
            f"\n{lines}\n\n",
        ):
            (tmp_path / name).write_text(content)
            assert read(tmp_path / name) == rows
    table = WholeTable(Source(str(tmp_path / "t.json")))
    assert list(table) == ["text", "id", "late"]
    assert table["late"] == [None, [1.5, None]]


def test_half_an_emoji_is_replaced_and_counted(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(
        '{"text": "a \\ud83d"}\n{"text": "\\ud83d\\ude00", "\\uDE00": ["\\ud800"]}\n'
    )
    rows, (said,) = said_by(path)
    assert rows == [{"text": "a \ufffd"}, {"text": "\U0001f600", "\ufffd": ["\ufffd"]}]
    assert "3 half surrogate pair" in said


def test_nested_texts_have_a_path(tmp_path):
    row = {"data": {"text": "a", "parts": [{"t": "b"}]}, "a.b": {"c": "d"}}
    (tmp_path / "t.jsonl").write_text(json.dumps(row))
    parquet.write_table(pa.Table.from_pylist([row]), tmp_path / "t.parquet")
    for name in ("t.jsonl", "t.parquet"):
        with read_table(Source(str(tmp_path / name))) as table:
            (block,) = table
        for path, value in (
            ("data.text", "a"),
            ("data.parts.0.t", "b"),
            ("a.b.c", "d"),
            ("data.nothing.t", None),
        ):
            assert block.values(path) == [value]
        assert block.has("data.text")
        assert not block.has("text")


def test_only_the_columns_asked_for_are_made(tmp_path):
    far = pa.array([300_000_000_000_000_000], pa.timestamp("us"))  # the year 11476
    parquet.write_table(pa.table({"text": ["a"], "until": far}), tmp_path / "t.parquet")
    table = WholeTable(Source(str(tmp_path / "t.parquet")))
    assert table["text"] == ["a"]
    assert table["until"] == ["11476-08-15 05:20:00.000000"]


def test_tables_without_rows_have_columns(tmp_path):
    (tmp_path / "t.csv").write_text("id,text\n")
    parquet.write_table(pa.table({"id": [], "text": []}), tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        with read_table(Source(str(tmp_path / name))) as table:
            assert table.names == ["id", "text"]
            assert [len(block) for block in table] == [0]


@pytest.mark.parametrize("is_stream", [True, False])
def test_feather_and_arrow_streams(is_stream, tmp_path):
    table, path = pa.table({"text": ["a", "b"]}), tmp_path / "t.feather"
    if is_stream:
        with pa.ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table)
    else:
        feather.write_feather(table, path)
    assert read(path) == [{"text": "a"}, {"text": "b"}]
    assert read_piped(path.read_bytes()) == [{"text": "a"}, {"text": "b"}]


@pytest.fixture
def workbook(tmp_path):
    import datetime

    book = openpyxl.Workbook()
    for row in (
        ["text", "n", "on"],
        ["a", 7, datetime.date(2024, 5, 1)],
        [],
        ["b", 0.5],
    ):
        book.active.append(row)
    book.create_sheet("other")
    book.save(tmp_path / "t.xlsx")
    return tmp_path / "t.xlsx"


def test_the_first_sheet_of_a_workbook(workbook):
    rows, (said,) = said_by(workbook)
    assert rows[1] == {"text": "b", "n": 0.5, "on": None}
    assert rows[0]["n"] == 7
    assert isinstance(rows[0]["n"], int)
    assert "first of 2 sheets" in said
    assert read_piped(workbook.read_bytes()) == rows


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("t.xlsx", "python_calamine", "excel"), ("t.parquet", "pyarrow", "table")],
)
def test_the_extra_that_is_missing_is_named(name, module, extra, tmp_path, monkeypatch):
    (tmp_path / name).write_bytes(b"")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=rf"skllkd\[{extra}\]"):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        ("id,text", "csv"),
        ("id;text", "csv"),
        ("text", "csv"),
        ('{"text": "a"}', "jsonl"),
        ("[", "jsonl"),
        ("a text, and more of it", "txt"),
        ("[SPAM] buy now", "txt"),
        ('5" pipes, cut', "txt"),
    ],
)
def test_the_format_of_a_pipe_is_told_and_said(first, kind):
    said = []
    with (
        pipe(f"{first}\n".encode(), size=1),
        read_table(Source("-", notice=said.append)) as table,
    ):
        assert table.format == kind
    assert len(said) == (kind != "txt") + (";" in first)


def test_a_header_without_the_column_is_asked_about():
    with pytest.raises(InvalidParameterError, match="'id,body'.*--format txt"):
        read_piped(b"id,body\n1,a\n", has_options=True)


def test_what_came_is_given_before_more_is_waited_for():
    class Endless(io.RawIOBase):
        n_read = 0

        def readable(self):
            return True

        def readinto(self, buffer):
            self.n_read += 1
            part = (b"text\n", b"one\ntw", b"o\n", b"three\n")[self.n_read - 1]
            buffer[: len(part)] = part
            return len(part)

    stream = Endless()
    with pipe(b"") as stdin:
        stdin.buffer = io.BufferedReader(stream)
        with read_table(Source("-", format="csv")) as table:
            blocks = iter(table)
            assert next(blocks).column("text") == ["one"]
            assert stream.n_read == 2
            assert next(blocks).column("text") == ["two"]
            assert stream.n_read == 3


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, b""])
def test_plain_lines_are_the_column_named(mark, tmp_path):
    (tmp_path / "t.txt").write_bytes(mark + b"one\n\ntwo\r\n")
    assert read(tmp_path / "t.txt", column="body") == [
        {"body": text} for text in ("one", "", "two")
    ]


def test_the_suffix_before_that_of_compression_names_the_format():
    assert format_of_name("a/b.CSV.gz") == "csv"
    assert format_of_name("b.jsonl.zst") == "jsonl"
