# What the code blocks of the documentation take for granted: a folder to work in, slides, their table, an encoder.
import os
import tempfile
import warnings

from sknic import MeanRGBEncoder, SlideCompressor, datasets

warnings.filterwarnings("ignore", category=FutureWarning)
folder = os.path.join(tempfile.gettempdir(), "sknic-docs")
os.makedirs(folder, exist_ok=True)
os.chdir(folder)
cohort = datasets.make_histology_cohort(12, "slides", shape=(20, 20), random_state=0, n_jobs=2)
paths, table = cohort.paths, cohort.table
# Of seven patients all but one have the event, so that every resample of them has some.
table["event"] = table["patient"] != table["patient"].iloc[0]
encoder = MeanRGBEncoder().fit()
grids = SlideCompressor(encoder, cache_dir="grids").transform(paths)
