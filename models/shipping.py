"""A trained StyleGAN made ready to be handed on: its moving average alone, and a card about it.

<out>/weights.safetensors   generator.…: the moving average where the run had one
      checkpoint.json       what it is, and the digest of the weights
      card.json             data, licence, steps, seed, figures
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from core import store
from core.chips.sets import ChipSets
from core.errors import AppError, InputError
from core.record import code_version, versions
from core.text import N_
from models import checkpoint, runs
from models.catalogue import CARD_KIND, CARD_VERSION, Entry, channels_of
from models.sets import is_set, source_name

_FIGURES_AT = ("step", "depth", "alpha", "swd", "swd_mean", "diversity", "nearest_ratio")
"""What is known of the samples, and where training stood when they were judged."""


def hand_on(found: Entry, out: Path, *, root: Path, title: str, licence: str) -> dict[str, Any]:
    """Write a model of a run at `out` and return its card.

    Args:
        found: From `models.catalogue`.
        out: A folder that does not exist yet.
        root: The workspace, where the run and its chips lie.
        title: What people read.
        licence: Of the weights, which follows from that of the pictures.

    Raises:
        InputError: Something stands at `out`, or the model is of no run.
        StoreError: A file is damaged.
    """
    if out.exists():
        raise InputError(N_("{name} exists already."), name=out.name)
    if found.kind != "run" or not title.strip() or not licence.strip():
        raise InputError(N_("Only a run's model is handed on, with a title and a licence."))
    weights = checkpoint.read_checkpoint(found.folder, with_state=False)
    part = "average" if any(key.startswith("average.") for key in weights.weights) else "generator"
    own = {
        f"generator.{key.removeprefix(f'{part}.')}": value
        for key, value in weights.weights.items()
        if key.startswith(f"{part}.")
    }
    run = runs.run(found.folder.parent.parent)
    card = _card(found, run, weights.facts, root, title=title, licence=licence)
    facts = {
        "step": weights.step, "images": weights.facts["images"], "model": "stylegan",
        "networks": asdict(found.networks), "depth": found.depth, "alpha": found.alpha,
        "has": ["generator"], "metres_per_px": found.metres_per_px, "bands": card["bands"],
        "channels": [asdict(one) for one in channels_of(found, root)],
        "data": card["data_facts"]["digest"], "code": weights.facts.get("code", ""),
    }  # fmt: skip
    checkpoint.write_checkpoint(out, facts, own, {})
    store.write_json(out / "card.json", card, kind=CARD_KIND, version=CARD_VERSION)
    return card


def _card(
    found: Entry, run: runs.Run, facts: dict[str, Any], root: Path, *, title: str, licence: str
) -> dict[str, Any]:
    body = run.config.body()
    data: dict[str, Any] = {"source": source_name(run.config.data), "digest": facts.get("data", "")}
    bands = found.bands
    if is_set(run.config.data):
        try:
            info = ChipSets(root).info(run.config.data)
            bands = bands or tuple(channel.name for channel in channels_of(found, root))
            data |= {"count": info.count, "area": info.area, "sources": list(info.sources)}
        except AppError:
            pass  # deleted since: the digest still says which it was
    rows = [row for row in runs.rows(run.folder) if row["step"] <= int(facts["step"])]
    judged = [row for row in rows if "diversity" in row]
    seconds = [row["seconds"] for row in rows if "seconds" in row]
    return {
        "title": title,
        "licence": licence,
        "data": source_name(run.config.data),
        "data_facts": data,
        "bands": list(bands),
        "size_px": found.networks.size_px,
        "depth": found.depth,
        "alpha": found.alpha,
        "metres_per_px": found.metres_per_px,
        "steps": int(facts["step"]),
        "images": int(facts["images"]),
        "seconds": max(seconds, default=None),
        "seed": run.config.training.seed,
        "training": body["training"],
        "adversary": body["adversary"],
        "figures": {name: judged[-1].get(name) for name in _FIGURES_AT} if judged else {},
        "code": code_version("models"),
        "versions": versions(),
    }
