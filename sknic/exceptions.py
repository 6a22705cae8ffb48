"""Every error and warning that sknic raises, one class per cause."""

import os
import sys
import warnings

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class SknicError(Exception):
    """Base of all errors of sknic; catch it to catch them all."""


class UnreadableSlideError(SknicError):
    """A file is not a slide, is damaged, or cannot be read at the requested position."""


class MissingMppError(SknicError):
    """A slide does not say its um/px, and the caller did not either."""


class InvalidMppError(SknicError, ValueError):
    """An um/px outside 0.05 to 10, or one that makes no sense."""


class TissueMaskError(SknicError):
    """A tissue mask is missing, damaged or of the wrong shape."""


class EncoderFileError(SknicError):
    """A file is not an encoder, is damaged, or holds an architecture that sknic does not know."""


class EncoderNotFoundError(SknicError, FileNotFoundError):
    """There is neither a file nor a bundled encoder of that name."""


class PatchSizeError(SknicError, ValueError):
    """Patches of a size, shape or type that the encoder cannot take."""


class GridFileError(SknicError):
    """A file is not a grid, is damaged or incomplete."""


class SlideMismatchError(SknicError, ValueError):
    """A grid was made from another slide than the one it is laid over."""


class WorkerDiedError(SknicError):
    """Workers died, one after the other, while they compressed the same slide."""


class CompressionError(SknicError):
    """Some slides of a cohort could not be compressed.

    Attributes
    ----------
    failures : dict of str to str
        Path of each failed slide and the reason.
    grids : list of Grid or None
        The grids of the others, in the order asked for; None where a slide failed.
    """

    def __init__(self, message, failures=None, grids=None):
        super().__init__(message)
        self.failures = dict(failures or {})
        self.grids = list(grids or [])

    def __reduce__(self):
        return type(self), (self.args[0], self.failures, self.grids)


class PatientLeakageError(SknicError, ValueError):
    """Slides of one patient would sit on both sides of a split."""


class SlideLeakageError(PatientLeakageError):
    """One slide, given twice, would sit on both sides of a split."""


class DegenerateDataError(SknicError, ValueError):
    """The data cannot answer the question: one class, no event, no variation."""


class DatasetError(SknicError):
    """A table, folder or slide of a dataset is missing or malformed."""


class TrainingDivergedError(SknicError):
    """The loss was never a finite number."""


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C during a training; it ends the program as Ctrl-C does unless it is caught.

    Attributes
    ----------
    net : skorch.NeuralNet or None
        Net with the best weights so far; None before the first evaluation.
    """

    def __init__(self, net=None):
        super().__init__("the training was interrupted")
        self.net = net

    def __reduce__(self):
        return type(self), (self.net,)


class ModelFileError(SknicError):
    """A file is not a saved estimator, or is damaged."""


class ProvenanceError(SknicError, ValueError):
    """Grids of different encoders, um/px, patch sizes or strides meet in one model."""


class EmptyGridError(SknicError, ValueError):
    """A grid has no cell: no tissue was found on its slide."""


class MissingDependencyError(SknicError, ImportError):
    """An optional package is needed; the message says which extra installs it."""


class SknicWarning(UserWarning):
    """Base of all warnings of sknic."""


class MppWarning(SknicWarning):
    """The um/px of a slide is doubtful."""


class ColorWarning(SknicWarning):
    """The pixels of a slide are not in color."""


class TissueWarning(SknicWarning):
    """A tissue mask covers nothing, less than one patch, or the whole slide."""


class SlideFailureWarning(SknicWarning):
    """Slides that failed were skipped, as asked."""


class CollapseWarning(SknicWarning):
    """An encoder's embeddings have collapsed: it did not learn."""


class NothingLearntWarning(SknicWarning):
    """A training did not beat a constant prediction, or had its best weights at its beginning."""


class FewEventsWarning(SknicWarning):
    """There are too few events for a validation part; the model was fitted without one."""


class ProvenanceWarning(SknicWarning):
    """Grids of a known encoder are mixed with grids that do not say theirs."""


class CacheWarning(SknicWarning):
    """A folder of compressed slides works, but not as it should."""


class CacheError(SknicError):
    """A folder of compressed slides cannot be written or read."""


class RunFolderError(SknicError):
    """A folder is not one that an evaluation left, or is damaged."""


def warn(message, category):
    """Warn at the line of the caller that is outside of sknic, however deep inside the warning arises.

    Parameters
    ----------
    message : str
        Text of the warning.
    category : type
        Class of the warning.
    """
    if sys.version_info >= (3, 12):
        warnings.warn(message, category, skip_file_prefixes=(_PACKAGE,))
        return
    frame, level = sys._getframe(1), 2
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
