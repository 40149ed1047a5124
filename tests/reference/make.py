"""Write the reference files of this version: run once, at its release.

    python -m tests.reference.make

Every later version must load them and predict what stands beside them.
"""

import json
import tempfile
from pathlib import Path

import joblib
from skllkd import LLKDClassifier, __version__
from skllkd.selection import LLKDSelection
from skllkd.students import TransformerStudent

from tests.tiny_encoder import write_tiny_encoder

WORDS = {"fruit": "apple pear plum", "town": "street square bridge"}
TEXTS = [f"{WORDS[name]} number {i}" for i in range(16) for name in WORDS]


def teacher(texts):
    """Label by the first word."""
    return ["fruit" if text.startswith("apple") else "town" for text in texts]


def main():
    """Fit, save in both formats, and write what is predicted."""
    folder = Path(__file__).parent / __version__
    with tempfile.TemporaryDirectory() as encoder:
        student = TransformerStudent(
            write_tiny_encoder(Path(encoder), TEXTS), learning_rate=1e-3, device="cpu"
        )
        classifier = LLKDClassifier(
            teacher,
            {"town": "places", "fruit": "food"},
            selection=LLKDSelection(momentum=0.7),
            student=student,
            random_state=0,
        ).fit(TEXTS)
    classifier.save(folder / "folder")
    joblib.dump(classifier, folder / "classifier.joblib", compress=3)
    expected = {
        "texts": TEXTS[:6],
        "proba": classifier.predict_proba(TEXTS[:6]).tolist(),
        "pseudo_labels": classifier.pseudo_labels_.tolist(),
        "momentum": classifier.selection_.momentum,
    }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1))


if __name__ == "__main__":
    main()
