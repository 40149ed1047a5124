"""
Customer intents: class descriptions in the prompt
==================================================

This example classifies customer requests by intent. Each intent has a name and a
description, which is part of the prompt. The student uses a frozen encoder: each text is
encoded once, and a head is trained on the features in a second or two, so that
experiments are cheap.
"""

# %%
# The requests are generated from a few phrases and are easier than real ones. Replace them
# with a column of your own data, ``pandas.read_csv("requests.csv")["body"]``.

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.utils import shuffle
from skllkd import LLKDClassifier
from skllkd.datasets import minilm_path, smollm2_path
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import TransformersTeacher

wishes = {
    "billing": [
        "I was charged twice for {}",
        "the amount on the invoice for {} is wrong",
        "please pay back what I paid for {}",
        "why did the price of {} go up on my bill",
        "my card was debited although I cancelled {}",
        "I need a receipt for the payment of {}",
    ],
    "outage": [
        "{} does not load at all",
        "I get an error message whenever I open {}",
        "{} has been down since this morning",
        "the page of {} stays blank",
        "{} crashes after a few seconds",
        "nothing happens when I start {}",
    ],
    "account": [
        "I forgot the password for {}",
        "please change the email address of my login to {}",
        "I cannot sign in to {} any more",
        "how do I delete my profile on {}",
        "my user name for {} is not recognised",
        "I want to add a second user to {}",
    ],
}
things = ["the photo app", "the premium plan", "your web shop", "the music service"]
things += ["the family package", "the cloud storage", "your newsletter tool"]
openings = ["", "Hello, ", "Good morning, a question: ", "To whom it may concern: "]
requests, intent = [], []
for name, phrases in wishes.items():
    for phrase, thing, opening in product(phrases, things, openings):
        requests.append(opening + phrase.format(thing) + ".")
        intent.append(name)
requests, intent = shuffle(requests, intent, random_state=0)
texts, held_out, gold = requests[:240], requests[240:], np.array(intent[240:])
print(f"{len(texts)} requests, for instance:", *texts[:3], sep="\n  ")

# %%
# The prompt contains one example per intent in addition to the descriptions.

teacher = TransformersTeacher(
    smollm2_path(),
    examples=[
        ("There is a fee on my statement that I do not know.", "billing"),
        ("The screen freezes when I click on play.", "outage"),
        ("Please send me a new PIN to log in.", "account"),
    ],
    chat=False,
)
clf = LLKDClassifier(
    teacher,
    {
        "billing": "invoices, charges, refunds, prices",
        "outage": "something is down, slow or broken",
        "account": "login, password, user names, profiles",
    },
    student=FrozenEncoderStudent(minilm_path()),
    n_epochs=20,
    random_state=0,
    verbose=0,
).fit(texts)
report = clf.report()

# %%
# The report ends with a verdict, a judgement without gold labels: whether the teacher
# tells the classes apart and the student follows, with an estimate of both accuracies.
#
# The figures compare the labels of the teacher and the predictions of the student with
# the true intents.

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
truth = dict(zip(requests, intent, strict=True))
ConfusionMatrixDisplay.from_predictions(
    [truth[text] for text in texts], clf.pseudo_labels_, ax=axes[0], colorbar=False
)
ConfusionMatrixDisplay.from_predictions(
    gold, clf.predict(held_out), ax=axes[1], colorbar=False
)
axes[0].set(title="teacher, on the pool", xlabel="teacher label")
axes[1].set(title="student, on unseen requests", xlabel="prediction")
plt.show()
