"""What refinement does to the labels of a pool, drawn from a run of its own rule."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import softmax
from skllkd._core.classes import as_classes
from skllkd.refinement import ClassNames, EvidenceContext, OutOfFold, Refinement
from skllkd.refinement.cross_fitting import by_linear_model, folds_of, out_of_fold

rng = np.random.RandomState(3)
names, n_rows = ["business", "politics", "sports"], 360
# Embeddings in the plane: three topics, and names that lie near, not on, their texts.
centre = np.array([90, 215, 330])
gold = np.arange(n_rows) % 3
angle = np.deg2rad(centre[gold] + rng.normal(0, 27, n_rows))
radius = 1 + rng.normal(0, 0.16, n_rows)
features = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
of_name = np.deg2rad(centre + np.array([25, -30, -20]))
of_name = np.column_stack([np.cos(of_name), np.sin(of_name)])

# A teacher that is right about two texts in three, and less sure where it is wrong.
wrong = rng.uniform(size=n_rows) < 0.36
said = np.where(wrong, (gold + rng.randint(1, 3, n_rows)) % 3, gold)
logit = rng.normal(0, 0.3, (n_rows, 3))
logit[np.arange(n_rows), said] += np.where(wrong, 0.9, 1.6)
teacher_proba = softmax(logit, axis=1)

texts = [f"text {i}" for i in range(n_rows)]
of_text = dict(zip([*texts, *names], [*features, *of_name], strict=True))


def cross_fit(label, weight, n_folds):
    """Train and predict as the package does, on the embeddings."""
    fold = folds_of(texts, n_folds, seed=0)
    model = by_linear_model(features, label, weight, 3)
    return out_of_fold(model, label, weight, fold, 3, seed=0)


context = EvidenceContext(
    texts,
    as_classes(names),
    teacher_proba,
    teacher_proba,
    lambda some: np.array([of_text[text] for text in some]),
    cross_fit,
    seed=0,
)
refined, (by_name, _), *_ = Refinement((ClassNames(0.5), OutOfFold()))(context)
label, before = refined.argmax(axis=1), teacher_proba.argmax(axis=1)
log_names = by_name.weight * ClassNames(0.5).log_prob(context)
log_others = np.log(refined) - np.log(teacher_proba) - log_names

figure, axes = plt.subplots(1, 3, figsize=(11, 3.7), layout="constrained")
colours = np.array(["tab:blue", "tab:orange", "tab:green"])
for ax, found, title in ((axes[0], before, "Teacher"), (axes[2], label, "Refined")):
    ax.scatter(*features.T, c=colours[found], s=11)
    ax.scatter(*of_name.T, c=colours, marker="*", s=230, edgecolors="k", zorder=3)
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.set_title(f"{title}: {np.mean(found == gold):.0%} of the labels are right")

# The text whose label changed most surely to the right one, as a sum of logs.
changed = np.flatnonzero((label != before) & (label == gold))
row = changed[refined[changed].max(axis=1).argmax()]
for ax in (axes[0], axes[2]):
    ax.scatter(*features[row], s=110, facecolors="none", edgecolors="k", linewidths=1.6)
parts = [np.log(teacher_proba[row]), log_names[row], log_others[row]]
parts = [part - part.mean() for part in parts]
parts = [*parts, np.sum(parts, axis=0)]
ticks = ["teacher\n$z_T$", "class names\n$b\\,z_E$", "other texts\n$z_S$", "sum"]
for k, name in enumerate(names):
    heights = [part[k] for part in parts]
    axes[1].bar(np.arange(4) + 0.25 * (k - 1), heights, 0.23, color=colours[k])
    axes[1].plot([], [], "s", color=colours[k], label=name)
axes[1].axhline(0, color="0.3", linewidth=0.8)
axes[1].set_xticks(np.arange(4), ticks, fontsize=8)
axes[1].set(ylabel="nats, less their mean", title="The circled text: evidence adds up")
axes[1].legend(fontsize=8, loc="upper left")
