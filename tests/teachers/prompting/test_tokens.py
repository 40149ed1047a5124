"""Prompts in tokens, with a tokenizer of one token a character."""

from skllkd.teachers.prompting.template import PromptTemplate
from skllkd.teachers.prompting.tokens import tokenize_prompt


class Characters:
    begin_tokens = (1,)
    end_token = 2

    def tokenize(self, text, *, special):
        text = text.replace("<s>", "\1") if special else text
        return [ord(character) for character in text]


class Merging(Characters):
    """Reads ':' and what follows it as one token, as some tokenizers do."""

    def tokenize(self, text, *, special):
        tokens = super().tokenize(text, special=special)
        if ord(":") in tokens[:-1]:
            at = tokens.index(ord(":"))
            tokens[at : at + 2] = [1000 + tokens[at + 1]]
        return tokens


TEMPLATE = PromptTemplate("T", ":", ("ab", "ac"), end="\n")


def test_the_beginning_of_text_is_there_once():
    prompt = tokenize_prompt(Characters(), TEMPLATE, whole_labels=True)
    assert prompt.prefix == (1, ord("T"))
    printed = PromptTemplate("<s>T", ":", ("ab", "ac"), end="\n")
    assert tokenize_prompt(Characters(), printed, whole_labels=True) == prompt
    assert prompt.suffix == (ord(":"),)
    assert prompt.n_tail == 2  # with the "a" that the labels share


def test_labels_are_read_in_their_place_unless_they_merge_with_the_prompt():
    whole = tokenize_prompt(Characters(), TEMPLATE, whole_labels=True)
    merged = tokenize_prompt(Merging(), TEMPLATE, whole_labels=True)
    assert merged.trie == whole.trie


def test_labels_to_where_they_differ_and_to_their_ends():
    template = PromptTemplate("T", ":", ("ab", "cd", "cdx"), end="\n")
    whole = tokenize_prompt(Characters(), template, whole_labels=True).trie
    short = tokenize_prompt(Characters(), template, whole_labels=False).trie
    assert [len(steps) for steps in whole.steps] == [3, 3, 4]  # each ended, by "\n"
    assert whole.steps[1][-1][1] == ord("\n")
    assert [len(steps) for steps in short.steps] == [2, 3, 4]
