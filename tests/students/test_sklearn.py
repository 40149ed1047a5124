"""The vectorizer and classifier of a scikit-learn student."""

import pickle

import pytest
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.pipeline import make_pipeline
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError
from skllkd.students import SklearnStudent

HASHED = make_pipeline(HashingVectorizer(ngram_range=(1, 2)), TfidfTransformer())


@pytest.mark.parametrize(("vectorizer", "keeps"), [(None, True), (HASHED, False)])
def test_words_of_the_pool_are_in_the_file_unless_they_are_hashed(vectorizer, keeps):
    """As the pages say, so that nobody is surprised by either."""
    texts = [f"{word} {i}" for i in range(10) for word in ("refund", "server")]
    texts += ["refund for jane roe, card 4929123456781234", "server of jane roe"]
    labels = ["outage" if "server" in text else "billing" for text in texts]
    student = SklearnStudent(vectorizer=vectorizer)
    clf = LLKDClassifier(student=student, random_state=0, verbose=0).fit(texts, labels)
    assert list(clf.predict(["refund", "server"])) == ["billing", "outage"]
    content = pickle.dumps(clf)
    for words in (b"jane roe", b"4929123456781234"):
        assert (words in content) is keeps


def test_texts_without_a_word_are_named():
    classifier = LLKDClassifier(student=SklearnStudent(), verbose=0)
    with pytest.raises(InvalidParameterError, match="vectorizer.*empty vocabulary"):
        classifier.fit(["?", "!"], ["a", "b"])
