import json
import math
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError, StoreError
from models.bounds import BATCHES, INTERVALS, SAMPLES, SEEDS, SETTINGS, WIDTHS
from models.config import (
    AdversaryConfig,
    NetworkConfig,
    RunConfig,
    TrainConfig,
)
from models.presets import MODELS, names_of, preset, sizes_of
from models.runs import settings_of
from models.style_config import StyleAdversary, StyleNetworks
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


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:7", "cuda:12"])
def test_devices_are_named_in_one_way(tmp_path, device):
    assert replace(run_config(tmp_path), device=device).device == device


@given(
    st.text(max_size=30)
    | st.sampled_from((
        "", "banana", "cpu:0", "cuda:00", "cuda:01", "cuda:-1", "cuda:100", "CUDA:0", "cpu\n",
        "cuda:0\x00", "cuda:١", "meta", "../evil", "/tmp/evil", "cuda:0/../../evil", "a" * 300,
    ))
)  # fmt: skip
def test_row_4_a_device_is_no_path(tmp_path_factory, device):
    """Row 4: a lock file is named after the device; no run with another one can be made or read."""
    config = run_config(tmp_path_factory.mktemp("run"))
    if device in {"auto", "cpu", "cuda"} or re.fullmatch("cuda:[0-9]", device):
        return
    with pytest.raises(InputError, match="There is no device"):
        replace(config, device=device)
    with pytest.raises(InputError, match="There is no device"):
        RunConfig.from_body({**config.body(), "device": device})


@pytest.mark.parametrize(
    ("name", "bounds"),
    [("batch", BATCHES), ("samples", SAMPLES), ("seed", SEEDS), ("checkpoint_every", INTERVALS)],
)
def test_numbers_lie_within_the_bounds_that_forms_offer(name, bounds):
    for value in bounds:
        assert getattr(TrainConfig(**{name: value}), name) == value
    for value in (bounds[0] - 1, bounds[1] + 1):
        with pytest.raises(InputError, match=f"{value}"):
            TrainConfig(**{name: value})
    for value in (WIDTHS[0] - 1, WIDTHS[1] + 1):
        with pytest.raises(
            InputError, match=f"“Latent numbers a picture” must lie in 1 to 2,048, not {value}"
        ):
            NetworkConfig(latent=value)


def numbers_of(kind):
    """Return the settings of one kind that are numbers, or tuples of them, with a right value."""
    made = kind()
    for field in fields(kind):
        value = getattr(made, field.name)
        first = value[0] if isinstance(value, tuple) and value else value
        if isinstance(first, int | float) and not isinstance(first, bool):
            yield field.name, value


KINDS = {"networks": (NetworkConfig, StyleNetworks), "adversary": (AdversaryConfig, StyleAdversary),
         "training": (TrainConfig,)}  # fmt: skip


@pytest.mark.parametrize("wrong", [1e300, -1e-9, math.nan, math.inf, -5])
@pytest.mark.parametrize(
    ("part", "kind", "name", "value"),
    [(part, kind, *one) for part in KINDS for kind in KINDS[part] for one in numbers_of(kind)],
)
def test_every_number_has_bounds_and_its_refusal_names_it_as_the_form_does(
    part, kind, name, value, wrong
):
    given = (wrong,) * len(value) if isinstance(value, tuple) else wrong
    with pytest.raises(InputError) as refused:
        kind(**{name: given})
    if name not in ("size_px", "channels"):  # these have sentences of their own
        least, most = refused.value.values["least"], refused.value.values["most"]
        said = f"“{SETTINGS[f'{part}.{name}']}” must lie in {least:,} to {most:,}, not {wrong}."
        assert str(refused.value) == said


@pytest.mark.parametrize(
    ("kind", "wrong", "match"),
    [
        (TrainConfig, {"schedule": "up"}, "“Schedule of the rate” cannot be 'up'. There are: one"),
        (TrainConfig, {"better": "worst"}, "“Rule for the best epoch” cannot be 'worst'"),
        (TrainConfig, {"fits": (1,) * 1001}, "A run has 1 to 1000 fits, not 1,001"),
        (TrainConfig, {"fits": ()}, "A run has 1 to 1000 fits, not 0"),
        (AdversaryConfig, {"optimiser": "sgd"}, "“Optimiser” cannot be 'sgd'"),
        (AdversaryConfig, {"betas": (0.5,)}, "“Betas of Adam” needs 2 numbers, not 1"),
        (NetworkConfig, {"critic_norm": "group"}, "“Norm in the critic” cannot be 'group'"),
        (NetworkConfig, {"init": "zeros"}, "“First weights” cannot be 'zeros'"),
        (StyleAdversary, {"betas": (0.5, 0.9, 0.9)}, "“Betas of Adam” needs 2 numbers, not 3"),
    ],
)
def test_what_no_run_knows_is_refused(kind, wrong, match):
    with pytest.raises(InputError, match=re.escape(match)):
        kind(**wrong)


def test_every_setting_of_every_model_has_a_spoken_name(tmp_path):
    for model in MODELS:
        chosen = preset(model, names_of(model)[0], size_px=32, channels=1)
        config = RunConfig(
            title="x", model=model, data="x", networks=chosen.networks,
            adversary=chosen.adversary, training=chosen.training,
        )  # fmt: skip
        assert not settings_of(config).keys() - SETTINGS.keys()


def test_the_first_depth_is_one_of_the_networks():
    chosen = preset("stylegan", "small", size_px=32, channels=1)
    with pytest.raises(InputError, match="“First depth” must lie in 0 to 3, not 4"):
        RunConfig(
            title="x", model="stylegan", data="x", networks=chosen.networks,
            adversary=replace(chosen.adversary, start_depth=4), training=chosen.training,
        )  # fmt: skip


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
    names = "config, presets, plan, runs, resuming, slots, alarms, history"
    code = f"import sys\nfrom models import {names}\nassert 'torch' not in sys.modules"
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True)


@pytest.mark.parametrize(
    "allowed",
    [{"adversary": {"psi": 1.5}}, {"adversary": {"cutoff": 32}}, {"adversary": {"ema": 1.0}},
     {"threads": 0}, {"training": {"fits": [1] * 120}}],
)  # fmt: skip
def test_settings_that_earlier_versions_took_are_still_read(tmp_path, allowed):
    """Else their runs would be in no list any more."""
    config = replace(
        run_config(tmp_path), model="stylegan", networks=StyleNetworks(size_px=16, channels=3,
        widths=(8, 8, 8), critic_widths=(8, 8, 8)), adversary=StyleAdversary(),
    )  # fmt: skip
    body = config.body()
    for part, values in allowed.items():
        body[part] = {**body[part], **values} if isinstance(values, dict) else values
    assert RunConfig.from_body(body).body()["model"] == "stylegan"
