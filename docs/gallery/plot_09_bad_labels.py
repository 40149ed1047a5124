"""
Reading the displays to find bad labels
=======================================

A teacher makes mistakes, and its confidence says little about which: it is sure of many
of them. The student has seen all texts, and contradicts the teacher where a label does
not fit with the others. This example hides wrong labels among the teacher's and looks for
them.
"""

# %%
# News stories with labels of which every eighth was replaced by a wrong one, given with
# full confidence. A language model that misreads certain texts looks like that.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import roc_auc_score
from skllkd import ConfidenceUncertaintyDisplay, LLKDClassifier
from skllkd.datasets import load_bbc_news, minilm_path
from skllkd.students import FrozenEncoderStudent

rng = np.random.RandomState(0)
stories, topics = load_bbc_news()
rows = rng.permutation(len(stories))[:800]
texts, gold = [stories[i] for i in rows], np.array(topics)[rows]
classes = np.unique(gold)

given = gold.copy()
wrong = rng.permutation(len(texts))[:100]
given[wrong] = [rng.choice(classes[classes != name]) for name in gold[wrong]]
sure = rng.uniform(0.85, 0.99, len(texts))  # of wrong labels as of right ones
teacher_proba = np.full((len(texts), 5), ((1 - sure) / 4)[:, None])
teacher_proba[np.arange(len(texts)), np.searchsorted(classes, given)] = sure

clf = LLKDClassifier(
    classes=list(classes),
    student=FrozenEncoderStudent(minilm_path()),
    n_epochs=10,
    random_state=0,
    verbose=0,
).fit(texts, teacher_proba=teacher_proba)

# %%
# The map. To the right the teacher is sure; at the top the student is not; rings mark
# where the two disagree. The teacher's confidence does not tell its mistakes from the
# rest, the rings do: label issues stand in the lower right, where both are sure and
# disagree.

ConfidenceUncertaintyDisplay.from_estimator(clf, texts)
plt.show()

# %%
# ``report`` prints what there is to know, and lists the label issues, the surest first.

report = clf.report(texts)
is_wrong = np.isin(np.arange(len(texts)), wrong)
for row in report.label_issues[:5]:
    mark = "wrong" if is_wrong[row] else "right"
    print(f"{mark}: labelled {given[row]}: {texts[row][:70]}")

# %%
# How many of the mistakes are found by reading so many texts? The whole pool can be put
# in order by the probability that the student gives the teacher's label, the least first.

belief = clf.predict_proba(texts)
doubt = 1 - belief[np.arange(len(texts)), np.searchsorted(classes, given)]
order = np.argsort(-doubt)
found = np.cumsum(is_wrong[order])
figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
axis.plot(np.arange(1, len(texts) + 1), found, label="by the student's doubt")
axis.plot([0, len(texts)], [0, len(wrong)], "0.6", label="at random")
axis.plot([0, 100, len(texts)], [0, 100, 100], "k:", lw=1, label="the best possible")
axis.set(xlabel="texts read", ylabel="wrong labels found")
axis.legend()
plt.show()
print(f"among the 100 texts most in doubt, {found[99]} of the 100 wrong labels")
print(f"AUROC of the doubt: {roc_auc_score(is_wrong, doubt):.2f}")

# %%
# Correct what you found and fit again with the corrected labels, ``fit(texts, labels)``. A
# classifier that has a teacher learns from that alone: take it away first, with
# ``set_params(teacher=None)``.
