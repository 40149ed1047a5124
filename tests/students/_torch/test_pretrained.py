"""Encoders of the model hub: out of reach is told at once."""

import pytest
from skllkd.exceptions import SavedModelError
from skllkd.students._torch import pretrained

NAME = "an-organisation/a-model"


@pytest.fixture
def hub(monkeypatch):
    """A hub that raises the error put into it, and notes what it is asked."""
    raised, asked = [], []

    class Api:
        def model_info(self, name, timeout):
            asked.append(name)
            raise raised[0]

    monkeypatch.setattr(pretrained, "HfApi", Api)
    return raised, asked


def test_a_hub_out_of_reach_is_told_before_loading_tries_for_minutes(hub):
    hub[0].append(ConnectionError("no route"))
    with pytest.raises(SavedModelError, match=r"hub cannot be reached \(no route\)"):
        pretrained.load_pretrained(NAME)
    assert hub[1] == [NAME]


def test_other_answers_of_the_hub_are_left_to_loading(hub):
    hub[0].append(RuntimeError("not found"))
    assert pretrained._check_connection(NAME) is None


@pytest.mark.parametrize("cached", [NAME, "sentence-transformers/a-model"])
def test_a_model_at_hand_needs_no_hub(cached, hub, monkeypatch, tmp_path):
    monkeypatch.setattr(pretrained, "_is_cached", lambda name: name == cached)
    pretrained._check_connection(cached.removeprefix("sentence-transformers/"))
    pretrained._check_connection(str(tmp_path))
    assert hub[1] == []
