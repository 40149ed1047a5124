"""
File formats: joblib, folder and ONNX
=====================================

This example saves a fitted classifier in each available format, for use on other machines
or without torch, and compares the size and speed of the files.
"""

# %%
# Train a classifier on existing labels. Without a teacher, ``fit`` takes the labels as
# ``y``, which is also the quickest way to experiment with labels you already have.

import tempfile
import time
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split
from skllkd import LLKDClassifier, ONNXClassifier
from skllkd.datasets import load_bbc_news, minilm_path
from skllkd.students import TransformerStudent

stories, topics = load_bbc_news()
beginnings = [story[:400] for story in stories]  # which tell the topic
texts, others, labels, _ = train_test_split(
    beginnings, topics, train_size=240, test_size=128, random_state=0
)
clf = LLKDClassifier(
    student=TransformerStudent(minilm_path()), random_state=0, verbose=0
).fit(texts, labels)

# %%
# Save it with joblib, as any estimator, and as a folder of JSON and safetensors files with
# a model card. Loading the folder executes no code. Neither format contains a teacher, a
# key, a text or a path of this machine.

folder = Path(tempfile.mkdtemp())
joblib.dump(clf, folder / "classifier.joblib")
clf.save(
    folder / "classifier", card={"name": "News by topic", "data": "BBC News, 2004-2005"}
)
print(*sorted(path.name for path in (folder / "classifier").iterdir()), sep="\n")
print((folder / "classifier" / "README.md").read_text(encoding="utf-8")[:600])

# %%
# Export it to ONNX in 32 and in 8 bits. The export compares the file with the classifier on
# the given texts, and writes no file if too many predictions differ.

exact = clf.export_onnx(folder / "exact.onnx", others)
small = clf.export_onnx(
    folder / "int8.onnx", others, quantize="int8", max_disagreement=0.05
)
print(exact, small, sep="\n")

# %%
# Load all files and predict. The ONNX files need onnxruntime and tokenizers, but no torch.

ways = {
    "joblib": (joblib.load(folder / "classifier.joblib"), "classifier.joblib"),
    "folder": (LLKDClassifier.load(folder / "classifier"), "classifier"),
    "ONNX": (ONNXClassifier(folder / "exact.onnx"), "exact.onnx"),
    "ONNX, 8 bits": (ONNXClassifier(folder / "int8.onnx"), "int8.onnx"),
}
expected, megabytes, speed = clf.predict(others), [], []
for name, (loaded, file) in ways.items():
    loaded.predict(others[:32])  # the first call loads the model
    start = time.perf_counter()
    same = np.mean(loaded.predict(others) == expected)
    speed.append(len(others) / (time.perf_counter() - start))
    path = folder / file
    parts = path.rglob("*") if path.is_dir() else [path]
    megabytes.append(sum(part.stat().st_size for part in parts) / 1e6)
    print(f"{name:13} {same:6.1%} equal labels")

figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
axes[0].barh(list(ways), megabytes, color="0.7")
axes[0].set(xlabel="megabytes")
axes[1].barh(list(ways), speed, color="tab:blue")
axes[1].set(xlabel="texts per second, on this machine")
for axis in axes:
    axis.invert_yaxis()
plt.show()

# %%
# ``predict_stream`` predicts an iterable in chunks, without loading all texts into memory.

for chunk in clf.predict_stream(iter(others), chunk_size=64):
    print(len(chunk), "texts, the first:", chunk[0])
