"""The model card of a saved classifier."""

import pytest
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError, SkllkdWarning
from skllkd.selection import SelectAll
from skllkd.students import TransformerStudent
from skllkd.teachers import CallableTeacher

from tests.conftest import TOPICS


@pytest.fixture(scope="module")
def fitted(news, tiny_path):
    classes = [*TOPICS[:4], "te|ch"]
    texts, gold = news

    def teacher(some):
        known = dict(zip(texts, gold, strict=True))
        return [
            None if not text else known[text].replace("tech", "te|ch") for text in some
        ]

    return LLKDClassifier(
        CallableTeacher(teacher),
        classes,
        selection=SelectAll(target="soft"),
        student=TransformerStudent(tiny_path, learning_rate=5e-4, device="cpu"),
        random_state=0,
    ).fit(texts[:80])


def card_of(fitted, folder, **card):
    fitted.save(folder, card=card or None)
    return (folder / "README.md").read_text(encoding="utf-8")


def test_front_matter_is_what_the_hub_reads(fitted, tmp_path):
    from huggingface_hub import ModelCard

    card_of(fitted, tmp_path, licence="mit", language="en")
    data = ModelCard.load(tmp_path / "README.md").data
    assert data.license == "mit"
    assert data.language == "en"
    assert data.library_name == "skllkd"
    assert data.pipeline_tag == "text-classification"
    assert "knowledge-distillation" in data.tags


def test_it_says_what_was_done(fitted, tmp_path):
    text = card_of(fitted, tmp_path)
    for name, n in zip(
        TOPICS[:4], map(fitted.pseudo_labels_.tolist().count, TOPICS), strict=False
    ):
        assert f"| {name} | {n} | {n / 80:.1%} |" in text
    assert "| te\\|ch |" in text
    assert f"labels were refined: {fitted.refinement_.summary} (class names" in text
    assert "`CallableTeacher`" in text
    assert "SelectAll(target='soft')" in text
    assert "learning_rate=0.0005" in text
    assert f"{fitted.agreement_:.1%} (95 % interval" in text


def test_it_gives_the_verdict(fitted, tmp_path):
    text = card_of(fitted, tmp_path)
    verdict = fitted.report().verdict
    section = text.partition("## Verdict\n\n")[2].partition("\n\n##")[0]
    assert section.replace("\n\n-", "\n-") == str(verdict)
    assert verdict.outcome in section


def test_what_the_user_says_stands_in_paragraphs_of_its_own(fitted, tmp_path):
    text = card_of(fitted, tmp_path, data="Requests of 2026")
    assert "\n\nRequests of 2026\n\n80 texts without gold labels" in text
    assert text.count("100.0% of the texts presented") == 1


def test_what_is_not_said_is_not_invented(fitted, tmp_path):
    text = card_of(fitted, tmp_path)
    assert "license:" not in text
    assert "Source: not stated." in text
    assert "## Licence\n\nnot stated." in text


def test_what_the_user_says_stands_in_it(fitted, tmp_path):
    fields = {
        "name": "Topics",
        "description": "Finds topics.",
        "data": "News of 2005.",
        "teacher": "A patient reader.",
        "licence": "cc-by-4.0",
    }
    text = card_of(fitted, tmp_path, **fields)
    assert "# Topics\n\nFinds topics." in text
    for value in fields.values():
        assert value in text
    assert "CallableTeacher" not in text


def test_it_holds_no_path_and_no_text(fitted, news, tiny_path, tmp_path):
    text = card_of(fitted, tmp_path)
    assert str(tiny_path.parent) not in text
    assert f"model='{tiny_path.name}'" in text
    assert not any(story[:40] in text for story in news[0])


def test_a_loaded_classifier_does_not_know_its_teacher(fitted, tmp_path):
    fitted.save(tmp_path / "first")
    loaded = LLKDClassifier.load(tmp_path / "first")
    assert "The teacher: not stated." in card_of(loaded, tmp_path / "second")


def test_our_own_card_is_renewed_and_another_is_left_alone(fitted, tmp_path):
    assert "# One" in card_of(fitted, tmp_path, name="One")
    assert "# Two" in card_of(fitted, tmp_path, name="Two")
    (tmp_path / "README.md").write_text("my own words", encoding="utf-8")
    with pytest.warns(SkllkdWarning, match=r"README\.md.*none of ours"):
        assert card_of(fitted, tmp_path) == "my own words"


@pytest.mark.parametrize(
    "card", [{"author": "x"}, {"name": 3}, {"name": " "}, "mit", {"data": None}]
)
def test_what_cannot_stand_in_it_is_a_named_error_before_anything_is_written(
    fitted, tmp_path, card
):
    with pytest.raises(InvalidParameterError, match="`card`"):
        fitted.save(tmp_path / "new", card=card)
    assert not (tmp_path / "new").exists()
