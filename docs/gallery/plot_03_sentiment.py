"""
Sentiment: label bias and calibration
=====================================

A small language model that classifies reviews as positive or negative prefers one of the
two words regardless of the review. This example shows this bias, the effect of
calibration and of two examples in the prompt, and the reliability of the probabilities
of the student.
"""

# %%
# The reviews are generated from a few phrases and are easier than real ones.

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
from sklearn.utils import shuffle
from skllkd import LLKDClassifier, ReliabilityDisplay
from skllkd.datasets import minilm_path, smollm2_path
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import BatchCalibration, TransformersTeacher

opinions = {
    "positive": [
        "I would buy it again at once",
        "it does just what it promises",
        "a joy to use every day",
        "better than anything I had before",
        "worth every penny",
        "my whole family loves it",
        "it arrived early and works well",
        "I have nothing to complain about",
    ],
    "negative": [
        "it broke after two days",
        "a waste of money",
        "I sent it back the same week",
        "it never did what it promises",
        "much worse than the old one",
        "nobody here wants to use it",
        "it arrived late and damaged",
        "I have only complaints",
    ],
}
things = ["the kettle", "this lamp", "the headphones", "our new vacuum cleaner"]
things += ["the backpack", "this keyboard", "the coffee grinder"]
places = [
    "",
    " Bought for the office.",
    " A present for my sister.",
    " Ordered online.",
]
reviews, tone = [], []
for name, phrases in opinions.items():
    for phrase, thing, place in product(phrases, things, places):
        reviews.append(f"About {thing}: {phrase}.{place}")
        tone.append(name)
reviews, tone = shuffle(reviews, np.array(tone), random_state=1)
texts, gold = reviews[:160], tone[:160]
held_out, held_out_gold = reviews[160:], tone[160:]

# %%
# Label the reviews with three settings. Calibration is applied to stored
# log-probabilities, so the second setting makes no further calls: it subtracts the mean
# log-probability of each class. The third also has an example of each class in the
# prompt.

classes = ["positive", "negative"]
examples = [
    ("The cable is solid and charges fast.", "positive"),
    ("The zip jams and the colour came off.", "negative"),
]
ways = {
    "raw": {"calibration": None},
    "calibrated": {"calibration": BatchCalibration()},
    "with two examples": {"calibration": BatchCalibration(), "examples": examples},
}
figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), sharey=True, layout="constrained")
for axis, (name, parameters) in zip(axes, ways.items(), strict=True):
    teacher = TransformersTeacher(smollm2_path(), chat=False, **parameters)
    label = teacher.label(texts, classes)
    bins = np.linspace(0, 1, 21)
    for k, colour in ((0, "tab:green"), (1, "tab:red")):
        of_class = gold == classes[k]
        axis.hist(
            label.proba[of_class, 0], bins, alpha=0.6, color=colour, label=classes[k]
        )
    right = np.mean(np.array(classes)[label.proba.argmax(axis=1)] == gold)
    axis.set(title=f"{name}: {right:.0%} right", xlabel='probability of "positive"')
    print(f"{name}: median label mass {np.median(label.label_mass):.2f}")
    axis.axvline(0.5, color="0.3", lw=1)
axes[0].set_ylabel("reviews")
axes[0].legend(title="true class")
plt.show()

# %%
# Without calibration, the model labels every review as positive. The agreement between
# teacher and student cannot reveal this, because a student of these labels would agree
# perfectly. The class frequencies of the labels do, and the confidence after calibration.
#
# The student is trained with the third setting. The diagram compares its confidence with
# its accuracy on unseen reviews; on the diagonal, a probability of 0.8 corresponds to an
# accuracy of 80 %. Small teachers are most confident where the task is easiest, and a
# student trained on hard labels is overconfident: use its probabilities as a ranking.

clf = LLKDClassifier(
    teacher,
    classes,
    student=FrozenEncoderStudent(minilm_path()),
    n_epochs=20,
    random_state=0,
    verbose=0,
).fit(texts)
print(f"student, on unseen reviews: {clf.score(held_out, held_out_gold):.1%}")
ReliabilityDisplay.from_estimator(clf, held_out, held_out_gold)
plt.show()

# %%
# With gold labels, ``CalibratedTeacher(teacher, texts, y)`` fits a temperature on about 30
# of them, or an isotonic regression on a few hundred; see the page on calibration in the
# user guide.
