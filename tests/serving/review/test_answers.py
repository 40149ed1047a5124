"""The file of answers: nothing is lost, nothing is taken for an answer that is none."""

import csv
import os

import pytest
from hypothesis import given
from skllkd.exceptions import InvalidParameterError
from skllkd.serving.review.answers import Answer, AnswerFile

from tests.choices import built

CLASSES = ["ham", "spam"]
NASTY = [
    'He said "no", and left',
    "two\nlines\r\nand a return \r alone",
    "=SUM(A1)",
    "a,b;c\td",
    '"',
    '""\n"',
    "naïve 🙂 \u2028 \x0b line",
    " spaces ",
]


def answer(text, gold="ham", note=""):
    return Answer(text, gold, note, "random", "2026-01-01T00:00:00+00:00")


def filled(path, texts=NASTY):
    with AnswerFile(path, CLASSES) as file:
        for i, text in enumerate(texts):
            file.append(answer(text, [*CLASSES, None][i % 3], text[::-1]))
        return list(file)


def filled_size(folder, n):
    """Return the size of a file of n answers."""
    path = folder / f"{n}.csv"
    filled(path, NASTY[:n])
    return path.stat().st_size


def test_answers_come_back_as_they_were_given(tmp_path):
    path = tmp_path / "review.csv"
    given = filled(path)
    with AnswerFile(path, CLASSES) as file:
        assert list(file) == given
        assert not file.torn
    with path.open(encoding="utf-8", newline="") as plain:  # any reader of CSV does
        rows = list(csv.DictReader(plain))
    assert [row["text"] for row in rows] == NASTY
    assert [row["gold"] for row in rows] == [a.gold or "" for a in given]


def test_a_file_cut_off_anywhere_keeps_every_whole_answer(tmp_path):
    path = tmp_path / "review.csv"
    given = filled(path)
    content = path.read_bytes()
    ends = [0, *(filled_size(tmp_path, n) for n in range(1, len(given) + 1))]
    short = filled_size(tmp_path, 1)  # every place in the header and an answer
    for size in [*range(short + 1), *range(short + 1, len(content) + 1, 13)]:
        path.write_bytes(content[:size])
        n_whole = max(n for n, end in enumerate(ends) if n == 0 or end <= size)
        with AnswerFile(path, CLASSES) as file:
            assert list(file) == given[:n_whole]
            file.append(answer("another"))
        with AnswerFile(path, CLASSES) as file:
            assert [a.text for a in file] == [*NASTY[:n_whole], "another"]


@given(
    texts=built(lambda c: c.several(lambda c: c.text(12) or " ", 5)),
    note=built(lambda c: c.text(20)),
)
def test_any_text_and_note_come_back(tmp_path, texts, note):
    texts = list(dict.fromkeys(texts))
    path = tmp_path / "review.csv"
    path.unlink(missing_ok=True)
    with AnswerFile(path, CLASSES) as file:
        for text in texts:
            file.append(answer(text, note=note))
    with AnswerFile(path, CLASSES) as file:
        assert [(a.text, a.note) for a in file] == [(text, note) for text in texts]


def test_the_last_answer_is_taken_back_on_the_disk(tmp_path):
    path = tmp_path / "review.csv"
    given = filled(path)
    with AnswerFile(path, CLASSES) as file:
        assert file.take_back() == given[-1]
        assert file.take_back() == given[-2]
        file.append(answer("new", "spam"))
        assert path.read_bytes().endswith(
            b'"new","spam","","random","2026-01-01T00:00:00+00:00"\n'
        )
    with AnswerFile(path, CLASSES) as file:
        assert list(file) == [*given[:-2], answer("new", "spam")]


def test_each_answer_is_on_the_disk_before_it_counts(tmp_path, monkeypatch):
    path, synced = tmp_path / "review.csv", []
    with AnswerFile(path, CLASSES) as file:
        monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.read_bytes()))
        file.append(answer("one"))
        assert synced[-1].count(b"\n") == 2
        file.take_back()
        assert synced[-1].count(b"\n") == 1


def test_an_answer_that_cannot_be_written_leaves_the_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "review.csv"
    given = filled(path)
    before = path.read_bytes()
    with AnswerFile(path, CLASSES) as file:

        def full(_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="space"):
            file.append(answer("lost"))
        monkeypatch.undo()
        assert path.read_bytes() == before
        assert list(file) == given
        file.append(answer("kept"))
        assert path.read_bytes().startswith(before)


def test_one_review_at_a_time(tmp_path):
    path = tmp_path / "review.csv"
    with (
        AnswerFile(path, CLASSES),
        pytest.raises(InvalidParameterError, match="another review"),
    ):
        AnswerFile(path, CLASSES)
    AnswerFile(path, CLASSES).close()


@pytest.mark.parametrize("change", ["append", "replace", "remove"])
def test_the_work_of_another_program_is_not_overwritten(tmp_path, change):
    path = tmp_path / "review.csv"
    with AnswerFile(path, CLASSES) as file:
        file.append(answer("one"))
        if change == "append":
            path.write_bytes(path.read_bytes() + b"two,ham,,,\n")
        elif change == "replace":
            other = tmp_path / "other.csv"
            other.write_bytes(path.read_bytes())
            other.replace(path)
        else:
            path.unlink()
        content = path.read_bytes() if path.exists() else None
        for act in (lambda: file.append(answer("three")), file.take_back):
            with pytest.raises(InvalidParameterError, match="another program"):
                act()
        assert [a.text for a in file] == ["one"]
        assert (path.read_bytes() if path.exists() else None) == content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id;text\n1;a\n", "must have the columns"),
        (b"id;text", "must have the columns"),
        (b"text,gold,note,asked,when\na,eggs,,,\n", "'eggs' in answer 1"),
        (b"text,gold,note,asked,when\na,ham\n", "2 cells in answer 1"),
        (b"text,gold,note,asked,when\na,ham,,,\na,spam,,,\n", "two answers"),
        (b"text,gold,note,asked,when\n\xff,ham,,,\n", "cannot be read"),
    ],
)
def test_a_file_that_is_none_of_answers_is_refused_and_kept(tmp_path, content, message):
    path = tmp_path / "review.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidParameterError, match=message):
        AnswerFile(path, CLASSES)
    assert path.read_bytes() == content


def test_a_file_saved_by_a_spreadsheet_is_read(tmp_path):
    path = tmp_path / "review.csv"
    path.write_bytes(b"\xef\xbb\xbftext,gold,note,asked,when\r\na,ham,,,\r\n")
    with AnswerFile(path, CLASSES) as file:
        file.append(answer("b", "spam"))
    with AnswerFile(path, CLASSES) as file:
        assert [(a.text, a.gold) for a in file] == [("a", "ham"), ("b", "spam")]


def test_classes_that_are_numbers_stay_numbers(tmp_path):
    path = tmp_path / "review.csv"
    with AnswerFile(path, [0, 1]) as file:
        file.append(answer("a", 0))
    with AnswerFile(path, [0, 1]) as file:
        assert file.last.gold == 0
