"""What LLKD keeps of a pool, drawn from a run of its own rule."""

import matplotlib.pyplot as plt
import numpy as np
from skllkd.selection import Batch, LLKDSelection, Pool, RankedImportance
from skllkd.selection.uncertainty import normalised_entropy

rng = np.random.RandomState(0)
n_rows, n_classes, n_steps = 1600, 2, 50
# The teacher is surer of the first class than of the second; the student learns.
label = rng.randint(n_classes, size=n_rows)
sure = rng.beta(5, 1.6, n_rows) * 0.5 + 0.5 - 0.12 * label * rng.uniform(size=n_rows)
sure = np.clip(sure, 0.501, 0.999)
rows = np.arange(n_rows)
teacher = np.empty((n_rows, n_classes))
teacher[rows, label], teacher[rows, 1 - label] = sure, 1 - sure
hard_to_learn = rng.beta(1.5, 2.0, n_rows)


def student_at(step):
    """Return the probabilities of a student that was trained for so many steps."""
    right = 0.5 + 0.5 * (1 - hard_to_learn) * (1 - np.exp(-(step + 2) / 15))
    proba = np.empty((n_rows, n_classes))
    proba[rows, label], proba[rows, 1 - label] = right, 1 - right
    return proba


llkd = LLKDSelection()
llkd.begin(Pool(teacher), n_steps, np.random.RandomState(0))
ranked = RankedImportance()
ranked.begin(Pool(teacher), n_steps, np.random.RandomState(0))
share = []
for step in range(n_steps):
    drawn = rng.permutation(n_rows)[:64]
    batch = Batch(drawn, teacher[drawn], student_at(step)[drawn], step)
    share.append(llkd.select(batch).mask.mean())
    ranked.select(batch)

figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
blue, orange = "tab:blue", "tab:orange"
for k, colour in ((0, blue), (1, orange)):
    axes[0].plot(
        llkd.teacher_thresholds_[:, k], colour, label=f"teacher, class {k}", lw=2
    )
    axes[0].plot(
        llkd.student_thresholds_[:, k], colour, ls="--", label=f"student, class {k}"
    )
axes[0].set(xlabel="step", ylabel="threshold", title="Thresholds move, per class")
axes[0].legend(fontsize=8)

student = student_at(n_steps - 1)
unsure = normalised_entropy(student)
above = (sure > llkd.teacher_thresholds_[-1, label]) & (
    unsure > llkd.student_thresholds_[-1, label]
)
axes[1].scatter(sure[~above], unsure[~above], s=5, c="0.75", label="left out")
axes[1].scatter(sure[above], unsure[above], s=6, c="tab:green", label="kept")
axes[1].set(
    xlabel="teacher confidence $c$",
    ylabel="student uncertainty $u$",
    title=f"LLKD cuts: {above.mean():.0%} kept",
)
axes[1].legend(fontsize=8, loc="lower left")

error = np.sqrt(2) * (1 - student[rows, label])
gradient = ranked.sample_weight_ * error
chance = np.clip(0.05 + 0.35 * gradient / ranked.mean_gradient_[-1], 0, 1)
drawn = axes[2].scatter(sure, unsure, s=6, c=chance, cmap="viridis", vmin=0, vmax=1)
axes[2].set(
    xlabel="teacher confidence $c$",
    ylabel="student uncertainty $u$",
    title=f"The default draws: {chance.mean():.0%} a step",
)
figure.colorbar(drawn, ax=axes[2], label="chance to be trained on")
