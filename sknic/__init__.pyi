from . import datasets as datasets
from . import evaluation as evaluation
from . import exceptions as exceptions
from . import plotting as plotting
from . import saliency as saliency
from .compression import SlideCompressor as SlideCompressor
from .encoders import BaseEncoder as BaseEncoder
from .encoders import BiGANEncoder as BiGANEncoder
from .encoders import ContrastiveEncoder as ContrastiveEncoder
from .encoders import MeanRGBEncoder as MeanRGBEncoder
from .encoders import MultitaskEncoder as MultitaskEncoder
from .encoders import TorchEncoder as TorchEncoder
from .encoders import VAEEncoder as VAEEncoder
from .encoders import list_encoders as list_encoders
from .encoders import load_encoder as load_encoder
from .estimators import GridCNNClassifier as GridCNNClassifier
from .estimators import GridCNNRegressor as GridCNNRegressor
from .estimators import GridCoxSurvival as GridCoxSurvival
from .evaluation import CrossValEnsemble as CrossValEnsemble
from .evaluation.task_selection import TaskSelector as TaskSelector
from .grids import Grid as Grid
from .slides import Slide as Slide

__version__: str
