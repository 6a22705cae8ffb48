"""Any torch module serves as an encoder, and stays as it was."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from sknic import TorchEncoder, load_encoder
from sknic.exceptions import EncoderFileError, PatchSizeError


def backbone(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)
        )


@pytest.fixture
def X():
    return np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def encoder(module=None, **settings):
    settings = {"input_size": 16, "mean": MEAN, "std": STD, "device": "cpu", **settings}
    return TorchEncoder(backbone() if module is None else module, **settings)


def test_the_module_sees_normalized_pixels_in_evaluation_mode(X):
    module = backbone().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    got = encoder(module).fit().transform(X)
    assert module.training and all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    pixels = (X / 255 - MEAN) / STD
    with torch.no_grad():
        wanted = module.eval()(torch.tensor(pixels.transpose(0, 3, 1, 2), dtype=torch.float32)).numpy()
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_patches_of_twice_the_size_are_averaged_and_others_refused(X):
    fitted = encoder().fit()
    np.testing.assert_allclose(
        fitted.transform(X.repeat(2, axis=1).repeat(2, axis=2)), fitted.transform(X), rtol=1e-5, atol=1e-6
    )
    with pytest.raises(PatchSizeError, match="16 or 32"):
        fitted.transform(np.zeros((1, 20, 20, 3), np.uint8))


def test_what_it_says_about_itself():
    fitted = encoder(mpp=1.0).fit()
    assert (fitted.code_size, fitted.input_size, fitted.patch_size, fitted.mpp) == (5, 16, 16, 1.0)
    assert len(fitted.get_feature_names_out()) == 5


class Several(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.body = kind, backbone()

    def forward(self, x):
        code = self.body(x)
        return {"pooled": code, "map": x} if self.kind == "dict" else type("Output", (), {"pooled": code})()


@pytest.mark.parametrize("kind", ["dict", "object"])
def test_one_of_several_outputs_is_named(kind, X):
    got = encoder(Several(kind), output="pooled").fit().transform(X)
    np.testing.assert_allclose(got, encoder().fit().transform(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("module", ["resnet50", nn.Conv2d(3, 4, 3), Several("dict")], ids=["str", "map", "dict"])
def test_what_gives_no_embeddings_is_refused(module):
    with pytest.raises(TypeError, match="module"):
        encoder(module).fit()


def test_the_fingerprint_covers_weights_structure_and_normalization():
    prints = [
        encoder().fit().fingerprint(),
        encoder(backbone(1)).fit().fingerprint(),
        encoder(mean=(0, 0, 0)).fit().fingerprint(),
        encoder(nn.Sequential(*backbone()[:2], nn.LeakyReLU(), *backbone()[3:])).fit().fingerprint(),
    ]
    assert len(set(prints)) == 4
    assert encoder(mpp=1.0, batch_size=2).fit().fingerprint() == prints[0]


class Scaled(nn.Module):
    """What neither `repr` nor `state_dict` shows: an attribute, a buffer that is not persistent, and the code."""

    def __init__(self, factor, shift=0.0):
        super().__init__()
        self.factor = factor
        self.register_buffer("shift", torch.tensor([shift]), persistent=False)

    def forward(self, x):
        return (x * self.factor + self.shift).mean((2, 3))


class ScaledMost(Scaled):
    __qualname__ = "Scaled"

    def forward(self, x):
        return (x * self.factor + self.shift).amax((2, 3))


class Mean(nn.Module):
    def __init__(self, squared):
        super().__init__()
        self.squared = squared

    def forward(self, x):
        if self.squared:
            x = x * x
        return x.mean((2, 3))


def test_the_fingerprint_covers_what_a_module_does_beside_its_weights():
    prints = [encoder(module).fingerprint() for module in (Scaled(1.0), Scaled(2.0), Scaled(1.0, 3.0), ScaledMost(1.0))]
    assert len(set(prints)) == 4
    nested = [encoder(nn.Sequential(Scaled(factor))).fingerprint() for factor in (1.0, 2.0)]
    assert nested[0] != nested[1]
    assert encoder(Scaled(1.0).train()).fingerprint() == prints[0]
    assert pickle.loads(pickle.dumps(encoder(Scaled(1.0)))).fingerprint() == prints[0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_fingerprint_covers_code_and_constants_of_torchscript(tmp_path):
    scripts = [torch.jit.script(module) for module in (Mean(False), Mean(True), Scaled(1.0), Scaled(2.0))]
    prints = [encoder(script).fingerprint() for script in scripts]
    assert len(set(prints)) == 4
    torch.jit.save(scripts[0], tmp_path / "net.pt")
    assert encoder(torch.jit.load(tmp_path / "net.pt")).fingerprint() == prints[0]


def test_a_weight_that_is_changed_through_data_changes_the_fingerprint(X):
    module = backbone()
    changing = encoder(module)
    before, embeddings = changing.fingerprint(), changing.transform(X)
    module[0].weight.data.mul_(3)
    assert changing.fingerprint() != before
    assert not np.allclose(changing.transform(X), embeddings)


def test_one_embedding_for_a_whole_batch_is_refused():
    class OfTheFirst(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))[:1]

    with pytest.raises(TypeError, match=r"expected a tensor \(2, C\) for two patches, see output=; found \(1, 3\)"):
        encoder(OfTheFirst()).fit()


def test_a_weight_in_bfloat16_has_a_fingerprint_too(X):
    fitted = encoder(backbone().bfloat16()).fit()
    assert len(fitted.fingerprint()) == 64
    assert fitted.transform(X).dtype == np.float32


def test_it_is_saved_without_code_and_read_with_the_module_at_hand(X, tmp_path):
    fitted = encoder().fit()
    fitted.save(tmp_path / "encoder.safetensors")
    with pytest.raises(EncoderFileError, match="module="):
        load_encoder(tmp_path / "encoder.safetensors")
    with pytest.raises(EncoderFileError, match="size mismatch"):
        load_encoder(tmp_path / "encoder.safetensors", module=nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    again = load_encoder(tmp_path / "encoder.safetensors", device="cpu", module=backbone(1))
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
    assert again.fingerprint() == fitted.fingerprint()


def test_it_pickles_and_clones(X):
    fitted = encoder().fit()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X))
    assert clone(fitted).fit().fingerprint() == fitted.fingerprint()


def test_it_needs_no_fit(X):
    unfitted, fitted = encoder(), encoder().fit()
    np.testing.assert_array_equal(unfitted.transform(X), fitted.transform(X))
    assert unfitted.fingerprint() == fitted.fingerprint()
    assert (unfitted.code_size, len(unfitted.get_feature_names_out())) == (5, 5)


def test_another_module_has_another_code_size():
    fitted = encoder()
    assert fitted.code_size == 5
    fitted.set_params(module=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    assert fitted.code_size == 3
    fitted.set_params(module="resnet50")
    with pytest.raises(TypeError, match="module='resnet50': expected a torch.nn.Module"):
        fitted.transform(np.zeros((1, 16, 16, 3), np.uint8))


@pytest.mark.parametrize("of", [np.array, torch.tensor, list])
def test_a_normalization_given_as_an_array_counts_and_is_kept(X, tmp_path, of):
    fitted = encoder(mean=of(MEAN), std=of(STD)).fit()
    assert fitted.fingerprint() != encoder(mean=of(STD), std=of(STD)).fit().fingerprint()
    if of is not torch.tensor:  # whose numbers are rounded to float32
        assert fitted.fingerprint() == encoder().fit().fingerprint()
    fitted.save(tmp_path / "encoder.safetensors")
    again = load_encoder(tmp_path / "encoder.safetensors", module=backbone(), device="cpu")
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"mean": (0.5, 0.5)}, "mean=.*expected three numbers from 0 to 1"),
        ({"mean": None}, "mean=None: expected three numbers from 0 to 1"),
        ({"std": (0.2, 0.0, 0.2)}, "std=.*expected three numbers above 0 and up to 1"),
        ({"std": "0.5"}, "std='0.5': expected three numbers above 0"),
        ({"mean": (123.7, 116.3, 103.5)}, "mean=.*expected three numbers from 0 to 1, for pixels divided by 255"),
        ({"std": (58.4, 57.1, 57.4)}, "std=.*expected three numbers above 0 and up to 1, for pixels divided by 255"),
    ],
)
def test_a_normalization_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        encoder(**settings).fit()
