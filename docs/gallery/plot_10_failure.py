"""
When it will not work, and how you notice
=========================================

A student learns what its teacher knows. Four teachers that are of no use are asked about
the same stories, beside one that works: a prompt the model does not understand, a
distinction it cannot make, labels that do not follow from the text, and two names mixed
up. No gold labels are needed to find the first three, and the last shows why a few are
worth having.
"""

# %%
# The stories and the teachers.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split
from skllkd import LLKDClassifier
from skllkd.datasets import load_bbc_news, minilm_path, smollm2_path
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import LlamaCppTeacher

stories, topics = load_bbc_news()
texts, held_out, _, gold = train_test_split(
    stories, topics, train_size=200, test_size=200, random_state=0
)
topic_names = ["business", "entertainment", "politics", "sports", "tech"]
examples = [
    ("Airline cuts costs as fuel price climbs. A weak quarter ahead.", "business"),
    ("Young singer wins top award. Her album beat four others.", "entertainment"),
    ("Ministers defend new housing law. The opposition will fight it.", "politics"),
    ("Captain out for six weeks with knee injury. He will miss the final.", "sports"),
    ("Virus spreads through email. Users are told to update software.", "tech"),
]


working = LlamaCppTeacher(smollm2_path(), examples=examples, chat=False)


def by_length(some):
    """Return a label that follows from the number of letters, and nothing else."""
    place = [len(text) % 5 for text in some]
    return [topic_names[i] for i in place], np.full(len(some), 0.9)


def mixed_up(some):
    """Return the working teacher's answers with two names in each other's place."""
    return working.label(some, topic_names).proba[:, [3, 1, 2, 0, 4]]


teachers = {
    "works": (working, topic_names),
    "does not\nunderstand": (
        LlamaCppTeacher(smollm2_path(), chat=False),
        ["K-17", "K-22", "K-30", "K-41", "K-58"],
    ),
    "cannot tell": (
        LlamaCppTeacher(smollm2_path(), chat=False),
        ["written in the morning", "written in the evening"],
    ),
    "not in the text": (by_length, topic_names),
    "mixed up": (mixed_up, topic_names),
}

# %%
# What is looked at needs no gold: the label mass, the teacher's confidence after
# calibration, and the agreement with the teacher *on texts the student has not seen*,
# beside what a student would reach that always says the teacher's most frequent class.

figures = {}
for name, (teacher, classes) in teachers.items():
    clf = LLKDClassifier(
        teacher,
        classes,
        student=FrozenEncoderStudent(minilm_path()),
        n_epochs=20,
        on_missing_class="warn",
        random_state=0,
        verbose=0,
    ).fit(texts)
    unseen = clf.label(held_out)  # labels it, calibrated as the pool was
    taught = np.array(clf.classes_)[unseen.argmax(axis=1)]
    agreement = np.mean(clf.predict(held_out) == taught)
    frequent = max(np.mean(taught == label) for label in classes)
    chance = 1 / len(classes)
    sure = (np.nanmax(clf.teacher_proba_, axis=1).mean() - chance) / (1 - chance)
    figures[name] = (np.median(clf.label_mass_), sure, agreement, frequent)
    print(
        f"{' '.join(name.split())}: label mass {figures[name][0]:.2f}, sure {sure:.2f}, ",
        end="",
    )
    print(f"agreement {agreement:.2f} where one class alone has {frequent:.2f}")

# %%
# Side by side:

titles = ("label mass (median)", "confidence above chance", "agreement on unseen texts")
figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), sharey=True, layout="constrained")
values = np.array(list(figures.values()), dtype=float)
for axis, title, column in zip(axes, titles, values.T, strict=False):
    axis.barh(list(figures), column, color="tab:blue")
    axis.set(title=title, xlim=(0, 1))
axes[2].plot(values[:, 3], range(len(figures)), "k|", ms=22, label="one class alone")
axes[2].legend(loc="lower right", fontsize=8)
axes[0].invert_yaxis()
plt.show()

# %%
# - **Low label mass**: the model wants to say something else. Mend the prompt: examples,
#   instruction, names that are words.
# - **Low confidence** after calibration: the model does not know. Take a larger model, or
#   classes that differ more.
# - **Agreement no better than the most frequent class alone**: what the labels follow is
#   not in the text, or not in a form that the student can learn. No number of texts mends
#   that.
# - **All well, and wrong**: names mixed up, or a word the model understands otherwise
#   than you. Only gold shows it, and little is enough: of 50 texts you label yourself, a
#   classifier that is right in half of them is not one that is right in nine tenths.

sample = held_out[:50]
right = np.mean(clf.predict(sample) == np.array(gold[:50]))
print(
    f"the student of the mixed-up teacher is right in {right:.0%} of 50 labelled texts"
)
