"""
A custom API as the teacher
===========================

Anything that labels texts can be a teacher, for example an internal service, an agent or
a set of rules. It only has to be wrapped in a function that takes a list of texts. This
example starts a local service that does not answer all texts and fails temporarily.
"""

# %%
# Define the service. It answers one text per request with a label and a confidence, has
# no answer for some texts, and is overloaded for a while.

import json
import threading
import urllib.error
import urllib.request
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split
from skllkd import ConfidenceUncertaintyDisplay, LLKDClassifier
from skllkd.datasets import load_bbc_news, minilm_path
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import CallableTeacher

words = {
    "business": "shares profit firm bank economy oil sales growth market deal",
    "entertainment": "film music award star singer actor band show tv album",
    "politics": "blair labour minister election tory party mps brown lords vote",
    "sports": "win cup match coach england players final season injury champion",
    "tech": "software mobile computer net phone users pc online games broadband",
}
asked = []


class Service(BaseHTTPRequestHandler):
    """Labels texts by counting words, with too much confidence."""

    def do_POST(self):
        """Answer one text."""
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        asked.append(text)
        if 100 <= len(asked) < 104:
            self.send_error(503, "overloaded")
            return
        found = set(text.lower().replace(".", " ").replace(",", " ").split())
        hits = {label: len(found & set(of.split())) for label, of in words.items()}
        label = max(hits, key=hits.get)
        answer = {"label": None}
        if hits[label]:
            answer = {
                "label": label,
                "score": (hits[label] + 1) / (sum(hits.values()) + 2),
            }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Disable logging."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"

# %%
# Define the function. For each text it returns a label, or ``None`` without an answer, and
# a confidence. It also has to handle transient errors: here each request is tried three
# times.


def ask_service(texts):
    """Request labels and confidences from the service."""
    labels, sure = [], []
    for text in texts:
        request = urllib.request.Request(url, json.dumps({"text": text}).encode())
        answer = {"label": None}
        for _ in range(3):
            try:
                with urllib.request.urlopen(request, timeout=10) as response:
                    answer = json.load(response)
                break
            except urllib.error.HTTPError:
                continue
        labels.append(answer["label"])
        sure.append(answer.get("score", 0.0))
    return labels, sure


# %%
# With a ``cache_key``, answers are written to the store on disk as they arrive, and
# ``max_calls`` limits the calls of all runs that share the key.

teacher = CallableTeacher(
    ask_service, cache_key="topics, word list 3", max_calls=2000, batch_size=32
)
stories, topics = load_bbc_news()
texts, held_out, of_pool, gold = train_test_split(
    stories, topics, train_size=500, test_size=400, random_state=1
)
classes = list(words)
print(teacher.plan(texts, classes))

# %%
# Texts without an answer are reported by a warning, and take part with the labels that
# refinement gives them. The student can predict every text.

clf = LLKDClassifier(
    teacher,
    classes,
    student=FrozenEncoderStudent(minilm_path()),
    n_epochs=20,
    random_state=0,
    verbose=0,
)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    clf.fit(texts)
for warning in caught:
    print(warning.message)
server.shutdown()
server.server_close()

# %%
# The student is more accurate than its teacher, which knows nothing about texts without its
# words:

known = ~np.isnan(clf.teacher_proba_[:, 0])
teacher_right = np.mean(clf.pseudo_labels_[known] == np.array(of_pool)[known])
print(f"the service, where it answers ({known.mean():.0%}): {teacher_right:.1%}")
print(f"the student, on unseen texts: {clf.score(held_out, gold):.1%}")

# %%
# Plot the pool by confidence and uncertainty. Texts for which the service is confident and
# the student uncertain are informative; if both are confident and disagree, one is wrong.

ConfidenceUncertaintyDisplay.from_estimator(clf, texts)
plt.show()
