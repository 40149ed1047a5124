"""
Detecting failed distillation
=============================

A student can only learn from its teacher. This example compares a working teacher with
four that fail: a prompt the model does not understand, classes it cannot distinguish,
labels that do not depend on the content, and two names that are swapped. The first three
can be detected without gold labels; the last one shows why a few gold labels are useful.
"""

# %%
# Define the stories and the teachers.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.utils import shuffle
from skllkd import LLKDClassifier
from skllkd.datasets import load_bbc_news, minilm_path, smollm2_path
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import TransformersTeacher

stories, topics = shuffle(*load_bbc_news(), random_state=0)
texts, held_out, gold = stories[:140], stories[140:200], np.array(topics[140:200])
topic_names = ["business", "entertainment", "politics", "sports", "tech"]
examples = [
    ("Airline cuts costs as fuel price climbs. A weak quarter ahead.", "business"),
    ("Young singer wins top award. Her album beat four others.", "entertainment"),
    ("Ministers defend new housing law. The opposition will fight it.", "politics"),
    ("Captain out for six weeks with knee injury. He will miss the final.", "sports"),
    ("Virus spreads through email. Users are told to update software.", "tech"),
]


working = TransformersTeacher(smollm2_path(), examples=examples, chat=False)


def by_length(some):
    """Label texts by their number of characters only."""
    row = [len(text) % 5 for text in some]
    return [topic_names[i] for i in row], np.full(len(some), 0.9)


def swapped(some):
    """Swap two classes in the answers of the working teacher."""
    return working.label(some, topic_names).proba[:, [3, 1, 2, 0, 4]]


teachers = {
    "works": (working, topic_names),
    "does not\nunderstand": (
        TransformersTeacher(smollm2_path(), chat=False),
        ["K-17", "K-22", "K-30", "K-41", "K-58"],
    ),
    "cannot tell": (
        TransformersTeacher(smollm2_path(), chat=False),
        ["written in the morning", "written in the evening"],
    ),
    "not in the text": (by_length, topic_names),
    "swapped": (swapped, topic_names),
}

# %%
# Compute three indicators without gold labels: the label mass, the confidence of the
# teacher after calibration, and the agreement with the teacher *on unseen texts*, compared
# with a constant prediction of the most frequent class of the teacher. The student learns
# the labels of the teacher as they are (``refine=None``), since they are to be judged.

figures = {}
for name, (teacher, classes) in teachers.items():
    clf = LLKDClassifier(
        teacher,
        classes,
        refine=None,
        student=FrozenEncoderStudent(minilm_path()),
        n_epochs=20,
        on_missing_class="warn",
        random_state=0,
        verbose=0,
    ).fit(texts)
    unseen = clf.label(held_out)  # calibrated as the pool was
    taught = np.array(clf.classes_)[unseen.argmax(axis=1)]
    agreement = np.mean(clf.predict(held_out) == taught)
    frequent = max(np.mean(taught == label) for label in classes)
    chance = 1 / len(classes)
    sure = (np.nanmax(clf.teacher_proba_, axis=1).mean() - chance) / (1 - chance)
    figures[name] = (np.median(clf.label_mass_), sure, agreement, frequent)
    print(f"{' '.join(name.split())}: label mass {figures[name][0]:.2f}, ", end="")
    print(f"confidence {sure:.2f}, ", end="")
    print(f"agreement {agreement:.2f}, most frequent class {frequent:.2f}")

# %%
# Plot the indicators side by side:

titles = ("label mass (median)", "confidence above chance", "agreement on unseen texts")
figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), sharey=True, layout="constrained")
values = np.array(list(figures.values()), dtype=float)
for axis, title, column in zip(axes, titles, values.T, strict=False):
    axis.barh(list(figures), column, color="tab:blue")
    axis.set(title=title, xlim=(0, 1))
axes[2].plot(
    values[:, 3], range(len(figures)), "k|", ms=22, label="most frequent class"
)
axes[2].legend(loc="lower right", fontsize=8)
axes[0].invert_yaxis()
plt.show()

# %%
# - **Low label mass**: the model would answer something else. By itself this says little of
#   the labels, as the names without a meaning show. Examples, an instruction, or meaningful
#   names raise it.
# - **Low confidence** after calibration: the model cannot distinguish the classes. Use a
#   larger model, or classes that differ more.
# - **Agreement no better than the most frequent class**: the labels do not depend on the
#   text, or not in a form that the student can learn. More texts do not help.
# - **Good indicators, wrong labels**: names are swapped, or the model interprets a word
#   differently from you. Only gold labels reveal this, and few are sufficient: 50 labelled
#   texts distinguish an accuracy of one half from one of nine tenths.

sample = held_out[:50]
right = np.mean(clf.predict(sample) == gold[:50])
print(
    f"accuracy of the student of the swapped teacher on 50 labelled texts: {right:.0%}"
)
