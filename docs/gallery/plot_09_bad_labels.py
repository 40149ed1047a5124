"""
Finding label errors
====================

A teacher makes errors, and often it is confident about them. The student is trained on
all texts and contradicts the teacher if a label is inconsistent with the others. This
example adds wrong labels to the pool and finds them with the student.
"""

# %%
# Replace every eighth label of the news stories by a wrong one, with the same confidence as
# the correct labels. This simulates a language model that misunderstands some texts.

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
sure = rng.uniform(0.85, 0.99, len(texts))  # for wrong and correct labels
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
# In this map, the teacher is confident about texts on the right, and the student uncertain
# about texts at the top; rings mark disagreement. The confidence of the teacher does not
# reveal its errors, but the rings do: label issues are in the lower right, where both are
# confident and disagree.

ConfidenceUncertaintyDisplay.from_estimator(clf, texts)
plt.show()

# %%
# ``report`` prints the agreement and lists the label issues, the most confident first.

report = clf.report(texts)
is_wrong = np.isin(np.arange(len(texts)), wrong)
for issue in report.label_issues[:5]:
    mark = "wrong" if is_wrong[issue.row] else "right"
    print(f"{mark}: {issue}")

# %%
# The whole pool can be ranked by the probability that the student assigns to the label of
# the teacher, lowest first. The curve shows how many errors are found by reading the first
# texts of this ranking.

student_proba = clf.predict_proba(texts)
doubt = 1 - student_proba[np.arange(len(texts)), np.searchsorted(classes, given)]
order = np.argsort(-doubt)
found = np.cumsum(is_wrong[order])
figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
axis.plot(np.arange(1, len(texts) + 1), found, label="ranked by the student")
axis.plot([0, len(texts)], [0, len(wrong)], "0.6", label="random order")
axis.plot([0, 100, len(texts)], [0, 100, 100], "k:", lw=1, label="best possible")
axis.set(xlabel="texts read", ylabel="wrong labels found")
axis.legend()
plt.show()
print(f"wrong labels among the first 100 texts: {found[99]} of 100")
print(f"AUROC of the ranking: {roc_auc_score(is_wrong, doubt):.2f}")

# %%
# Correct the labels and fit again, ``fit(texts, labels)``. A classifier with a teacher
# ignores these labels: remove the teacher first with ``set_params(teacher=None)``.
