"""Whether training learns what it should, on real digits. Half a minute each, on one core."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from models import checkpoint, presets, runs
from models.adversary import Adversary
from models.alarms import alarms
from models.config import RunConfig
from models.data import as_bytes
from models.engine import engine
from models.train import Draws
from models.worker import work

pytestmark = pytest.mark.slow


def trained(workspace, *, adversary=None, **training):
    chosen = presets.preset("dcgan", "workshop", size_px=32, channels=1)
    config = RunConfig(
        title="Digits",
        model="dcgan",
        data="digits",
        networks=chosen.networks,
        adversary=replace(chosen.adversary, **(adversary or {})),
        training=replace(chosen.training, **training),
        device="cpu",
        precision="float32",
    )
    return work(runs.create(workspace / "runs", config))


def test_a_workshop_run_makes_digits_that_a_small_classifier_accepts(workspace):
    run = trained(workspace, fits=(12,))
    assert alarms(runs.rows(run.folder)) == []

    digits = load_digits()
    values, is_taught = digits.images.reshape(-1, 64) / 16, np.arange(len(digits.target)) % 2 == 0
    classifier = MLPClassifier((64,), max_iter=400, random_state=0)
    classifier.fit(values[is_taught], digits.target[is_taught])
    real = classifier.predict_proba(values[~is_taught]).max(axis=1)
    noise = classifier.predict_proba(np.random.default_rng(0).random((500, 64))).max(axis=1)

    task = Adversary(run.config.networks, run.config.adversary, engine("cpu", "float32"), seed=0)
    task.load_weights(checkpoint.latest(run.folder / "checkpoints")[0].weights)
    pictures = as_bytes(task.sample(Draws(5).normal(500, run.config.networks.latent)))
    small = pictures.reshape(500, 8, 4, 8, 4).mean(axis=(2, 4)).reshape(500, 64) / 255
    made = classifier.predict_proba(small)

    is_accepted = made.max(axis=1) > 0.9
    assert is_accepted.mean() > 0.55 * (real > 0.9).mean()
    assert is_accepted.mean() > 1.3 * (noise > 0.9).mean()
    assert np.bincount(made.argmax(axis=1)[is_accepted], minlength=10).min() >= 5


def test_the_alarms_fire_on_a_run_that_was_made_to_collapse(workspace):
    """With a learning rate 250 times too large the generator ends at one picture."""
    wild = {"objective": "least-squares", "ema": 0.0, "betas": (0.9, 0.9)}
    run = trained(workspace, adversary=wild, fits=(6,), lr=0.1)
    assert alarms(runs.rows(run.folder))[0].kind == "collapse"
