"""Compression and grid search on a real Dask cluster of two worker processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pytest
from dask.distributed import Client, LocalCluster
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sknic import SlideCompressor
from sknic.exceptions import CompressionError

from .conftest import MeanEncoder, write_slide

THIS = sys.modules[__name__], sys.modules[MeanEncoder.__module__]


@pytest.fixture(scope="module")
def cluster():
    for module in THIS:  # workers cannot import the tests
        cloudpickle.register_pickle_by_value(module)
    local = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with local as cluster, Client(cluster) as client:
        yield client
    for module in THIS:
        cloudpickle.unregister_pickle_by_value(module)


@pytest.fixture
def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class SigningEncoder(MeanEncoder):
    """Leaves the number of its process beside the slides."""

    def __init__(self, name="mean", folder=None):
        super().__init__(name)
        self.folder = folder

    def transform(self, patches):
        open(os.path.join(self.folder, f"{os.getpid()}.pid"), "w").close()
        return super().transform(patches)


def test_the_workers_compress_as_one_process_does(cluster, slides, tmp_path):
    alone = SlideCompressor(MeanEncoder()).fit_transform(slides)
    with joblib.parallel_config("dask"):
        spread = SlideCompressor(SigningEncoder(folder=str(tmp_path))).fit_transform(slides)
    for a, b in zip(alone, spread):
        np.testing.assert_array_equal(a.to_dense(), b.to_dense())
    workers = {str(pid) for pid in cluster.run(os.getpid).values()}
    assert {path.stem for path in tmp_path.glob("*.pid")} <= workers


def mean_of_cells(grids):
    return np.array([grid.embeddings.mean(axis=0, dtype=float) for grid in grids])


def test_a_grid_search_runs_on_the_workers(cluster, slides, tmp_path):
    paths, y = slides * 4, np.tile([0.0, 1.0, 2.0], 4)
    pipe = make_pipeline(
        SlideCompressor(SigningEncoder(folder=str(tmp_path)), cache_dir=tmp_path / "cache"),
        FunctionTransformer(mean_of_cells),
        Ridge(),
    )
    search = GridSearchCV(pipe, {"slidecompressor__min_tissue": [0.3, 0.6], "ridge__alpha": [1e-6, 1e3]}, cv=2)
    with joblib.parallel_config("dask"):
        search.fit(paths, y)
    assert search.best_params_["ridge__alpha"] == 1e-6
    assert search.score(paths, y) > 0.99


class KillerEncoder(MeanEncoder):
    """Kills its process when it meets the black slide."""

    def transform(self, patches):
        if (patches.mean(axis=(1, 2, 3)) < 20).any():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().transform(patches)


def test_a_worker_that_dies_costs_its_slide_only(cluster, slides, tmp_path):
    killer = write_slide(tmp_path / "killer.tiff", np.zeros((640, 640, 3), np.uint8))
    compressor = SlideCompressor(KillerEncoder(), cache_dir=tmp_path / "cache", tissue=None)
    with joblib.parallel_config("dask"), pytest.raises(CompressionError, match=r"killer\.tiff.*died") as caught:
        compressor.transform([slides[0], killer, *slides[1:]])
    assert list(caught.value.failures) == [killer]
    assert [grid is None for grid in caught.value.grids] == [False, True, False, False]


def test_a_bad_slide_costs_one_slide_and_the_next_run_goes_on(cluster, slides, tmp_path):
    bad = tmp_path / "bad.svs"
    bad.write_text("no slide")
    compressor = SlideCompressor(SigningEncoder(folder=str(tmp_path)), cache_dir=tmp_path / "cache")
    with joblib.parallel_config("dask"):
        first = compressor.compress([str(bad), *slides])
        bad.write_bytes(Path(slides[0]).read_bytes())
        second = compressor.compress([str(bad), *slides])
    assert [outcome.status for outcome in first] == ["failed", "done", "done", "done"]
    assert "is text, not a slide" in first[0].error
    assert [outcome.status for outcome in second] == ["done", "cached", "cached", "cached"]


class KillerOfTheScheduler(MeanEncoder):
    """Kills the scheduler when it meets the black slide and two others are done, and waits."""

    def __init__(self, name="mean", scheduler=0, cache=None):
        super().__init__(name)
        self.scheduler = scheduler
        self.cache = cache

    def transform(self, patches):
        if (patches.mean(axis=(1, 2, 3)) < 20).any():
            while len(list(self.cache.glob("*.h5"))) < 2:
                time.sleep(0.05)
            os.kill(self.scheduler, signal.SIGKILL)
            time.sleep(60)
        return super().transform(patches)


@pytest.mark.slow
def test_a_lost_scheduler_ends_the_run_and_the_next_one_goes_on(cluster, slides, tmp_path, unused_port):
    address = f"tcp://127.0.0.1:{unused_port}"
    ours = ["--host", "127.0.0.1", "--no-dashboard"]
    with ExitStack() as ended:

        def start(program, *arguments):
            process = subprocess.Popen([sys.executable, "-m", f"distributed.cli.{program}", *arguments], cwd=tmp_path)
            ended.callback(process.wait)
            ended.callback(process.kill)
            return process

        scheduler = start("dask_scheduler", "--port", str(unused_port), *ours)
        for _ in range(2):
            start("dask_worker", address, "--nthreads", "1", "--no-nanny", *ours)
        killer = write_slide(tmp_path / "killer.tiff", np.zeros((640, 640, 3), np.uint8))
        cache = tmp_path / "cache"
        killing = KillerOfTheScheduler(scheduler=scheduler.pid, cache=cache)
        compressor = SlideCompressor(killing, cache_dir=cache, tissue=None)
        client = Client(address, set_as_default=False, timeout=120)
        client.wait_for_workers(2)
        with joblib.parallel_config("dask", client=client), pytest.raises(Exception, match="scheduler-connection-lost"):
            compressor.compress([*slides, killer])
        client.close(timeout=1)
    with joblib.parallel_config("dask"):
        outcomes = compressor.compress(slides)
    assert [outcome.status for outcome in outcomes].count("cached") >= 2
    assert all(outcome.is_usable for outcome in outcomes)
