"""The command that reviews: in the terminal, its files, and what `fit` makes of them."""

import csv
import io
import json
import re
import shlex
import socket

import pandas as pd
import pytest
from skllkd import CascadeClassifier, LLKDClassifier, Multilabel
from skllkd.cli.main import main, parser_of_all
from skllkd.cli.review import _listening, answers_path, refit_command
from skllkd.cli.review_terminal import Terminal, shown_safely
from skllkd.exceptions import InvalidParameterError
from skllkd.serving.review.answers import AnswerFile
from skllkd.serving.review.pool import load_reviewed, read_pool
from skllkd.serving.review.session import ReviewSession
from skllkd.teachers import PrecomputedTeacher

from tests.conftest import TOPICS
from tests.serving.review.reviewed import some_pool


@pytest.fixture(scope="module")
def fitted(news, tiny_path, tmp_path_factory):
    """Return the folder of a classifier and of the table of its texts."""
    from skllkd.students import FrozenEncoderStudent

    folder = tmp_path_factory.mktemp("model")
    texts, gold = (part[:80] for part in news)
    pd.DataFrame({"body": texts, "label": gold}).to_csv(
        folder / "texts.csv", index=False
    )
    LLKDClassifier(
        PrecomputedTeacher(texts, gold),
        TOPICS,
        student=FrozenEncoderStudent(tiny_path, device="cpu"),
        random_state=0,
        verbose=0,
    ).fit(texts).save(folder / "model")
    return folder


@pytest.fixture
def review(fitted, tmp_path, monkeypatch, capsys):
    """Return a function that reviews in the terminal with the lines given."""
    answers = tmp_path / "answers.csv"

    def run(*lines, options=()):
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{x}\n" for x in lines)))
        arguments = [
            "review",
            fitted / "model",
            fitted / "texts.csv",
            "--column",
            "body",
        ]
        arguments += ["--terminal", "--random", "10", "--answers", answers, *options]
        status = main(list(map(str, arguments)))
        return status, capsys.readouterr(), answers

    return run


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["gold"], row["note"]) for row in csv.DictReader(file)]


def test_a_review_in_the_terminal_saves_and_goes_on(review):
    status, said, path = review(
        "1", "POL", "n not sure", "u", "s", "tech", "z", "3", "q"
    )
    assert status == 0
    expected = [("business", ""), ("politics", ""), ("", "not sure"), ("politics", "")]
    assert rows_of(path) == expected
    assert "Accuracy on the random sample" in said.out
    assert "--- 1 of 10 (random) ---" in said.out
    assert f"4 answers in {path}" in said.err
    status, said, _ = review("sports")  # and the end of the input
    assert status == 0
    assert "4 answers so far" in said.err
    assert "--- 5 of 10 (random) ---" in said.out
    assert rows_of(path) == [*expected, ("sports", "")]


def test_what_is_no_answer_is_said_and_not_saved(review):
    _, said, path = review(
        "0", "6", "s p", "po rk", "zz", "", "x\x1b[2J", "r", "t", "z"
    )
    assert rows_of(path) == []
    assert said.out.count("is no class") == 6
    assert "nothing to undo" in said.out
    assert "\x1b" not in said.out


def test_fit_learns_the_answers(review, fitted, tiny_path, tmp_path, capsys):
    _, _, path = review("1", "2", "u", "5")
    with path.open("a", encoding="utf-8") as file:
        file.write("a text of another table,tech,,,\n")
    command = ["fit", fitted / "texts.csv", "--column", "body", "--gold", path]
    command += ["--teacher", fitted / "texts.csv", "--classes", *TOPICS, "--frozen"]
    command += ["--student", tiny_path, "--model", tmp_path / "again", "--epochs", "2"]
    assert main(list(map(str, command))) == 0
    assert (
        "3 gold labels; those of 1 other texts are left out" in capsys.readouterr().err
    )
    again = LLKDClassifier.load(tmp_path / "again")
    assert again.gold_accuracy_["teacher"].n_texts == 3
    table, answers = pd.read_csv(fitted / "texts.csv"), pd.read_csv(path)
    known = answers[answers["gold"].notna()].iloc[:3]
    rows = [table["body"].tolist().index(text) for text in known["text"]]
    learned = again.classes_[again.refined_proba_[rows].argmax(axis=1)]
    assert learned.tolist() == known["gold"].tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,gold\nx,tech\n", "none of its 1 labelled texts"),
        ("text,label\nx,tech\n", "no column 'gold'"),
        ("title,gold\nx,tech\n", "no column 'body' or 'text'"),
        ("text,gold\nx,teck\n", "'teck' is none of the classes .* Did you mean 'tech'"),
        ("text,gold\nx,tech\nx,sports\n", "two gold labels"),
    ],
)
def test_gold_labels_that_are_none_are_refused(
    fitted, tmp_path, capsys, content, message
):
    path = tmp_path / "gold.csv"
    path.write_text(content, encoding="utf-8")
    command = ["fit", fitted / "texts.csv", "--column", "body", "--gold", path]
    command += ["--teacher", fitted / "texts.csv", "--classes", *TOPICS, "--model", "m"]
    assert main(list(map(str, command))) == 1
    assert re.search(message, capsys.readouterr().err)


def options_of(*words):
    return parser_of_all().parse_args(["review", *words])


def test_answers_stand_beside_the_model_and_not_in_it(tmp_path):
    for model, name in (
        ("my/model", "model"),
        ("my/model/", "model"),
        ("my/s.onnx", "s"),
    ):
        path = answers_path(options_of(model, "texts.csv"))
        assert path.as_posix() == f"my/{name}-review.csv"
    assert answers_path(options_of("m", "t.csv", "--answers", "a.csv")).name == "a.csv"


def test_the_command_that_fits_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "my review.csv"
    command = refit_command(options_of("m", "t.csv", "--column", "body"), path)
    assert command.startswith("skllkd fit t.csv --column body ... --gold ")
    (tmp_path / "skllkd.toml").write_text('input = "t.csv"\n')
    command = refit_command(options_of("m", "t.csv"), path)
    assert shlex.split(command) == ["skllkd", "fit", "--gold", str(path)]
    assert parser_of_all()  # with the settings that `fit` then reads
    command = refit_command(options_of("m", "--config", "skllkd.toml"), path)
    assert "--config skllkd.toml" in command


def test_texts_and_answers_cannot_both_be_standard_input(capsys):
    assert main(["review", "model", "-", "--terminal"]) == 1
    assert "standard input" in capsys.readouterr().err


@pytest.mark.enable_socket
def test_a_port_that_is_taken_is_named():
    with _listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert isinstance(listener, socket.socket)
        with pytest.raises(InvalidParameterError, match=f"--port {port}"):
            _listening("127.0.0.1", port)
    with pytest.raises(InvalidParameterError, match="70000"):
        _listening("127.0.0.1", 70000)


@pytest.mark.enable_socket
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_page_is_opened_in_the_browser(fitted, tmp_path, monkeypatch, capsys, host):
    uvicorn = pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    addresses, opened = [], []

    def run(server, sockets):
        addresses.append(sockets[0].getsockname())
        raise KeyboardInterrupt  # the way to end it

    monkeypatch.setattr(uvicorn.Server, "run", run)
    monkeypatch.setattr("webbrowser.open", opened.append)
    command = ["review", fitted / "model", fitted / "texts.csv", "--column", "body"]
    command += ["--answers", tmp_path / "a.csv", "--host", host]
    assert main(list(map(str, command))) == 0
    said = capsys.readouterr()
    assert opened == re.findall(r"http\S+", said.out)
    assert re.fullmatch(rf"http://{host}:{addresses[0][1]}/[\w-]{{22}}/", opened[0])
    assert ("unencrypted" in said.err) == (host == "0.0.0.0")
    assert "0 answers in" in said.err
    assert main([*map(str, command), "--no-browser"]) == 0
    assert len(opened) == 1
    assert opened[0] not in capsys.readouterr().out  # the secret is new every time


def test_a_text_cannot_steer_the_terminal(tmp_path, monkeypatch, capsys):
    assert shown_safely("a\x1b[31m\x07\r\u202eb\tc\nd") == "a�[31m���b\tc\nd"
    reviewed = some_pool(1)
    reviewed.texts[0] = "\x1b[2J" + "word " * 2000
    monkeypatch.setattr("sys.stdin", io.StringIO("t\n1\n"))
    with AnswerFile(tmp_path / "review.csv", reviewed.classes) as answers:
        Terminal(ReviewSession(reviewed, answers, 1)).run()
        assert answers.last.text == reviewed.texts[0]
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "more lines; t shows them" in out
    assert out.count("word") > 2000
    assert "Every text has an answer." in out


def test_a_cascade_s_threshold_is_known(fitted, tmp_path):
    classifier, threshold = load_reviewed(fitted / "model")
    assert threshold is None
    texts = [text * n for n in range(1, 30) for text in ("a ", "b ")]
    labels = classifier.predict(texts)
    cascade = CascadeClassifier(classifier, False, held_out="prefit", target=0.5)
    cascade.fit(texts, labels).save(tmp_path / "cascade")
    assert load_reviewed(tmp_path / "cascade")[1] == cascade.threshold_


@pytest.fixture(scope="module")
def tagged(tiny_path, tmp_path_factory):
    """Return the folder of a classifier of tags, and of the table of its texts."""
    from skllkd.students import FrozenEncoderStudent

    folder = tmp_path_factory.mktemp("tags")
    texts = [
        f"{words} {i}" for i in range(12) for words in ("goal", "bank", "goal bank")
    ]
    pd.DataFrame({"text": texts}).to_csv(folder / "texts.csv", index=False)
    rows = [json.dumps([w for w in ("goal", "bank") if w in text]) for text in texts]
    pd.DataFrame({"text": texts, "label": rows}).to_csv(folder / "llm.csv", index=False)
    LLKDClassifier(
        lambda texts: [
            [0.9 if w in t else 0.1 for w in ("goal", "bank")] for t in texts
        ],
        Multilabel(["goal", "bank"]),
        student=FrozenEncoderStudent(tiny_path, device="cpu"),
        n_epochs=2,
        random_state=0,
        verbose=0,
    ).fit(texts).save(folder / "model")
    return folder


def test_tags_are_answered_several_or_none_and_learned(
    tagged, tiny_path, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "answers.csv"
    command = ["review", tagged / "model", tagged / "texts.csv", "--terminal"]
    lines = ["1 2", "0", "goal", "bank, goal", "u", "3", "1 3", "nothing", "r", "q"]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    command += ["--random", "6", "--answers", path]
    assert main(list(map(str, command))) == 0
    said = capsys.readouterr().out
    both = '["bank", "goal"]'
    assert [gold for gold, _ in rows_of(path)] == [both, "[]", '["goal"]', both, ""]
    assert said.count("is no class") == 3
    assert "1 bank   2 goal   0 none of them" in said
    assert "saved: none of them. student" in said
    assert "all classes of a text right" in said
    assert "micro-F1" in said
    command = ["fit", tagged / "texts.csv", "--gold", path, "--multilabel", "--frozen"]
    command += ["--teacher", tagged / "llm.csv", "--classes", "goal", "bank"]
    command += ["--student", tiny_path, "--model", tmp_path / "again", "--epochs", "2"]
    assert main(list(map(str, command))) == 0
    assert "4 gold labels" in capsys.readouterr().err
    again = LLKDClassifier.load(tmp_path / "again")
    assert again.gold_accuracy_["teacher"].n_texts == 4
    texts = pd.read_csv(tagged / "texts.csv")["text"].tolist()
    learned = read_pool(again, texts)
    answered = pd.read_csv(path).dropna(subset=["gold"])["text"].tolist()
    assert {t for t, k in zip(learned.texts, learned.is_learned, strict=True) if k} == {
        *answered
    }
