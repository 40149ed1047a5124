"""The prompts that `prompt_choice` compares: texts of our own, none from the data sets."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.own_labels import DESCRIPTIONS

_FEELINGS = {
    "anger": "My brother borrowed my car again and brought it back with a dent.",
    "disgust": "The kitchen of the restaurant was full of rotten meat.",
    "fear": "I heard steps behind me in the dark car park.",
    "guilt": "I forgot my mother's birthday and lied to her about it.",
    "joy": "I was told that I had passed the last exam.",
    "sadness": "My grandfather died after a long illness.",
    "shame": "I was caught cheating in front of the whole class.",
}


class Wording(NamedTuple):
    """The parts of a set's prompts."""

    question: str  # an instruction of its own
    words: dict[str, str]  # other names of the classes
    descriptions: dict[str, str]
    examples: dict[str, str]  # an invented text of each class


WORDINGS = {
    "agnews": Wording(
        "Which section of a newspaper does this article belong to?",
        {
            "World": "world news",
            "Sports": "sports news",
            "Business": "business news",
            "Sci/Tech": "science and technology",
        },
        DESCRIPTIONS["agnews"],
        {
            "World": "The two presidents signed the peace treaty in Geneva on Monday.",
            "Sports": "The home team won the cup after extra time.",
            "Business": "The retailer's shares fell by a tenth after weak sales.",
            "Sci/Tech": "A new probe has sent pictures of the rings of Saturn.",
        },
    ),
    "babe_llm": Wording(
        "Is the wording of this sentence from a news article biased, as an opinion is, or "
        "not biased, as a plain report is?",
        {"biased": "opinion", "not biased": "report"},
        {
            "biased": "loaded words, exaggeration, one-sided judgement",
            "not biased": "neutral words, facts and sources",
        },
        {
            "biased": "The mayor's disastrous plan is yet another insult to voters.",
            "not biased": "The council approved the plan by seven votes to four.",
        },
    ),
    "emotion": Wording(
        "Which emotion does the writer feel?",
        {
            "anger": "angry",
            "fear": "afraid",
            "joy": "happy",
            "love": "loving",
            "sadness": "sad",
            "surprise": "surprised",
        },
        DESCRIPTIONS["emotion"],
        {
            "anger": "i feel so irritated by the noise next door",
            "fear": "i feel nervous about the operation tomorrow",
            "joy": "i feel happy and proud of what we have built",
            "love": "i feel tender whenever i hold my daughter",
            "sadness": "i feel lonely since he left",
            "surprise": "i feel amazed at how quickly it went",
        },
    ),
    "isear_llm": Wording(
        "Someone tells of an event in their life. Which emotion did they feel?",
        {
            "anger": "angry",
            "disgust": "disgusted",
            "fear": "afraid",
            "guilt": "guilty",
            "joy": "happy",
            "sadness": "sad",
            "shame": "ashamed",
        },
        {
            "anger": "being treated unfairly",
            "disgust": "something revolting",
            "fear": "danger",
            "guilt": "having done wrong to somebody",
            "joy": "something good that happened",
            "sadness": "a loss",
            "shame": "looking bad before others",
        },
        _FEELINGS,
    ),
    "nicta_piboso6": Wording(
        "Which part of a medical abstract is this sentence from?",
        {
            "background": "introduction",
            "intervention": "treatment",
            "outcome": "results",
            "population": "patients",
            "study design": "design of the study",
            "other": "methods and other things",
        },
        DESCRIPTIONS["nicta_piboso6"],
        {
            "background": "Asthma is one of the most frequent diseases of childhood.",
            "intervention": "Patients received 20 mg of the drug daily for six weeks.",
            "outcome": "Pain was significantly lower in the treated group .",
            "population": "We enrolled 84 women aged 40 to 65 with migraine.",
            "study design": "This was a randomised , double-blind trial.",
            "other": "Blood samples were kept at -20 degrees until analysis.",
        },
    ),
    "rtpolarity_llm": Wording(
        "Does the critic like the film?",
        {"positive": "good", "negative": "bad"},
        {
            "positive": "praise, a film worth seeing",
            "negative": "criticism, a film to avoid",
        },
        {
            "positive": "a warm , funny film with a wonderful cast .",
            "negative": "two hours of clumsy jokes and no story at all .",
        },
    ),
    "trec6": Wording(
        "What kind of answer does this question ask for?",
        {
            "abbreviation": "abbreviation",
            "description": "explanation",
            "entity": "thing",
            "human": "person",
            "location": "place",
            "numeric": "number",
        },
        DESCRIPTIONS["trec6"],
        {
            "abbreviation": "What does NASA stand for ?",
            "description": "Why is the sky blue ?",
            "entity": "Which animal sleeps standing up ?",
            "human": "Who painted the ceiling of the chapel ?",
            "location": "Where is the longest bridge ?",
            "numeric": "How many legs does a spider have ?",
        },
    ),
}


def prompts_of(name: str, classes: list[str]) -> dict[str, dict]:
    """Return the prompts of a set that need no answers, by name."""
    wording = WORDINGS[name]
    described = {key.casefold(): text for key, text in wording.descriptions.items()}
    descriptions = {name: described[name.casefold()] for name in classes}
    examples = [(wording.examples[name], name) for name in classes]
    return {
        "plain": {},
        "question": {"instruction": wording.question},
        "described": {"classes": descriptions},
        "reworded": {"classes": [wording.words[name] for name in classes]},
        "examples": {"examples": examples},
        "examples, no chat": {"examples": examples, "chat": False},
        "question, examples": {"examples": examples, "instruction": wording.question},
        "described, examples": {"examples": examples, "classes": descriptions},
    }
