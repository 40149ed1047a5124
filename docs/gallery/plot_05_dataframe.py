"""
DataFrames, pipelines and cross-validation
==========================================

In this example the texts are two columns of a DataFrame, a headline and a first sentence,
with missing values. A pipeline joins the columns, and the usual tools of scikit-learn
apply.
"""

# %%
# Create the table.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skllkd import LLKDClassifier
from skllkd.datasets import load_bbc_news, minilm_path, smollm2_path
from skllkd.metrics import expected_agreement
from skllkd.students import FrozenEncoderStudent, SklearnStudent
from skllkd.teachers import TransformersTeacher

stories, topics = load_bbc_news()
table = pd.DataFrame(
    [story.split(". ", 1) for story in stories], columns=["headline", "first_sentence"]
).assign(topic=topics)
table = table.sample(240, random_state=0).reset_index(drop=True)
table.loc[::9, "first_sentence"] = None
table.head()

# %%
# The pipeline joins the columns and trains the classifier. All components are nested
# parameters, for example ``llkdclassifier__selection`` and
# ``llkdclassifier__student__learning_rate``.


def joined(columns):
    """Join the columns of each row into one text."""
    return columns.fillna("").agg(". ".join, axis=1)


teacher = TransformersTeacher(
    smollm2_path(),
    examples=[
        ("Airline cuts costs as fuel price climbs. A weak quarter ahead.", "business"),
        ("Young singer wins top award. Her album beat four others.", "entertainment"),
        ("Ministers defend new housing law. The opposition will fight it.", "politics"),
        (
            "Captain out for six weeks with knee injury. He will miss the final.",
            "sports",
        ),
        ("Virus spreads through email. Users are told to update software.", "tech"),
    ],
    chat=False,
)
pipeline = make_pipeline(
    FunctionTransformer(joined),
    LLKDClassifier(
        teacher,
        sorted(table["topic"].unique()),
        student=FrozenEncoderStudent(minilm_path()),
        n_epochs=20,
        random_state=0,
        verbose=0,
    ),
)
pipeline

# %%
# Cross-validate with and without gold labels, which are only used for scoring and never
# for training. The teacher labels each text once for all folds and students.

columns, gold = table[["headline", "first_sentence"]], table["topic"]
students = {
    "frozen MiniLM": FrozenEncoderStudent(minilm_path()),
    "TF-IDF and a linear model": SklearnStudent(),
}
results = {}
for name, student in students.items():
    pipeline.set_params(llkdclassifier__student=student)
    scores = cross_validate(
        pipeline,
        columns,
        gold,
        scoring={"gold accuracy": "accuracy", "agreement": expected_agreement},
        cv=4,
        error_score="raise",
    )
    results[name] = scores
    print(f"{name}: gold accuracy {scores['test_gold accuracy'].mean():.3f}")

# %%
# Both scores rank the students equally: without gold labels you would make the same choice.

figure, axis = plt.subplots(figsize=(6, 3.5), layout="constrained")
for shift, key in ((-0.18, "test_gold accuracy"), (0.18, "test_agreement")):
    means = [scores[key].mean() for scores in results.values()]
    errors = [scores[key].std() / np.sqrt(4) for scores in results.values()]
    place = np.arange(len(results)) + shift
    axis.bar(
        place, means, 0.34, yerr=errors, capsize=3, label=key.removeprefix("test_")
    )
axis.set(xticks=range(len(results)), xticklabels=results, ylim=(0, 1))
axis.legend()
plt.show()
