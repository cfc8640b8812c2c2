import json
from dataclasses import replace

import pytest

from core import store
from models import estimate, runs
from models.config import NetworkConfig, RunConfig
from models.estimate import OTHER_MACHINE, Speed, fitting, forward_work, parameters, speed_of
from models.presets import preset


def config(model="wgan", name="document", **more):
    chosen = preset(model, name, size_px=64, channels=3)
    return RunConfig(
        title="A run", model=model, data="digits", networks=chosen.networks,
        adversary=chosen.adversary, training=chosen.training, **more,
    )  # fmt: skip


def test_weights_are_counted_as_the_published_networks_have_them():
    assert parameters(NetworkConfig()) == (3_613_696, 2_802_625)


def test_multiplications_by_hand():
    """32 px, widths 4, latent 8: the critic has 16x16x1x4 and 8x8, 4x4 layers of 4x4 kernels."""
    small = NetworkConfig(size_px=32, channels=1, latent=8, generator_width=4, critic_width=4,
                          extra_layers=0)  # fmt: skip
    generator, critic = forward_work(small)
    assert critic == 16 * (256 * 1 * 4 + 64 * 4 * 8 + 16 * 8 * 16 + 1 * 16 * 1)
    assert generator == 16 * (8 * 16 + 16 * 16 * 8 + 64 * 8 * 4 + 256 * 4 * 1)


def test_a_cycle_of_the_published_wgan_takes_as_long_as_was_measured():
    """docs/benchmarks.md: 12.2 s of one thread in float32 for five steps and one."""
    step = estimate.step_work(config()) / OTHER_MACHINE.per_s
    assert 6 * step == pytest.approx(12.2, rel=0.2)


def test_twice_the_epochs_take_twice_the_time():
    once = estimate.estimate(config(), 2000, OTHER_MACHINE)
    longer = config()
    longer = replace(longer, training=replace(longer.training, fits=(650,)))
    twice = estimate.estimate(longer, 2000, OTHER_MACHINE)
    assert once.steps == 325 * 15
    assert twice.seconds == pytest.approx(2 * once.seconds)
    assert twice.memory_mb == once.memory_mb


def run_of(root, seconds, step=20, from_step=0):
    folder = runs.create(root, config(name="quick"))
    slot = {"device": "cpu", "from_step": from_step, "total": 40, "per_epoch": 10}
    store.write_json(folder / "slot.json", slot, kind="run-slot", version=1)
    row = {"step": step, "seconds": seconds, "images": 32 * step}
    (folder / "metrics.jsonl").write_text(json.dumps(row) + "\n" + '{"step": 20, "swd": []}\n')
    return runs.run(folder)


def test_the_speed_of_a_device_is_learnt_from_its_runs(workspace):
    found = run_of(workspace / "runs", seconds=4.0)
    speed = speed_of(found)
    assert speed.per_s == pytest.approx(5 * estimate.step_work(found.config))
    again = estimate.estimate(found.config, 32 * 10, replace(speed, measure_s=0))
    assert again.seconds == pytest.approx(again.steps * 0.2)


def test_a_run_that_has_hardly_begun_or_was_gone_on_with_tells_no_speed(workspace):
    assert speed_of(run_of(workspace / "runs", seconds=0.2)) is None
    assert speed_of(run_of(workspace / "runs", seconds=4.0, from_step=10)) is None


def test_the_nearest_run_gives_the_speed_and_a_gpu_without_runs_has_none():
    cpu = Speed("old", "cpu", "dcgan", 1e9, 0)
    same = Speed("same", "cpu", "wgan", 2e9, 0)
    gpu = Speed("gpu", "cuda:0", "dcgan", 1e12, 0)
    assert fitting([cpu, same, gpu], config(), gpus=0) is same
    assert fitting([cpu, gpu], config(), gpus=0) is cpu
    assert fitting([cpu, same, gpu], config(), gpus=1) is gpu
    assert fitting([cpu], config(), gpus=1) is None
    assert fitting([], config(), gpus=0) is OTHER_MACHINE
    assert fitting([cpu], config(device="cpu"), gpus=1) is cpu
