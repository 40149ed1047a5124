"""Whatever can fail after labelling is tried before the teacher is asked."""

import tempfile
from typing import NamedTuple

import pytest
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError, SavedModelError
from skllkd.selection import AcceptReject
from skllkd.students import FrozenEncoderStudent, SklearnStudent, TransformerStudent
from skllkd.training.preflight import preflight

TEXTS = ["apple word", "berry word", "apple thing", "berry thing"] * 5


class DiskUsage(NamedTuple):
    free: int


class Teacher:
    """A function that counts what it is asked."""

    def __init__(self):
        self.n_asked = 0

    def __call__(self, texts):
        self.n_asked += len(texts)
        return [text[0] for text in texts]


@pytest.mark.parametrize("kind", [TransformerStudent, FrozenEncoderStudent])
@pytest.mark.parametrize("acquisition", [None, AcceptReject(0.5)])
def test_an_encoder_that_does_not_load_costs_no_call(kind, acquisition, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    teacher = Teacher()
    student = kind(tmp_path)
    classifier = LLKDClassifier(
        teacher, ["a", "b"], student=student, acquisition=acquisition, refine=None
    )
    with pytest.raises(SavedModelError, match="cannot be loaded as a text encoder"):
        classifier.fit(TEXTS)
    assert teacher.n_asked == 0


def test_labels_that_are_there_already_need_no_trial():
    class Broken(SklearnStudent):
        def try_loading(self):
            raise SavedModelError("it was tried")

    labels = [text[0] for text in TEXTS]
    LLKDClassifier(student=Broken(), random_state=0).fit(TEXTS, labels)
    with pytest.raises(SavedModelError, match="tried"):
        LLKDClassifier(Teacher(), ["a", "b"], student=Broken()).fit(TEXTS)


def test_the_size_of_an_encoder_is_that_of_its_weights(tiny_path):
    loaded = FrozenEncoderStudent(tiny_path).try_loading()
    assert loaded == TransformerStudent(tiny_path).try_loading() > 10_000


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"file": "there/is/none.csv"}, "there is no folder"),
        ({"file": "folder"}, "is a folder"),
        ({"folder": "a-file"}, "is a file"),
        ({"folder": "a-file/below/it"}, "is a file"),
        ({"file": "a-file/below.csv"}, "there is no folder"),
        ({"folder": "closed"}, "cannot be written: "),
        ({"folder": "closed/new"}, "cannot be written: "),
        ({"file": "closed/new.csv"}, "cannot be written: "),
    ],
)
def test_a_place_that_cannot_be_written_is_named(place, message, tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "a-file").write_text("kept")
    (tmp_path / "closed").mkdir()
    refuse_files_in(tmp_path / "closed", monkeypatch)
    (kind, name), *_ = place.items()
    with pytest.raises(InvalidParameterError, match=message) as raised:
        preflight(**{kind: tmp_path / name})
    assert str(tmp_path / name) in str(raised.value)
    assert (tmp_path / "a-file").read_text() == "kept"


def refuse_files_in(folder, monkeypatch):
    """Let no file be made in a folder: tests may run as a user whom nothing stops."""
    made = tempfile.TemporaryFile

    def temporary_file(**where):
        if where["dir"] == folder:
            raise PermissionError(13, "Permission denied", str(folder))
        return made(**where)

    monkeypatch.setattr(tempfile, "TemporaryFile", temporary_file)


def test_a_full_disk_is_named_before_the_work(tmp_path, monkeypatch):
    preflight(classes=["a", "b"], n_texts=1000, folder=tmp_path / "model")
    monkeypatch.setattr("shutil.disk_usage", lambda _: DiskUsage(2 * 2**20))
    preflight(classes=["a", "b"], n_texts=1000, folder=tmp_path / "model")
    for place in ({"folder": tmp_path / "model"}, {"file": tmp_path / "a.csv"}):
        with pytest.raises(InvalidParameterError, match=r"disk has 2\.1 MB left"):
            preflight(classes=["a", "b"], n_texts=100_000, **place)
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_no_folder_s_file():
    preflight(file="/dev/null")
