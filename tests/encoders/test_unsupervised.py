"""The unsupervised encoders learn, show it, and warn when they did not."""

import warnings

import numpy as np
import pytest
import torch

from sknic import BiGANEncoder, ContrastiveEncoder, VAEEncoder, load_encoder
from sknic.encoders.contrastive import Pairs
from sknic.encoders.learning import effective_dimension
from sknic.encoders.vae import explained_variance
from sknic.exceptions import CollapseWarning, PatchSizeError, UnusedLabelsWarning


def textures(n, size, seed=0):
    """Patches of random color with stripes of random direction and width."""
    random = np.random.default_rng(seed)
    color = random.uniform(20, 235, (n, 1, 1, 3))
    angle, period = random.uniform(0, np.pi, (2, n, 1, 1))
    rows, columns = np.mgrid[:size, :size]
    waves = np.sin((rows * np.cos(angle) + columns * np.sin(angle)) / (1 + period))
    return (color + 20 * waves[..., None]).clip(0, 255).astype(np.uint8)


SMALL = {
    "code_size": 8,
    "batch_size": 16,
    "max_steps": 6,
    "eval_every": 3,
    "augmentation": None,
    "device": "cpu",
    "random_state": 0,
}
# What each shows of its learning, and between which numbers that is.
EVIDENCE = {
    BiGANEncoder: {"discriminator_accuracy_": (0, 1), "diversity_": (0, 10)},
    ContrastiveEncoder: {"pair_accuracy_": (0, 1)},
    VAEEncoder: {"explained_variance_": (-10, 1)},
}
KINDS = [(BiGANEncoder, 31), (ContrastiveEncoder, 31), (VAEEncoder, 63)]


def fit_quietly(encoder, X, **data):
    """Fit for too short a time to learn, on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        return encoder.fit(X, **data)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind[0].__name__)
def fitted(request):
    kind, size = request.param
    return fit_quietly(kind(**SMALL), textures(40, size)), textures(10, size, seed=1)


def test_embeddings_have_the_contracts_shape_and_show_some_evidence(fitted):
    encoder, X = fitted
    embeddings = encoder.transform(X)
    assert embeddings.shape == (10, 8) and embeddings.dtype == np.float32
    assert (encoder.patch_size, encoder.input_size, encoder.mpp) == (X.shape[1], X.shape[1], 0.5)
    assert [row["step"] for row in encoder.history_] == [3, 6]
    assert 0 < encoder.effective_dimension_ <= 8
    for name, (low, high) in EVIDENCE[type(encoder)].items():
        assert low <= getattr(encoder, name) <= high


def test_a_saved_encoder_and_its_evidence_come_back(fitted, tmp_path):
    encoder, X = fitted
    encoder.save(tmp_path / "encoder.safetensors")
    again = load_encoder(tmp_path / "encoder.safetensors", device="cpu")
    assert type(again) is type(encoder) and again.get_params() == encoder.get_params()
    np.testing.assert_array_equal(again.transform(X), encoder.transform(X))
    assert {name: getattr(again, name) for name in encoder._evidence} == {
        name: getattr(encoder, name) for name in encoder._evidence
    }


@pytest.mark.parametrize("kind, size", KINDS)
def test_the_same_seed_gives_the_same_weights_and_the_callers_state_stays(kind, size):
    X, state = textures(24, size), torch.get_rng_state()
    settings = {**SMALL, "max_steps": 1, "augmentation": "light"}
    first, same = (fit_quietly(kind(**settings), X).fingerprint() for _ in range(2))
    assert first == same
    assert fit_quietly(kind(**settings).set_params(random_state=1), X).fingerprint() != first
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind, size", KINDS)
def test_a_source_is_held_out_whole(kind, size, monkeypatch):
    groups, seen = np.arange(24) // 6, {}

    def spy(self, X, train_rows, valid_rows, *rest):
        seen.update(train=set(groups[train_rows]), valid=set(groups[valid_rows]))
        return learn(self, X, train_rows, valid_rows, *rest)

    learn = kind._learn
    monkeypatch.setattr(kind, "_learn", spy)
    fit_quietly(kind(**SMALL), textures(24, size), groups=groups)
    assert len(seen["valid"]) == 1 and seen["train"] == set(range(4)) - seen["valid"]


@pytest.mark.parametrize("kind, size", KINDS)
def test_wrong_patches_and_groups_are_refused(kind, size):
    X = textures(24, size)
    with pytest.raises(ValueError, match=r"groups of shape \(2,\): expected \(24,\)"):
        kind(**SMALL).fit(X, groups=[1, 2])
    with pytest.raises(PatchSizeError):
        kind(**SMALL).fit(X / 255)


def test_sources_given_in_the_place_of_labels_are_told_of():
    X, sources = textures(24, 31), np.arange(24) % 4
    for data, are_told_of in (({"y": sources}, True), ({"groups": sources}, False)):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            ContrastiveEncoder(**{**SMALL, "max_steps": 1}).fit(X, **data)
        words = [str(one.message) for one in said if one.category is UnusedLabelsWarning]
        assert any("y is not used; sources of the patches are groups=" in text for text in words) is are_told_of


def test_the_autoencoder_learns_to_draw_its_patches():
    encoder = VAEEncoder(**{**SMALL, "max_steps": 40, "eval_every": 4}).fit(textures(64, 63))
    rows = encoder.history_
    assert rows[-1]["valid_reconstruction"] < 0.7 * rows[0]["valid_reconstruction"]
    assert encoder.explained_variance_ > 0.3
    X = textures(6, 63, seed=1)
    drawn = encoder.reconstruct(X)
    assert drawn.shape == X.shape and drawn.dtype == np.uint8
    assert explained_variance(X, drawn) > 0.1


def test_the_siamese_encoder_learns_to_tell_pairs():
    encoder = ContrastiveEncoder(**{**SMALL, "max_steps": 60, "eval_every": 6}).fit(textures(120, 31))
    assert encoder.pair_accuracy_ > 0.75
    assert encoder.effective_dimension_ > 1.5


def test_the_discriminator_and_the_drawn_patches_of_a_bigan_are_shown():
    encoder = fit_quietly(BiGANEncoder(**SMALL), textures(40, 31))
    assert {"discriminator_loss", "generator_loss", "discriminator_accuracy"} <= set(encoder.history_[0])
    assert encoder.draw(3, random_state=0).shape == (3, 31, 31, 3)
    np.testing.assert_array_equal(encoder.draw(3, random_state=0), encoder.draw(3, random_state=0))


@pytest.mark.parametrize("kind, size", KINDS)
def test_equal_patches_teach_nothing_and_that_warns(kind, size):
    X = np.full((24, size, size, 3), 120, np.uint8)
    with pytest.warns(CollapseWarning, match=f"{kind.__name__} collapsed: the embeddings use 0.0 dimensions"):
        kind(**{**SMALL, "max_steps": 1}).fit(X)


def test_an_autoencoder_that_draws_the_mean_warns():
    with pytest.warns(CollapseWarning, match="explain"):
        VAEEncoder(**{**SMALL, "max_steps": 1, "lr": 1e-9, "min_lr": 1e-9}).fit(textures(24, 63))


def test_a_siamese_encoder_that_guesses_warns():
    # Equal patches: every pair gets the same answer, on every CPU, and half of eight held-out pairs are of one patch.
    X = np.full((40, 31, 31, 3), 120, np.uint8)
    with pytest.warns(CollapseWarning, match="50% of the held-out pairs are classified correctly"):
        ContrastiveEncoder(**{**SMALL, "max_steps": 1}).fit(X)


def test_patches_too_small_for_the_autoencoder_are_refused():
    with pytest.raises(ValueError, match="31 px are too small for 5"):
        VAEEncoder(**SMALL).fit(textures(24, 31))


def test_dimension_counts_directions_that_vary():
    random = np.random.default_rng(0)
    assert effective_dimension(random.normal(size=(5000, 8))) == pytest.approx(8, rel=0.05)
    assert effective_dimension(np.outer(random.normal(size=100), np.arange(8))) == pytest.approx(1)
    assert effective_dimension(np.ones((10, 8))) == 0


class TestPairs:
    @pytest.fixture
    def pairs(self):
        X = np.zeros((60, 2, 2, 3), np.uint8)
        return Pairs(X, np.arange(10, 50), np.repeat(np.arange(6), 10), seed=0)

    def test_half_are_the_same_patch_and_the_others_never_are(self, pairs):
        anchors = np.arange(40)
        partners = pairs.partners(anchors, np.random.default_rng(0))
        np.testing.assert_array_equal(partners == anchors, anchors % 2 == 0)

    def test_three_quarters_of_the_others_come_from_the_same_group(self, pairs):
        anchors = np.tile(np.arange(40), 200)
        partners = pairs.partners(anchors, np.random.default_rng(0))
        other = partners != anchors
        same_group = pairs.rows[partners[other]] // 10 == pairs.rows[anchors[other]] // 10
        assert same_group.mean() == pytest.approx(0.75, abs=0.02)
        assert set(pairs.rows[partners]) == set(range(10, 50))

    def test_a_lone_patch_of_a_group_is_paired_with_others(self):
        pairs = Pairs(np.zeros((4, 2, 2, 3), np.uint8), np.arange(4), np.array(["a", "b", "c", "d"]))
        anchors = np.array([1, 1] * 50)
        partners = pairs.partners(anchors, np.random.default_rng(0))
        assert set(partners[1::2]) == {0, 2, 3}

    def test_validation_pairs_stay_and_training_pairs_change(self, pairs):
        first, again = (pairs.__getitems__(range(40))[1] for _ in range(2))
        assert torch.equal(first, again)
        with torch.random.fork_rng():
            pairs.seed = None
            drawn = [pairs.__getitems__(range(40))[1] for _ in range(2)]
        assert not torch.equal(*drawn)
