"""Labelling over a real Dask cluster of two worker processes."""

import joblib
import numpy as np
import pytest
from skllkd.teachers import LabelStore, LlamaCppTeacher

TOPICS = ["business", "sports"]


@pytest.fixture
def cluster():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.enable_socket
@pytest.mark.filterwarnings("default")  # of the cluster, as it starts and stops
def test_a_pool_is_spread_over_a_cluster_and_one_process_stores(
    cluster, short_path, news, own_store
):
    texts = [text[:50] for text in news[0][:40]]  # two chunks
    teacher = LlamaCppTeacher(short_path)
    with joblib.parallel_config(backend="dask", wait_for_workers_timeout=60):
        spread = teacher.label(texts, TOPICS)
    assert not spread.missing.any() and spread.n_asked == len(set(texts))
    loads = cluster.run(lambda: "llama_cpp" in __import__("sys").modules)
    assert list(loads.values()) == [True, True]  # both workers took part
    with LabelStore() as store:
        assert len(store) == len(set(texts))

    alone = LlamaCppTeacher(short_path, store=own_store.parent / "other.sqlite")
    difference = np.abs(alone.label(texts[:20], TOPICS).log_prob - spread.log_prob[:20])
    assert np.median(difference) < 0.2  # each text has its own answer
    assert teacher.label(texts, TOPICS).n_asked == 0
