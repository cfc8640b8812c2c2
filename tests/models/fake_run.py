"""Run folders as a worker would have left them, made without PyTorch."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from core import processes, store
from models import pictures, runs
from models.config import RunConfig
from models.plan import Plan, Smoothed, learning_rate
from models.presets import preset
from models.progressive import alpha_at, depth_of_fit, size_of_depth
from models.style_config import StyleNetworks

SCALES = ((64, 1.0), (32, 2.0), (16, 4.0))


def config(title="Roofs", model="dcgan", *, fits=(4,), batch=16, lr=4e-4, **more):
    """Return the settings of a run of 64 px on a set named `roofs`."""
    name = "64px" if model == "stylegan" else "workshop"
    chosen = preset(model, name, size_px=64, channels=3)
    training = replace(chosen.training, fits=fits, batch=batch, lr=lr, samples=16)
    return RunConfig(
        title=title, model=model, preset=name, data="roofs", networks=chosen.networks,
        adversary=chosen.adversary, training=training, device="cpu", **more,
    )  # fmt: skip


def make_run(
    root, settings, *, state="done", per_epoch=40, epochs=None, seed=0, diversity=None
) -> Path:
    """Write a run that has come `epochs` far (all of them at first) and is in a state.

    `running`: its process is this one. `killed`: its process is gone, and it filed nothing.
    `per_epoch`: batches; one number a fit where they differ. `diversity`: of its measurements,
    one an epoch; grows from 0.3 towards 1 at first.
    """
    if settings.data == "roofs":
        settings = replace(settings, data=str(_roofs(root.parent)))
    folder = runs.create(root, settings)
    epochs = sum(settings.training.fits) if epochs is None else epochs
    plan = Plan(settings.training.fits, per_epoch)
    store.write_json(
        folder / "slot.json",
        {
            "device": "cpu", "name": "", "precision": "float32", "threads": 1, "resident": True,
            "from_step": 0, "total": plan.total, "per_epoch": per_epoch, "versions": {},
        },
        kind="run-slot", version=1,
    )  # fmt: skip
    store.write_json(
        folder / "data.json",
        {
            "source": settings.data, "digest": "0" * 64, "count": 640, "channels": 3,
            "size_px": 64, "metres_per_px": 1.0,
        },
        kind="run-data", version=1,
    )  # fmt: skip
    spectrum = [0.2, *(1e-3 / wave**2 for wave in range(1, 33))]
    store.write_json(
        folder / "reals.json",
        {"count": 256, "spectrum": spectrum, "nearest_other": 40.0},
        kind="run-reals", version=1,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    pictures.write_sheet(folder / "samples" / "reals.png", sheet(200, rng))
    pictures.write_sheet(folder / "samples" / "00000000.png", sheet(0, rng))
    lines = figures(settings, plan, epochs, rng, diversity)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    ends = epoch_ends(plan, epochs)
    for epoch, step in enumerate(ends, 1):
        level = round(200 * epoch / sum(settings.training.fits))
        pictures.write_sheet(folder / "samples" / f"{step:08d}.png", sheet(level, rng))
        pairs = sheet(level, rng)[:16]
        pictures.write_sheet(folder / "nearest" / f"{step:08d}.png", pairs, columns=8)
    (folder / "log.txt").write_text(f"step 0 of {plan.total} on cpu\n")
    _file(folder, state, ends[-1] if ends else 0)
    return folder


def epoch_ends(plan, epochs):
    """Return the steps at which the first epochs end."""
    return [step + 1 for step in range(plan.total) if plan.place(step).ends_epoch][:epochs]


def _roofs(place):
    """Return a file of pictures of the right shape."""
    path = place / "roofs.npy"
    if not path.exists():
        np.lib.format.open_memmap(path, "w+", np.uint8, (640, 3, 64, 64)).flush()
    return path


def sheet(level, rng):
    """Return 16 pictures of one brightness, with some noise."""
    noise = rng.integers(0, 40, (16, 3, 64, 64))
    return (level + noise).clip(0, 255).astype(np.uint8)


def figures(settings, plan, epochs, rng, diversity=None):
    """Return the rows of a run that learns."""
    lines = []
    critic, generator = Smoothed(), Smoothed()
    is_distance = settings.adversary.objective == "wasserstein"
    ends = epoch_ends(plan, epochs)
    for step in sorted({*range(10, max(ends, default=0), 10), *ends}):
        share = step / max(plan.total, 1)
        loss = (-0.5 + 0.3 * share if is_distance else 1.2 - 0.5 * share) + rng.normal(0, 0.02)
        for smooth, value in ((critic, loss), (generator, 1 + share)):
            for _ in range(10):
                smooth.add(value)
        place = plan.place(step - 1)
        row = {
            "step": step, "images": step * settings.training.batch, "fit": place.fit,
            "epoch": place.epoch, "seconds": step * 0.05,
            "lr": learning_rate(settings.training.schedule, place.share, settings.training.lr),
            "critic": loss, "generator": 1 + share, "real": 1.0, "fake": -1.0,
            "critic_gradient": 2.0, "generator_gradient": 1.0, "memory_mb": 400.0,
            "critic_smooth": critic.mean(), "generator_smooth": generator.mean(),
        }  # fmt: skip
        row |= scale(settings, place)
        if step in ends:
            row |= {"ends_epoch": True, "is_best": is_distance}
        lines.append(row)
        if step in ends:
            at = ends.index(step)
            varied = min(1.0, 0.3 + share) if diversity is None else diversity[at]
            lines.append(measurement(step, share, varied))
    return lines


def scale(settings, place):
    """Return what a row of a StyleGAN says of its scale, 1 m a pixel at the full size."""
    networks, adversary = settings.networks, settings.adversary
    if not isinstance(networks, StyleNetworks):
        return {}
    depth = depth_of_fit(place.fit, networks, adversary)
    size = size_of_depth(depth)
    return {
        "depth": depth, "alpha": alpha_at(place, networks, adversary), "size_px": size,
        "metres_per_px": networks.size_px / size,
    }  # fmt: skip


def measurement(step, share, diversity):
    quantiles = np.linspace(-1, 1, 41)
    return {
        "step": step,
        "swd": [
            {"size_px": size, "metres": metres, "distance": 300 - 200 * share + size}
            for size, metres in SCALES
        ],
        "swd_mean": 300 - 200 * share,
        "diversity": diversity,
        "nearest_ratio": 0.5 + 0.5 * share,
        "nearest": [{"sample": n, "chip": 3 * n, "distance": 20.0 + n} for n in range(8)],
        "spectrum": [0.2, *(5e-4 / wave**2 for wave in range(1, 33))],
        "real_scores": (1 + quantiles).tolist(),
        "fake_scores": (-1 + quantiles).tolist(),
        "score_distance": 2.0,
        "clipped": None,
    }


def _file(folder, state, step):
    if state == "running":
        runs.write_process(folder, os.getpid())
    else:
        gone = {**processes.identity(os.getpid()), "begun": 1.0}
        store.write_json(folder / "process.json", gone, kind="run-process", version=1)
    if state in {"done", "stopped"}:
        outcome = "finished" if state == "done" else "stopped"
        body = {"outcome": outcome, "step": step, "seconds": step * 0.05, "best": None}
        store.write_json(folder / "result.json", body, kind="run-result", version=1)
    if state == "failed":
        body = {
            "problem": "At step {step} the losses were no longer numbers.",
            "hint": "The last checkpoint is whole. Go on from it with a smaller learning rate, or"
                    " in float32.",
            "values": {"step": step},
        }  # fmt: skip
        store.write_json(folder / "error.json", body, kind="run-error", version=1)


def write_more(folder, settings, *, epochs, per_epoch=40):
    """Write the rows and sheets of the epochs since, as a worker goes on to do."""
    rng = np.random.default_rng(1)
    before = len((folder / "metrics.jsonl").read_text().splitlines())
    lines = figures(settings, Plan(settings.training.fits, per_epoch), epochs, rng)[before:]
    step = epochs * per_epoch
    pictures.write_sheet(folder / "samples" / f"{step:08d}.png", sheet(120, rng))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write("".join(json.dumps(row) + "\n" for row in lines))
