import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InputError, StoreError
from models.config import AdversaryConfig, NetworkConfig, RunConfig
from models.presets import MODELS, names_of, preset, sizes_of
from tests.models.small import run_config


def test_settings_come_back_from_json_as_they_were(tmp_path):
    config = replace(run_config(tmp_path), start_from="x", exact=True, threads=2)
    body = json.loads(json.dumps(config.body()))
    assert RunConfig.from_body(body) == config


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body.pop("networks"),
        lambda body: body.pop("title"),
        lambda body: body.update(unknown=1),
        lambda body: body["training"].update(unknown=1),
        lambda body: body.update(networks=3),
        lambda body: body["training"].update(fits="5"),
    ],
)
def test_settings_that_cannot_be_read_are_refused(tmp_path, spoil):
    body = run_config(tmp_path).body()
    spoil(body)
    with pytest.raises((StoreError, InputError)):
        RunConfig.from_body(body)


@pytest.mark.parametrize("wrong", [{"model": "vae"}, {"precision": "int4"}, {"title": " "}])
def test_settings_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(InputError):
        replace(run_config(tmp_path), **wrong)


def test_a_penalty_on_a_critic_that_looks_at_the_whole_batch_is_refused(tmp_path):
    config = run_config(tmp_path)
    with pytest.raises(InputError, match="one picture's own"):
        replace(config, adversary=AdversaryConfig(clip=None, penalty=10))


def test_the_documents_wgan_is_the_documents():
    chosen = preset("wgan", "document", size_px=64, channels=3)
    assert chosen.networks == NetworkConfig(
        size_px=64, channels=3, latent=100, generator_width=64, critic_width=64, extra_layers=1,
        critic_norm="batch", init="fastai",
    )  # fmt: skip
    adversary, training = chosen.adversary, chosen.training
    assert (adversary.objective, adversary.clip, adversary.critic_steps) == ("wasserstein", 0.01, 5)
    assert (adversary.optimiser, adversary.penalty, adversary.ema) == ("shared-rmsprop", 0.0, 0.0)
    assert (training.batch, training.lr, training.schedule) == (128, 1e-5, "one-cycle")
    assert training.fits == (5, 10, 10, 200, 100)


@pytest.mark.parametrize(
    ("model", "name"), [(model, name) for model in MODELS for name in names_of(model)]
)
def test_every_preset_makes_a_run_for_any_pictures(model, name):
    sizes = sizes_of(model, name)
    for size_px, channels in ((32, 1), (sizes[-1], 4), (sizes[0], 3)):
        chosen = preset(model, name, size_px=size_px, channels=channels)
        config = RunConfig(
            title="x", model=model, data="x", networks=chosen.networks,
            adversary=chosen.adversary, training=chosen.training,
        )  # fmt: skip
        assert (config.networks.size_px, config.networks.channels) == (size_px, channels)


def test_an_unknown_preset_is_refused():
    with pytest.raises(InputError, match="There are: workshop, quick, document"):
        preset("wgan", "huge", size_px=32, channels=1)


def test_rooms_without_pytorch_load_none():
    names = "config, presets, plan, runs, slots, alarms, history"
    code = f"import sys\nfrom models import {names}\nassert 'torch' not in sys.modules"
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True)
