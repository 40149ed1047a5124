"""
News by topic: the shortest complete run
========================================

News stories without labels, five topics, and a language model of 135 million parameters
that runs in this process. It labels each story once; a sentence encoder is fine-tuned on
its labels, and is then better than its teacher and some twenty times as fast.
"""

# %%
# The texts. Their true topics are put aside; they serve to score at the end.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split
from skllkd import LLKDClassifier, SelectionDisplay
from skllkd.datasets import load_bbc_news, minilm_path, smollm2_path
from skllkd.students import TransformerStudent
from skllkd.teachers import LlamaCppTeacher

stories, topics = load_bbc_news()
texts, held_out, _, gold = train_test_split(
    stories, topics, train_size=600, test_size=400, random_state=0
)
print(len(texts), "stories to learn from, for instance:")
print(texts[0])

# %%
# The teacher. Its prompt holds one example for each topic, made up, which tells a model
# as small as this one what is wanted. It writes no answer: the probability of each topic
# as the next words is read from the model.

examples = [
    ("Airline cuts costs as fuel price climbs. A weak quarter ahead.", "business"),
    ("Young singer wins top award. Her album beat four others.", "entertainment"),
    ("Ministers defend new housing law. The opposition will fight it.", "politics"),
    ("Captain out for six weeks with knee injury. He will miss the final.", "sports"),
    ("Virus spreads through email. Users are told to update software.", "tech"),
]
teacher = LlamaCppTeacher(smollm2_path(), examples=examples, chat=False)
classes = ["business", "entertainment", "politics", "sports", "tech"]

# %%
# Before a call is made, the plan says what it will take.

print(teacher.plan(texts, classes))

# %%
# ``fit`` labels, calibrates and trains. No labels are given.

clf = LLKDClassifier(
    teacher,
    classes,
    student=TransformerStudent(minilm_path()),
    random_state=0,
    verbose=0,
).fit(texts)

# %%
# What can be known without any gold label: how far teacher and student agree, and where
# both are sure and say different things.

report = clf.report(texts)

# %%
# And with the topics that were put aside:

student_right = clf.predict(held_out) == np.array(gold)
print(f"student, on {len(gold)} stories it never saw: {student_right.mean():.1%}")
teacher_right = clf.pseudo_labels_ == np.array(
    [dict(zip(stories, topics, strict=True))[text] for text in texts]
)
print(f"teacher, on the stories it labelled: {teacher_right.mean():.1%}")

# %%
# The picture shows the share of each batch that the student learned from, over the steps.

SelectionDisplay.from_estimator(clf)
plt.show()
