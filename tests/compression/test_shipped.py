"""A job on its way to workers is packed once, and unpacked once in each."""

import pickle

import joblib

from sknic import SlideCompressor
from sknic.compression import restartable, shipped
from sknic.compression.job import Job
from sknic.compression.shipped import Shipped

from .conftest import MeanEncoder


class Counted(MeanEncoder):
    """Counts how often it is packed and unpacked."""

    packed = unpacked = 0

    def __getstate__(self):
        Counted.packed += 1
        return {"name": self.name}

    def __setstate__(self, state):
        Counted.unpacked += 1
        self.__init__(**state)


def test_many_tasks_carry_one_pickle_and_share_one_job():
    task = Shipped(Job(Counted("a"), None))
    received = [pickle.loads(pickle.dumps(task)) for _ in range(5)]
    assert (Counted.packed, Counted.unpacked) == (1, 1)
    assert {id(each.job) for each in received} == {id(received[0].job)}
    assert received[0].job.encoder.name == "a"
    other = pickle.loads(pickle.dumps(Shipped(Job(Counted("b"), None))))
    assert other.job.encoder.name == "b"


def test_a_worker_keeps_a_few_jobs():
    for i in range(3 * shipped.N_KEPT):
        pickle.loads(pickle.dumps(Shipped(Job(MeanEncoder(str(i)), None))))
    assert len(shipped._kept) == shipped.N_KEPT


def test_slides_in_the_cache_are_found_without_a_worker(slides, encoder, tmp_path, monkeypatch):
    compressor = SlideCompressor(encoder, cache_dir=tmp_path / "cache", n_jobs=2)
    compressor.transform(slides[:2])
    asked = []
    at_once = restartable._at_once
    monkeypatch.setattr(restartable, "_at_once", lambda job, paths, n: asked.append(paths) or at_once(job, paths, n))
    with joblib.parallel_config("threading"):
        outcomes = compressor.compress(slides)
    assert asked == [[slides[2]]]
    assert [outcome.status for outcome in outcomes] == ["cached", "cached", "done"]
