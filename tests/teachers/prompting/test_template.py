"""Prompt text."""

import pytest
from skllkd._core.classes import as_classes
from skllkd.exceptions import InvalidParameterError, SavedModelError
from skllkd.teachers.prompting.template import as_examples, build_template

AB = as_classes(["a", "b"])


def test_plain_prompt():
    classes = as_classes({"a": "the  first", "b": ""})
    template = build_template(classes, None, [("some text", "b")], None)
    assert template.before == (
        "Classify each text. Answer with one of these classes only: a, b.\n"
        "- a: the first\n\n"
        "Text: some text\nClass: b\n\nText: "
    )
    assert (template.after, template.answers, template.end) == (
        "\nClass:",
        (" a", " b"),
        "\n",
    )


def test_chat_prompt_without_a_system_turn():
    """Gemma's template raises at a system turn; the task then opens the first turn."""

    def chat(messages):
        if messages[0]["role"] == "system":
            raise ValueError("System role not supported")
        turns = "".join(f"<{m['role']}>{m['content']}</end>" for m in messages)
        return turns + "<assistant>"

    template = build_template(AB, "Choose.", [("t", "a")], chat)
    assert template.before == (
        "<user>Choose.\n\nText: t\nClass?</end><assistant>a</end><user>Text: "
    )
    assert template.after == "\nClass?</end><assistant>"
    assert template.end == "</end><assistant>"


def test_a_template_that_drops_the_text_is_refused():
    with pytest.raises(SavedModelError, match="chat=False"):
        build_template(AB, None, [], lambda messages: "fixed")


def test_examples_are_checked():
    assert as_examples([("two\nlines", "a")], AB) == [("two lines", "a")]
    with pytest.raises(InvalidParameterError, match="index 1.*classes"):
        as_examples([("x", "a"), ("y", "z")], AB)
    with pytest.raises(InvalidParameterError, match="pairs.*'xy'"):
        as_examples(["xy"], AB)
