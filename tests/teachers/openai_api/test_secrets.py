"""The key of the OpenAI API is sent, and shown nowhere."""

import json
import logging
import pickle
import traceback

import pytest
from skllkd.exceptions import (
    InvalidParameterError,
    MissingLabelWarning,
    TeacherAccessError,
)
from skllkd.teachers import BatchCalibration, LabelStore, OpenAITeacher

from tests.faulty_server import completion, stub, text_of, top_logprobs
from tests.teachers.openai_api.common import (
    CLASSES,
    KEY,
    LOCAL,
    TEXTS,
    error,
    httpx,
    teacher,
)


def every_string(caught):
    """Return all that a traceback shows, local variables included."""
    shown = traceback.TracebackException.from_exception(
        caught.value, capture_locals=True
    )
    return "".join(shown.format()) + repr(caught.value)


@pytest.mark.parametrize("pasted", [KEY, "hf_abcdef0123456", "gsk_abc", "", None])
def test_a_pasted_key_is_refused_and_not_shown(pasted):
    with pytest.raises(InvalidParameterError, match="name of an environment") as caught:
        OpenAITeacher("m", api_key_env=pasted)
    if pasted:
        assert pasted not in str(caught.value)
        kept = OpenAITeacher("m")
        with pytest.raises(InvalidParameterError):
            kept.set_params(api_key_env=pasted)
        assert pasted not in repr(kept)


@pytest.mark.parametrize(
    "address",
    [
        "http://me:hush-hush@host/v1",
        "http://host/v1?key=hush-hush",
        "host/v1#hush-hush",
        "http://hush-hush@host",
        "ftp://hush-hush",
        "http://[hush-hush",
    ],
)
def test_addresses_with_secrets_are_refused_and_not_shown(address, monkeypatch):
    with pytest.raises(InvalidParameterError, match="`base_url`") as caught:
        OpenAITeacher("m", base_url=address)
    assert "hush" not in str(caught.value)
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    with pytest.raises(InvalidParameterError, match="OPENAI_BASE_URL") as caught:
        OpenAITeacher("m").label(["x"], CLASSES)
    assert "hush" not in str(caught.value)


def test_openai_needs_a_key_and_others_do_not(served, monkeypatch):
    recorder = served()
    monkeypatch.delenv("OPENAI_API_KEY")
    teacher().label(TEXTS, CLASSES)
    assert recorder.headers[-1]["authorization"] == "Bearer none"
    with pytest.raises(InvalidParameterError, match="OPENAI_API_KEY, which is not set"):
        OpenAITeacher("m").label(TEXTS, CLASSES)
    monkeypatch.setenv("OPENAI_API_KEY", KEY + "\n")
    with pytest.raises(InvalidParameterError, match="line break") as caught:
        OpenAITeacher("m").label(TEXTS, CLASSES)
    assert KEY not in every_string(caught)


def test_the_default_address_can_come_from_the_environment(served, monkeypatch):
    served()
    monkeypatch.setenv("OPENAI_BASE_URL", LOCAL)
    OpenAITeacher("stub", calibration=None).label(TEXTS, CLASSES)
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert teacher().label(TEXTS, CLASSES).n_asked == 0


def test_the_key_is_nowhere(served, own_store, caplog, capsys):
    """In parameters, pictures, pickles, the store, logs, output and tracebacks."""
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx", "httpx2", "httpcore", "httpcore2"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    recorder = served(
        lambda b: (
            completion(KEY, top_logprobs({KEY: 0.9}))
            if "beta" in text_of(b)
            else stub(b)
        )
    )
    asked = teacher(calibration=BatchCalibration())
    with pytest.warns(MissingLabelWarning) as warned:
        labels = asked.label(TEXTS, CLASSES, verbose=1)
    assert recorder.headers[-1]["authorization"] == f"Bearer {KEY}"  # it was used
    served(lambda _: error(401, f"Incorrect API key provided: {KEY}."))
    with pytest.raises(TeacherAccessError, match=r"provided: \*\*\*") as refused:
        asked.label(["new"], CLASSES)
    served(lambda _: httpx.ConnectError("refused"))
    with pytest.raises(TeacherAccessError) as broken:
        teacher(max_retries=0, model="other").label(["new"], CLASSES)
    shown = [
        repr(asked),
        asked._repr_html_(),
        str(asked.get_params()),
        pickle.dumps(asked).decode("latin-1"),
        str(vars(asked)),
        *(path.read_bytes().decode("latin-1") for path in own_store.parent.iterdir()),
        caplog.text,
        str([record.__dict__ for record in caplog.records]),
        "".join(capsys.readouterr()),
        every_string(refused),
        every_string(broken),
        str([str(warning.message) for warning in warned]),
        str(labels.error),
        str(labels),
        str(asked.plan(TEXTS, CLASSES)),
    ]
    assert len(shown) > 14
    assert caplog.records
    parts = [KEY[i : i + 8] for i in range(len(KEY) - 7)]
    for place, text in enumerate(shown):
        assert not [part for part in parts if part in text], place


MARKED = "Jane Roe of 12 Elm Street asks for a refund"


@pytest.mark.parametrize("method", ["logprobs", "label", ("votes", 2)])
def test_words_of_the_model_are_in_no_file_and_no_part_of_a_key_anywhere(
    served, own_store, tmp_path, monkeypatch, method
):
    """The model repeats the text, and a key of today's length up to its token limit."""
    key = "sk-proj-" + "Zq7xW9vK2mB4nL6pR8tY0uJ3hG5fD1sAeQcXzVwT" * 3
    monkeypatch.setenv("OPENAI_API_KEY", key)
    said = f"You said: {MARKED}. My key: {key[:90]}"
    odd = completion(said, top_logprobs({"You": 0.9}))
    served(lambda b: odd if MARKED in text_of(b) else stub(b))
    asked = teacher(method=method)
    with pytest.warns(MissingLabelWarning) as warned:
        labels = asked.label([*TEXTS[:2], MARKED], CLASSES)
    assert MARKED in labels.error[2] and "***" in labels.error[2]  # in memory only
    with LabelStore() as store:
        store.export(tmp_path / "export.jsonl")
        kept = [p.read_bytes() for p in (*own_store.parent.iterdir(),)]
    kept.append((tmp_path / "export.jsonl").read_bytes())
    kept += [str(warning.message).encode() for warning in warned]
    assert len(kept) >= 4  # the store, its log, the export and a warning
    for content in kept:
        assert b"Jane Roe" not in content and b"Elm Street" not in content
    everything = b"".join([*kept, str(labels.error).encode()]).decode("latin-1")
    assert not any(key[i : i + 8] in everything for i in range(len(key) - 7))
    with pytest.warns(MissingLabelWarning):
        again = asked.label([MARKED], CLASSES)
    assert again.n_asked == 0 and "Jane" not in again.error[0]


def test_another_store_cannot_bring_words_in(own_store, tmp_path):
    """Nor can an export that was edited, or a back end of one's own."""
    usage = {"n_calls": 0, "input_tokens": 0, "output_tokens": 0, "seconds": 0}
    lines = [
        {"fingerprint": "s", "description": {}, **usage},
        {"text": "00", "unanswered": f"it said: {MARKED}"},
    ]
    (tmp_path / "export.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with LabelStore() as store:
        store.merge(tmp_path / "export.jsonl")
        assert store.contents()[0].n_unanswered == 1
        assert not [
            path for path in own_store.parent.iterdir() if b"Jane" in path.read_bytes()
        ]
