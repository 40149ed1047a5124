"""Long texts: the students read head, head and tail, or the mean over windows."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from skllkd import LLKDClassifier, ONNXClassifier
from skllkd.exceptions import InvalidParameterError, TruncationWarning
from skllkd.selection import SelectAll
from skllkd.students import FrozenEncoderStudent, TransformerStudent, feature_cache

KINDS = {
    "frozen": FrozenEncoderStudent,
    "frozen, hidden": FrozenEncoderStudent,
    "fine-tuned": TransformerStudent,
    "architecture": TransformerStudent,
}
WINDOW = 16


@pytest.fixture(scope="module")
def stories(news):
    """Return texts of one to nine headlines, and labels that only their ends tell."""
    rng = np.random.RandomState(0)
    words = " ".join(news[0][:40]).split()
    texts, labels = [], []
    for row in range(48):
        middle = list(rng.choice(words, rng.randint(2, 90)))
        label = ["goal", "vote"][row % 2]
        texts.append(" ".join([*middle, *[label] * 4]))
        labels.append(label)
    return texts, labels


def new_student(kind, path, window, **given):
    if kind == "frozen, hidden":
        given["head"] = "hidden"
    if kind == "architecture":
        given["pooling"] = "architecture"
    where = {"max_length": WINDOW, "device": "cpu"}
    return KINDS[kind](path, window=window, **where | given)


def new(kind, path, window, **given):
    return LLKDClassifier(
        student=new_student(kind, path, window, **given),
        selection=SelectAll(),
        n_epochs=3,
        random_state=0,
        verbose=0,
    )


@pytest.fixture(scope="module")
def fitted(tiny_path, stories):
    """Return a classifier of each kind that averages windows."""
    return {kind: new(kind, tiny_path, "mean").fit(*stories) for kind in KINDS}


def proba_of(classifier, texts):
    feature_cache.memory = feature_cache._Memory()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        return classifier.predict_proba(texts)


def test_nothing_is_lost_and_nothing_warned_of_where_windows_are_averaged(
    fitted, stories
):
    for classifier in fitted.values():
        classifier.predict(stories[0])  # warnings are errors


@pytest.mark.parametrize(
    ("window", "words"),
    [("head", "only their beginning was read"), ("head_tail", "their end were read")],
)
@pytest.mark.parametrize("kind", ["frozen", "fine-tuned"])
def test_lost_tokens_are_warned_of_with_the_way_to_read_more(
    kind, window, words, tiny_path, stories
):
    with pytest.warns(TruncationWarning, match=f'{words}.*window=.*"mean"'):
        new_student(kind, tiny_path, window).begin_fit(stories[0], 2, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_s_probabilities_do_not_depend_on_its_neighbours(kind, fitted, stories):
    texts, classifier = stories[0], fitted[kind]
    together = proba_of(classifier, texts)
    order = np.random.RandomState(1).permutation(len(texts))
    shuffled = proba_of(classifier, [texts[i] for i in order])
    np.testing.assert_allclose(shuffled, together[order], atol=1e-5)
    alone = np.concatenate([proba_of(classifier, [text]) for text in texts[:6]])
    np.testing.assert_allclose(alone, together[:6], atol=1e-5)
    small = clone(classifier.student_).set_params(predict_batch_size=1)
    small.__dict__ |= {
        name: value
        for name, value in vars(classifier.student_).items()
        if name.endswith("_") and name != "_predictor"
    }
    feature_cache.memory = feature_cache._Memory()
    np.testing.assert_allclose(small.predict_proba(texts), together, atol=1e-5)


@pytest.mark.parametrize("kind", ["frozen", "frozen, hidden", "fine-tuned"])
def test_the_mean_of_one_window_is_the_head(kind, tiny_path, stories):
    short = [" ".join(text.split()[-6:]) for text in stories[0]]
    proba = {
        window: proba_of(
            new(kind, tiny_path, window, max_length=64).fit(short, stories[1]), short
        )
        for window in ("head", "head_tail", "mean")
    }
    np.testing.assert_array_equal(proba["mean"], proba["head"])
    np.testing.assert_array_equal(proba["head_tail"], proba["head"])


def test_the_features_are_the_mean_over_windows_by_their_tokens(tiny_path):
    """With mean pooling and windows without special tokens it is that over all tokens."""
    words = ("the a of and in to is was for on " * 8).split()
    whole = new_student("frozen", tiny_path, "mean").embed([" ".join(words)])[0]
    one = new_student("frozen", tiny_path, "head")
    content, shared = WINDOW - 2, WINDOW // 8
    starts = range(0, len(words) - shared, content - shared)
    parts = [words[start : start + content] for start in starts]
    features = one.embed([" ".join(part) for part in parts])
    weights = [len(part) + 2 for part in parts]
    np.testing.assert_allclose(
        whole, np.average(features, axis=0, weights=weights), atol=1e-5
    )


def test_each_way_of_reading_has_features_of_its_own(tiny_path, stories):
    features = [
        new_student("frozen", tiny_path, window).embed(stories[0])
        for window in ("head", "head_tail", "mean")
    ]
    for i, one in enumerate(features):
        assert all(np.abs(one - other).max() > 1e-3 for other in features[i + 1 :])


@pytest.mark.parametrize(
    ("window", "matters"),
    [("head", (0,)), ("head_tail", (0, 2)), ("mean", (0, 1, 2))],
)
def test_the_part_that_is_read_matters_and_no_other(window, matters, tiny_path):
    """A word is changed at the beginning, in the middle, or at the end of a text."""
    words = ["the"] * 60
    changes = [[*words[:place], "match", *words[place + 1 :]] for place in (2, 30, 57)]
    texts = [" ".join(of_text) for of_text in (words, *changes)]
    plain, *changed = new_student("frozen", tiny_path, window).embed(texts)
    for part, features in enumerate(changed):
        assert (np.abs(features - plain).max() > 1e-3) == (part in matters)


@pytest.mark.parametrize("kind", ["frozen, hidden", "architecture"])
def test_files_predict_the_same(kind, fitted, stories, tmp_path):
    classifier, texts = fitted[kind], stories[0]
    expected = proba_of(classifier, texts)
    classifier.save(tmp_path / "folder")
    for copy in (
        LLKDClassifier.load(tmp_path / "folder"),
        pickle.loads(pickle.dumps(classifier)),
    ):
        np.testing.assert_allclose(proba_of(copy, texts), expected, atol=1e-6)
    result = classifier.export_onnx(tmp_path / "student.onnx", texts)
    assert result.equal_labels == 1 and result.largest_difference < 1e-5
    exported = ONNXClassifier(tmp_path / "student.onnx", n_threads=1)
    for some in (texts, texts[:1], ["short", "words"]):
        np.testing.assert_allclose(
            exported.predict_proba(some), proba_of(classifier, some), atol=1e-5
        )


def test_head_and_tail_in_an_exported_file(tiny_path, stories, tmp_path):
    texts, labels = stories
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        classifier = new("fine-tuned", tiny_path, "head_tail").fit(texts, labels)
        classifier.export_onnx(tmp_path / "student.onnx", texts)
    exported = ONNXClassifier(tmp_path / "student.onnx")
    with pytest.warns(TruncationWarning, match="beginning and their end were read"):
        proba = exported.predict_proba(texts)
    np.testing.assert_allclose(proba, proba_of(classifier, texts), atol=1e-5)


def test_one_step_over_many_windows_is_that_of_all_of_them_at_once(
    tiny_path, stories, monkeypatch
):
    """The passes of a step, each over some of the windows, add up to one gradient."""
    from skllkd.students._torch import pools

    rows, gradients = np.arange(8), []
    target = np.eye(2)[rows % 2]
    for most_rows in (4, 1000):
        monkeypatch.setattr(pools, "_MOST_ROWS", most_rows)
        student = new_student("fine-tuned", tiny_path, "mean", precision="float32")
        student.begin_fit(stories[0][:8], 2, 0)
        for module in student._trainer.model.modules():
            module.p = 0.0  # dropout of the encoder: other draws in other passes
        student.train_step(rows, target, np.ones(8), 0.5)
        parameters = student._trainer.model.parameters()
        gradients.append([p.grad.numpy() for p in parameters if p.grad is not None])
    assert len(gradients[0]) > 10
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4 * np.abs(one).max() + 1e-6)


def test_the_proxy_of_a_fine_tuned_student_reads_as_it_does(tiny_path):
    student = new_student("fine-tuned", tiny_path, "mean")
    assert student.fast_proxy(3)[0].window == "mean"


@pytest.mark.parametrize("bad", ["tail", None, 2])
def test_bad_windows(bad, tiny_path):
    with pytest.raises(InvalidParameterError, match="`window`.*'head_tail'"):
        new_student("frozen", tiny_path, bad).check()
