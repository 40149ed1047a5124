"""
Class imbalance: calibration with a class prior
===============================================

Calibration removes the preference of a language model for some labels, and assumes that
the classes are equally frequent. If they are not, it over-corrects. In this example nine
of ten stories are about sports or business, and the others about three rare topics. The
class proportions are given, estimated, or omitted. The best choice depends on the metric.
"""

# %%
# Draw an imbalanced pool and a balanced test set.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import recall_score
from sklearn.utils import shuffle
from skllkd import LLKDClassifier
from skllkd.datasets import load_bbc_news, minilm_path, smollm2_path
from skllkd.selection import Pool, RankedImportance
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import BatchCalibration, TransformersTeacher

stories, topics = shuffle(*load_bbc_news(), random_state=0)
stories, topics = np.array(stories, dtype=object), np.array(topics)
classes = ["business", "entertainment", "politics", "sports", "tech"]
n_of = {"sports": 100, "business": 80, "politics": 7, "tech": 7, "entertainment": 6}
pool, held_out = [], []
for name in classes:
    rows = np.flatnonzero(topics == name)
    pool.extend(rows[: n_of[name]])
    held_out.extend(rows[-60:])
texts = list(stories[pool])
shares = {name: n / len(pool) for name, n in n_of.items()}

# %%
# Compare three calibrations of the same stored answers; the model is called once per text.

examples = [
    ("Airline cuts costs as fuel price climbs. A weak quarter ahead.", "business"),
    ("Young singer wins top award. Her album beat four others.", "entertainment"),
    ("Ministers defend new housing law. The opposition will fight it.", "politics"),
    ("Captain out for six weeks with knee injury. He will miss the final.", "sports"),
    ("Virus spreads through email. Users are told to update software.", "tech"),
]
priors = {"omitted": None, 'estimated ("em")': "em", "given": shares}
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
place = np.arange(len(classes))
true_share = [shares[name] for name in classes]
axes[0].bar(place, true_share, 0.8, color="0.85", label="true share")
scores = {}
for offset, (name, prior) in zip((-0.25, 0, 0.25), priors.items(), strict=True):
    teacher = TransformersTeacher(
        smollm2_path(),
        examples=examples,
        chat=False,
        calibration=BatchCalibration(prior),
    )
    clf = LLKDClassifier(
        teacher,
        classes,
        student=FrozenEncoderStudent(minilm_path()),
        n_epochs=20,
        random_state=0,
        verbose=0,
    ).fit(texts)
    given = [np.mean(clf.pseudo_labels_ == label) for label in classes]
    axes[0].bar(place + offset, given, 0.22, label=f"labels, prior {name}")
    recall = recall_score(
        topics[held_out], clf.predict(list(stories[held_out])), average=None
    )
    scores[name] = {
        "teacher, on the pool": np.mean(clf.pseudo_labels_ == topics[pool]),
        "student, shares as in the pool": recall @ true_share,
        "student, all topics alike": recall.mean(),
    }
axes[0].set(xticks=place, xticklabels=classes, ylabel="share of the pool")
axes[0].legend(fontsize=8)
for shift, which in zip((-0.27, 0, 0.27), scores["given"], strict=True):
    heights = [score[which] for score in scores.values()]
    bars = axes[1].bar(np.arange(3) + shift, heights, 0.26, label=which)
    axes[1].bar_label(bars, fmt="{:.0%}", fontsize=8)
axes[1].set(xticks=range(3), xticklabels=scores, ylim=(0, 1.25), ylabel="right")
axes[1].legend(loc="upper left", fontsize=8)
plt.show()

# %%
# Without the proportions, the teacher distributes the pool over all topics, and most of the
# stories labelled tech or politics are about business or sports. With them, far more labels
# are correct, but the rare topics have hardly any labels left, and a student that should
# find *these* topics benefits from the larger number of labels. Pass the proportions if the
# texts to predict have the same distribution and all errors cost the same. Omit them, or
# collect more texts of the rare topics, if all topics are equally important.
#
# In either case, the default selection ranks confidence *within* each class, so that the
# most confident texts of a rare class are preferred as in any other class. The mean
# sample weight is the same for all classes:

selection = RankedImportance()
selection.begin(Pool(clf.refined_proba_), 1, np.random.RandomState(0))
for k, name in enumerate(classes):
    own = selection.sample_weight_[clf.refined_proba_.argmax(axis=1) == k]
    if len(own):
        print(f"{name:13} {len(own):3} texts, mean weight {own.mean():.2f}")
