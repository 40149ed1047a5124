"""The key of the OpenAI API is sent, and shown nowhere."""

import logging
import pickle
import traceback

import pytest
from skllkd.exceptions import (
    InvalidParameterError,
    MissingLabelWarning,
    TeacherAccessError,
)
from skllkd.teachers import BatchCalibration, OpenAITeacher

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
    for place, text in enumerate(shown):
        assert KEY not in text, place
        assert KEY[5:20] not in text, place
