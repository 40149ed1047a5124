"""An exported file in a process of its own."""

import json
import subprocess
import sys

import joblib
import numpy as np
from skllkd import LLKDClassifier, ONNXClassifier
from skllkd.students import FrozenEncoderStudent


def test_the_file_needs_neither_torch_nor_transformers(tiny_path, news, tmp_path):
    student = FrozenEncoderStudent(tiny_path, device="cpu")
    fitted = LLKDClassifier(student=student, refine=None, n_epochs=1, verbose=0)
    exported = tmp_path / "m.onnx"
    fitted.fit(news[0][:60], news[1][:60]).export_onnx(exported, news[0][:60])
    (tmp_path / "texts.json").write_text(json.dumps(news[0][:60]))
    joblib.dump(ONNXClassifier(str(exported)), tmp_path / "classifier.joblib")
    code = (
        "import sys, json\n"
        "class Refuse:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        banned = ('torch', 'transformers', 'sentence_transformers', 'onnx')\n"
        "        if name.split('.')[0] in banned: raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse)\n"
        "import joblib, numpy as np\n"
        "classifier = joblib.load('classifier.joblib')\n"
        "np.save('labels.npy', classifier.predict(json.load(open('texts.json'))))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=100)
    np.testing.assert_array_equal(
        np.load(tmp_path / "labels.npy"),
        ONNXClassifier(exported).predict(news[0][:60]),
    )
