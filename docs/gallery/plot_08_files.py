"""
Files: save, load, ONNX, and how fast each predicts
===================================================

A fitted classifier is wanted elsewhere: in a service without torch, on a colleague's
machine, in next year's version. This example writes each kind of file, and compares their
size and speed.
"""

# %%
# A classifier. The labels are bought already here, a column of the teacher's answers:
# that is all ``fit`` needs, and the quickest way to try something on labels you have.

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
texts, others, labels, _ = train_test_split(
    stories, topics, train_size=480, test_size=512, random_state=0
)
clf = LLKDClassifier(
    student=TransformerStudent(minilm_path()), random_state=0, verbose=0
).fit(texts, labels)

# %%
# joblib, as for any estimator; and a folder of JSON and safetensors, in which nothing
# runs when it is loaded, with a model card. Neither holds a teacher, a key, a text or a
# path of this machine.

folder = Path(tempfile.mkdtemp())
joblib.dump(clf, folder / "classifier.joblib", compress=3)
clf.save(
    folder / "classifier", card={"name": "News by topic", "data": "BBC News, 2004-2005"}
)
print(*sorted(path.name for path in (folder / "classifier").iterdir()), sep="\n")
print((folder / "classifier" / "README.md").read_text(encoding="utf-8")[:600])

# %%
# ONNX, in 32 and in 8 bits. The export runs both on the texts given and refuses to write
# a file that predicts otherwise more often than allowed.

exact = clf.export_onnx(folder / "exact.onnx", others[:200])
small = clf.export_onnx(
    folder / "int8.onnx", others[:200], quantize="int8", max_disagreement=0.05
)
print(exact, small, sep="\n")

# %%
# Each is loaded and predicts. The last two need onnxruntime and tokenizers, and no torch.

ways = {
    "joblib": (joblib.load(folder / "classifier.joblib"), "classifier.joblib"),
    "folder": (LLKDClassifier.load(folder / "classifier"), "classifier"),
    "ONNX": (ONNXClassifier(folder / "exact.onnx"), "exact.onnx"),
    "ONNX, 8 bits": (ONNXClassifier(folder / "int8.onnx"), "int8.onnx"),
}
expected, megabytes, speed = clf.predict(others), [], []
for name, (loaded, file) in ways.items():
    loaded.predict(others[:32])  # the first call loads what it needs
    start = time.perf_counter()
    same = np.mean(loaded.predict(others) == expected)
    speed.append(len(others) / (time.perf_counter() - start))
    path = folder / file
    parts = path.rglob("*") if path.is_dir() else [path]
    megabytes.append(sum(part.stat().st_size for part in parts) / 1e6)
    print(f"{name:13} {same:6.1%} of labels as before")

figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
axes[0].barh(list(ways), megabytes, color="0.7")
axes[0].set(xlabel="megabytes")
axes[1].barh(list(ways), speed, color="tab:blue")
axes[1].set(xlabel="texts a second, on this machine")
for axis in axes:
    axis.invert_yaxis()
plt.show()

# %%
# A stream of texts needs no list: ``predict_stream`` reads it a chunk at a time, and
# keeps nothing of what went by.

for chunk in clf.predict_stream(iter(others), chunk_size=256):
    print(len(chunk), "texts, the first:", chunk[0])
