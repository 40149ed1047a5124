"""
Grid search without labels
==========================

``GridSearchCV`` can tune the parameters of the selection, such as the momentum of its
thresholds, like any others. It needs no gold labels: candidates are scored by their
agreement with the teacher on texts they were not trained on. The language model labels
each text once, regardless of the number of candidates and folds.
"""

# %%
# The texts are news stories, and the teacher is a small language model that runs in
# process; both are installed as packages. The true topics are only used at the end, to
# evaluate the choice.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV
from sklearn.utils import shuffle
from skllkd import LLKDClassifier
from skllkd.datasets import load_bbc_news, smollm2_path
from skllkd.metrics import expected_agreement
from skllkd.selection import LLKDSelection
from skllkd.students import SklearnStudent
from skllkd.teachers import TransformersTeacher

stories, topics = shuffle(*load_bbc_news(), random_state=0)
texts, held_out, gold = stories[:300], stories[500:900], topics[500:900]
examples = [
    ("Airline cuts costs as fuel price climbs. A weak quarter ahead.", "business"),
    ("Young singer wins top award. Her album beat four others.", "entertainment"),
    ("Ministers defend new housing law. The opposition will fight it.", "politics"),
    ("Captain out for six weeks with knee injury. He will miss the final.", "sports"),
    ("Virus spreads through email. Users are told to update software.", "tech"),
]
teacher = TransformersTeacher(smollm2_path(), examples=examples, chat=False)

# %%
# Pass all components explicitly, so that their parameters can be part of the search. The
# student is a linear model on words, which trains in a fraction of a second.

classifier = LLKDClassifier(
    teacher,
    ["business", "entertainment", "politics", "sports", "tech"],
    selection=LLKDSelection(),
    student=SklearnStudent(),
    n_epochs=6,
    random_state=0,
    verbose=0,
)
momentum = [0.0, 0.5, 0.9, 0.99]
search = GridSearchCV(
    classifier,
    {"selection__momentum": momentum, "selection__class_term": ["signal", None]},
    scoring=expected_agreement,
    cv=3,
)
search.fit(texts)
print("chosen:", search.best_params_)
print("teacher calls made by the last fit:", search.best_estimator_.n_teacher_calls_)

# %%
# Plot the mean agreement over the folds, with its standard error, and the share of
# selected texts for each setting.

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
results = search.cv_results_
for term, marker in (("signal", "o"), (None, "s")):
    rows = [
        row
        for row, parameters in enumerate(results["params"])
        if parameters["selection__class_term"] == term
    ]
    mean = results["mean_test_score"][rows]
    error = results["std_test_score"][rows] / np.sqrt(search.n_splits_)
    label = "threshold per class" if term else "one threshold"
    axes[0].errorbar(
        range(len(momentum)), mean, error, marker=marker, capsize=3, label=label
    )
axes[0].set(
    xlabel="momentum of the thresholds",
    ylabel="expected agreement with the teacher",
    xticks=range(len(momentum)),
    xticklabels=momentum,
)
axes[0].legend()

shares = []
for value in momentum:
    candidate = LLKDClassifier(
        **(classifier.get_params(deep=False) | {"selection": LLKDSelection(value)})
    ).fit(texts)
    shares.append(
        candidate.history_["n_selected"].sum() / candidate.history_["n_presented"].sum()
    )
axes[1].bar([str(value) for value in momentum], shares, color="0.7")
axes[1].set(xlabel="momentum of the thresholds", ylabel="share selected")
plt.show()

# %%
# Compute the accuracy with gold labels, which were not available to the search:

chosen = search.best_estimator_
print(f"accuracy on held-out stories: {chosen.score(held_out, gold):.3f}")
