"""
News topics: a minimal complete run
===================================

A language model with 135 million parameters, running in this process, labels unlabeled
news stories with one of five topics. A sentence encoder fine-tuned on these labels is
more accurate than its teacher and more than ten times as fast.
"""

# %%
# Load the texts. Their true topics are only used for the evaluation at the end.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.utils import shuffle
from skllkd import LLKDClassifier, SelectionDisplay
from skllkd.datasets import load_bbc_news, minilm_path, smollm2_path
from skllkd.students import TransformerStudent
from skllkd.teachers import TransformersTeacher

stories, topics = shuffle(*load_bbc_news(), random_state=0)
texts, held_out, gold = stories[:500], stories[500:750], np.array(topics)
print(len(texts), "stories to learn from, for instance:")
print(texts[0])

# %%
# Define the teacher. Its prompt contains one invented example per topic, which helps such
# a small model to understand the task. The model generates no text: the teacher reads the
# probability of each topic as the next words.

examples = [
    ("Airline cuts costs as fuel price climbs. A weak quarter ahead.", "business"),
    ("Young singer wins top award. Her album beat four others.", "entertainment"),
    ("Ministers defend new housing law. The opposition will fight it.", "politics"),
    ("Captain out for six weeks with knee injury. He will miss the final.", "sports"),
    ("Virus spreads through email. Users are told to update software.", "tech"),
]
teacher = TransformersTeacher(smollm2_path(), examples=examples, chat=False)
classes = ["business", "entertainment", "politics", "sports", "tech"]

# %%
# Estimate the cost with a plan, which makes no call.

print(teacher.plan(texts, classes))

# %%
# ``fit`` labels the texts, calibrates the labels and trains the student. It needs no labels
# from the user.

clf = LLKDClassifier(
    teacher,
    classes,
    student=TransformerStudent(minilm_path()),
    random_state=0,
    verbose=0,
).fit(texts)

# %%
# Without gold labels, the report shows the agreement between teacher and student, and the
# texts for which both are confident and disagree.

report = clf.report(texts)

# %%
# With the true topics, the accuracy can be computed:

student_right = clf.predict(held_out) == gold[500:750]
print(f"student, on {len(held_out)} stories it never saw: {student_right.mean():.1%}")
teacher_right = clf.pseudo_labels_ == gold[:500]
print(f"teacher, on the stories it labelled: {teacher_right.mean():.1%}")

# %%
# The figure shows the share of each batch that was selected, over the training steps.

SelectionDisplay.from_estimator(clf)
plt.show()
