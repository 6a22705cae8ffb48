from sknic import datasets as datasets
from sknic import evaluation as evaluation
from sknic import exceptions as exceptions
from sknic import plotting as plotting
from sknic import saliency as saliency
from sknic.compression import SlideCompressor as SlideCompressor
from sknic.encoders import BiGANEncoder as BiGANEncoder
from sknic.encoders import ContrastiveEncoder as ContrastiveEncoder
from sknic.encoders import MeanRGBEncoder as MeanRGBEncoder
from sknic.encoders import MultitaskEncoder as MultitaskEncoder
from sknic.encoders import TorchEncoder as TorchEncoder
from sknic.encoders import VAEEncoder as VAEEncoder
from sknic.encoders import load_encoder as load_encoder
from sknic.estimators import GridCNNClassifier as GridCNNClassifier
from sknic.estimators import GridCNNRegressor as GridCNNRegressor
from sknic.estimators import GridCoxSurvival as GridCoxSurvival
from sknic.evaluation import CrossValEnsemble as CrossValEnsemble
from sknic.evaluation.task_selection import TaskSelector as TaskSelector
from sknic.grids import Grid as Grid
from sknic.slides import Slide as Slide

__version__: str
