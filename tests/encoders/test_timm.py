"""The real timm, where it is installed: a network of its own with random weights in a local file."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sknic import SlideCompressor, load_encoder
from sknic.datasets import make_histology_cohort
from sknic.exceptions import EncoderFileError

timm = pytest.importorskip(
    "timm", reason="timm is not installed: pip install 'sknic[timm]'", exc_type=ImportError
)  # fmt: skip
NAMES = ("resnet10t", "vit_tiny_patch16_224")


@pytest.fixture(scope="module", params=NAMES)
def model(request, tmp_path_factory):
    """Name, module with its classifier, and the file of its weights."""
    torch.manual_seed(0)
    module = timm.create_model(request.param, pretrained=False).eval()
    path = tmp_path_factory.mktemp("timm") / "weights.safetensors"
    save_file(module.state_dict(), path)
    return request.param, module, path


def test_embeddings_are_the_features_before_the_classifier(model):
    name, module, path = model
    encoder = load_encoder(f"timm:{name}:{path}", device="cpu")
    config = module.pretrained_cfg
    size = config["input_size"][-1]
    patches = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), np.uint8)
    scaled = torch.from_numpy(patches).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(config[key])[:, None, None] for key in ("mean", "std"))
    with torch.no_grad():
        wanted = module.forward_head(module.forward_features((scaled - mean) / std), pre_logits=True)
    np.testing.assert_allclose(encoder.transform(patches), wanted, rtol=1e-3, atol=1e-4)


def test_a_drawn_slide_is_compressed(model, tmp_path):
    name, module, path = model
    cohort = make_histology_cohort(1, tmp_path, shape=(20, 20), random_state=0)
    (grid,) = SlideCompressor(f"timm:{name}:{path}", device="cpu").fit_transform(cohort.paths)
    assert grid.code_size == module.num_features and grid.n_cells > 20
    assert grid.embeddings.std(axis=0).max() > 0


def test_weights_of_another_model_are_refused_in_a_sentence(model):
    name, _, path = model
    with pytest.raises(EncoderFileError, match="weights of a model other than resnet18") as error:
        load_encoder(f"timm:resnet18:{path}")
    assert len(str(error.value)) < 400
