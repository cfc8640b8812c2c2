"""Models at hand for generating: those that come with the program, runs, imported files.

Listing them reads small JSON files alone and loads no PyTorch.

    models/shipped/<name>/          a checkpoint without state, and card.json
    runs/<run>/checkpoints/<step>/  of StyleGAN runs, the newest
    weights/<id>/                   imported StyleGAN generators
"""

import math
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from core import store
from core.chips.channels import Channel
from core.chips.sets import ChipSets
from core.errors import AppError, InputError, StoreError
from core.text import N_
from models import runs
from models.config import networks_of
from models.sets import is_set
from models.style_config import StyleNetworks

Kind = Literal["shipped", "run", "import", "file"]
SHIPPED = Path(__file__).parent / "shipped"
CARD_KIND, CARD_VERSION = "urban-pattern-model-card", 1
_KIND, _VERSION = "urban-pattern-checkpoint", 1
_BANDS = frozenset(("red", "green", "blue", "nir"))
"""Names that say by themselves what a channel is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model that pictures can be made with."""

    id: str
    """`shipped/<name>`, `run/<run>/<step>` or `import/<id>`: what a link holds with the digest."""
    title: str
    kind: Kind
    folder: Path
    digest: str
    """SHA-256 of its weights: the same digest, the same pictures."""
    networks: StyleNetworks
    depth: int
    """The largest that was trained."""
    alpha: float = 1.0
    """How far its layers had come in."""
    metres_per_px: float | None = None
    """Ground length of a pixel of the full size; None where unknown."""
    data: str = ""
    """What it was trained on: the source of the chips, as the run or its card names it."""
    data_digest: str = ""
    """Of the chips that it was trained on, where it is known."""
    bands: tuple[str, ...] = ()
    """Names of the channels where they are known."""
    channels: tuple[Channel, ...] = ()
    """What the channels mean, where the model itself says it; see `channels_of`."""
    card: dict[str, Any] = field(default_factory=dict)

    def metres_at(self, depth: int) -> float | None:
        """Return the ground length of a pixel at a depth."""
        if self.metres_per_px is None:
            return None
        return self.metres_per_px * float(2 ** (self.networks.depths - 1 - depth))


def entries(root: Path) -> list[Entry]:
    """Return all that can be read: shipped ones, then runs from the newest, then imports."""
    found: list[Entry] = []
    for path in sorted(SHIPPED.glob("*/checkpoint.json")):
        with suppress(AppError):
            found.append(_shipped(path.parent))
    for run in runs.runs(root / "runs"):
        if run.config.model == "stylegan":
            with suppress(AppError):
                found.append(of_run(run))
    for path in sorted((root / "weights").glob("[a-z0-9]*/checkpoint.json")):
        with suppress(AppError):
            found.append(_imported(path.parent))
    return found


def entry(root: Path, entry_id: str) -> Entry:
    """Return the model of an id.

    Raises:
        InputError: There is no such model.
        StoreError: Its files are damaged.
    """
    kind, _, rest = entry_id.partition("/")
    name, _, step = rest.partition("/")
    name = store.checked_id(name, what=N_("model"))
    if kind == "shipped" and (SHIPPED / name / "checkpoint.json").is_file():
        return _shipped(SHIPPED / name)
    if kind == "import" and (root / "weights" / name / "checkpoint.json").is_file():
        return _imported(store.inside(root / "weights", name))
    if kind == "run":
        found = runs.run(runs.folder_of(root / "runs", name))
        return of_run(found, int(step) if step.isdecimal() else None)
    raise InputError(N_("There is no model {id!r}."), id=entry_id[:120])


def steps_of(root: Path, run_id: str) -> list[int]:
    """Return the steps of a run's checkpoints, oldest first."""
    folder = runs.folder_of(root / "runs", run_id) / "checkpoints"
    return sorted(
        int(path.parent.name)
        for path in folder.glob("*/checkpoint.json")
        if path.parent.name.isdecimal()
    )


def at_folder(folder: Path, *, entry_id: str = "", title: str = "", kind: Kind = "file") -> Entry:
    """Return the model of a checkpoint's folder.

    Raises:
        InputError: It is of another model, or of a discriminator alone.
        StoreError: It is damaged.
    """
    facts = store.read_json(folder / "checkpoint.json", kind=_KIND, version=_VERSION)
    try:
        networks = networks_of(str(facts["model"]), facts["networks"])
        digest, has = str(facts["digests"]["weights.safetensors"]), facts.get("has", ["generator"])
        depth, alpha = int(facts.get("depth", 99)), float(facts.get("alpha", 1.0))
        metres = facts.get("metres_per_px")
        metres = None if metres is None else float(metres)
        bands = tuple(map(str, facts.get("bands", ())))
        channels = tuple(_channel(one) for one in facts.get("channels", ()))
        if depth < 0 or not 0 <= alpha <= 1 or not (metres is None or 0 < metres < math.inf):
            raise ValueError("depth, alpha or metres_per_px")
        is_generator = isinstance(networks, StyleNetworks) and "generator" in has
    except (KeyError, TypeError, ValueError, OverflowError) as err:
        raise StoreError(
            N_("The checkpoint {name} cannot be read: {reason}."),
            name=folder.name, reason=str(err)[:200],
        ) from err  # fmt: skip
    if not is_generator or not isinstance(networks, StyleNetworks):
        raise InputError(
            N_("{name} holds no StyleGAN generator."),
            hint=N_("Choose a GAN_GEN file, or a checkpoint of a StyleGAN run."),
            name=title or folder.name,
        )
    return Entry(
        id=entry_id or str(folder),
        title=title or folder.name,
        kind=kind,
        folder=folder,
        digest=digest,
        networks=networks,
        depth=min(depth, networks.depths - 1),
        alpha=alpha,
        metres_per_px=metres,
        data=str(facts.get("source_of_data", "")),
        data_digest=str(facts.get("data", "")),
        bands=bands,
        channels=channels if len(channels) == networks.channels else (),
    )


def channels_of(found: Entry, root: Path) -> tuple[Channel, ...]:
    """Return what a model's channels mean: as it says, else as the chips it was trained on do.

    Nothing where neither is at hand: chips of another digest are not those.
    """
    if found.channels:
        return found.channels
    if len(found.bands) == found.networks.channels and _BANDS.issuperset(found.bands):
        return tuple(Channel(name=name, kind="image") for name in found.bands)
    if not is_set(found.data):
        return ()
    try:
        info = ChipSets(root).info(found.data)
    except AppError:
        return ()
    is_same = not found.data_digest or info.digest == found.data_digest
    return info.channels if is_same and len(info.channels) == found.networks.channels else ()


def _channel(body: Any) -> Channel:
    found = Channel(**body)
    if not re.fullmatch(r"#[0-9A-Fa-f]{6}|", found.colour):
        raise ValueError(f"colour {found.colour[:20]!r}")
    return found


def _shipped(folder: Path) -> Entry:
    card = store.read_json(folder / "card.json", kind=CARD_KIND, version=CARD_VERSION)
    found = at_folder(folder, entry_id=f"shipped/{folder.name}", kind="shipped",
                      title=str(card.get("title", folder.name)))  # fmt: skip
    digest = card["data_facts"].get("digest", "") if "data_facts" in card else ""
    return replace(found, card=card, data=str(card.get("data", "")), data_digest=str(digest))


def of_run(run: runs.Run, step: int | None = None) -> Entry:
    """Return the model of a run at a step; None: its newest.

    Raises:
        InputError: It has no such checkpoint, or is of another model.
        StoreError: The checkpoint is damaged.
    """
    folder = run.folder / "checkpoints"
    known = [int(path.parent.name) for path in folder.glob("*/checkpoint.json")
             if path.parent.name.isdecimal()]  # fmt: skip
    if not known or (step is not None and step not in known):
        raise InputError(N_("The run {id} has no such checkpoint yet."), id=run.id)
    at = max(known) if step is None else step
    found = at_folder(
        folder / f"{at:08d}", entry_id=f"run/{run.id}/{at}", kind="run", title=run.config.title
    )
    return replace(found, data=found.data or run.config.data)


def _imported(folder: Path) -> Entry:
    facts = store.read_json(folder / "checkpoint.json", kind=_KIND, version=_VERSION)
    source = facts.get("source")
    title = str(source.get("name", folder.name)) if isinstance(source, dict) else folder.name
    return at_folder(folder, entry_id=f"import/{folder.name}", kind="import", title=title)
