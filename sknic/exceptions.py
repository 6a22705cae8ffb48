"""Every error and warning that sknic raises, one class per cause."""

import os
import sys
import warnings

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class SknicError(Exception):
    """Base class of all sknic errors."""


class UnreadableSlideError(SknicError):
    """A file is not a slide, is damaged, or cannot be read at the requested position."""


class MissingMppError(SknicError):
    """The um/px of a slide is neither in the file nor given by the caller."""


class InvalidMppError(SknicError, ValueError):
    """A um/px outside the range 0.05 to 10, or an invalid one."""


class TissueMaskError(SknicError):
    """A tissue mask is missing, damaged or of the wrong shape."""


class EncoderFileError(SknicError):
    """A file is not an encoder, is damaged, or contains an architecture that sknic does not know."""


class EncoderNotFoundError(SknicError, FileNotFoundError):
    """There is neither a file nor a bundled encoder of that name."""


class PatchSizeError(SknicError, ValueError):
    """Patches have a size, shape or type that the encoder cannot take."""


class GridFileError(SknicError):
    """A file is not a grid, is damaged or incomplete."""


class SlideMismatchError(SknicError, ValueError):
    """A grid was made from a slide other than the one it is used with."""


class WorkerDiedError(SknicError):
    """Several workers died while compressing the same slide."""


class CompressionError(SknicError):
    """Some slides of a cohort could not be compressed.

    Attributes
    ----------
    failures : dict of str to str
        Path of each failed slide and the reason.
    grids : list of Grid or None
        The grids of the others, in the requested order; None for slides that failed.
    """

    def __init__(self, message, failures=None, grids=None):
        super().__init__(message)
        self.failures = dict(failures or {})
        self.grids = list(grids or [])

    def __reduce__(self):
        return type(self), (self.args[0], self.failures, self.grids)


class PatientLeakageError(SknicError, ValueError):
    """Slides of one patient would be on both sides of a split."""


class SlideLeakageError(PatientLeakageError):
    """The same slide would be on both sides of a split."""


class DegenerateDataError(SknicError, ValueError):
    """The data do not suffice: only one class, no event, or no variation."""


class DatasetError(SknicError):
    """A table, folder or slide of a dataset is missing or malformed."""


class TrainingDivergedError(SknicError):
    """The loss was never a finite number."""


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C during a training; like any Ctrl-C, it ends the program unless it is caught.

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
    """Grids of different encoders, um/px, patch sizes or strides are used in one model."""


class EmptyGridError(SknicError, ValueError):
    """A grid has no cells: no tissue was found on its slide."""


class MissingDependencyError(SknicError, ImportError):
    """An optional package is needed; the message says which extra installs it."""


class SknicWarning(UserWarning):
    """Base class of all sknic warnings."""


class MppWarning(SknicWarning):
    """The um/px of a slide is doubtful."""


class ColorWarning(SknicWarning):
    """The pixels of a slide, or of patches, are not in color."""


class DamagedLevelWarning(SknicWarning):
    """A pyramid level of a slide is damaged; its pixels are read from a finer level."""


class TissueWarning(SknicWarning):
    """A tissue mask covers nothing, less than one patch, or the whole slide."""


class SlideFailureWarning(SknicWarning):
    """Slides that failed were skipped, as requested."""


class CollapseWarning(SknicWarning):
    """An encoder's embeddings have collapsed: it did not learn."""


class NothingLearntWarning(SknicWarning):
    """A training did not beat a constant prediction, or had its best weights at the start."""


class UnmeasuredTaskWarning(SknicWarning):
    """A patch task has no held-out labels, so its accuracy is not measured."""


class UnusedLabelsWarning(SknicWarning):
    """An encoder that learns without labels was given some, and no sources of the patches."""


class FewEventsWarning(SknicWarning):
    """There are too few events for a validation part; the model was fitted without one."""


class ProvenanceWarning(SknicWarning):
    """Grids of a known encoder are mixed with grids of an unknown one."""


class UnfamiliarSlidesWarning(SknicWarning):
    """Slides are predicted whose embeddings lie far from those of the training."""


class UnknownPatientWarning(SknicWarning):
    """A table of slides names patients that the table of outcomes does not have."""


class MissingCodeWarning(SknicWarning):
    """A number in clinical data, such as -9 or 999, may stand for a missing value."""


class UnseenWordWarning(SknicWarning):
    """Clinical data contain a word that the model has not seen in training."""


class TimeUnitWarning(SknicWarning):
    """Times of new patients are so far from those of the training that they may have another unit."""


class CacheWarning(SknicWarning):
    """A folder of compressed slides works, but with restrictions."""


class CacheError(SknicError):
    """A folder of compressed slides cannot be written or read."""


class RunFolderError(SknicError):
    """A folder was not written by an evaluation, or is damaged."""


def warn(message, category):
    """Warn at the line of the caller outside sknic, however deep inside sknic the warning arises.

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
