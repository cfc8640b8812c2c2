"""Weights that other programs left, brought into the workspace. Listing them needs no PyTorch.

weights/<id>/   a checkpoint, see models/checkpoint.py
"""

import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import intake, store
from core.errors import AppError, InputError, JobError
from core.jobs import Report, ShouldStop
from core.record import code_version
from core.text import N_
from models.config import NetworkConfig, networks_of
from models.style_config import StyleNetworks

if TYPE_CHECKING:
    from models.foreign_style import Mean

_KIND, _VERSION = "urban-pattern-checkpoint", 1


@dataclass(frozen=True, slots=True)
class Imported:
    """Weights in the workspace."""

    id: str
    folder: Path
    name: str
    """Of the file they came in."""
    what: str
    """What the file was, in words (marked with `N_`)."""
    networks: NetworkConfig | StyleNetworks
    has: tuple[str, ...]
    """Which networks it holds: generator, critic."""


def bring(source: Path, out: Path, *, mean: "Mean" = "auto") -> dict[str, Any]:
    """Read a foreign file and write it as a checkpoint at `out`; return what is known of it.

    Args:
        source: The file.
        out: A folder that does not exist yet.
        mean: Of a StyleGAN's generator: which mean style to take.

    Raises:
        InputError: It holds no networks that are known, or something stands at `out`.
        RefusedFileError: The file is damaged, or opening it could run its code.
        TooLargeError: It unpacks to more than the memory limit, or there is no room.
    """
    from models import checkpoint
    from models.foreign import read_foreign

    if out.exists():
        raise InputError(N_("{name} exists already."), name=out.name)
    found = read_foreign(source, mean=mean)
    facts = {
        "step": 0,
        "images": 0,
        "model": found.model,
        "optimiser": found.optimiser,
        "networks": asdict(found.networks),
        **found.facts,
        "what": found.what,
        "source": {"name": source.name, "digest": store.file_digest(source)},
        "code": code_version("models"),
    }
    size = sum(one.numel() * one.element_size() for one in found.weights.values())
    store.require_space(out.parent, 2 * size, what=source.name)  # an optimiser's state at most
    checkpoint.write_checkpoint(out, facts, found.weights, found.state)
    return facts


def import_weights(
    config: dict[str, Any], report: Report, should_stop: ShouldStop
) -> dict[str, Any]:
    """Body of a job: bring weights into the workspace; an upload is deleted afterwards.

    `config` holds `workspace`, `source` (a path) and `name`, what the file was called.

    Raises:
        JobError: PyTorch is not installed.
    """
    del should_stop  # it is over in seconds
    root, source = Path(config["workspace"]), Path(config["source"])
    report(0.1, N_("Reading the file"))
    slug = store.slug(Path(config["name"]).stem, fallback="weights")[:40].strip("-_")
    out = root / "weights" / f"{slug}-{store.file_digest(source)[:8]}"
    try:
        if not out.exists():  # the same file again
            bring(source, out)
    except ModuleNotFoundError as err:
        if err.name not in {"torch", "safetensors"}:
            raise
        raise JobError(
            N_("PyTorch is not installed; reading weights needs it."),
            hint=N_("Install it with: make models."),
        ) from err
    finally:
        intake.discard_upload(root, source)
    return {"weights": out.name}


def imported(root: Path) -> list[Imported]:
    """Return the weights of a workspace that can be read, by name."""
    found = []
    for path in sorted((root / "weights").glob("[a-z0-9]*/checkpoint.json")):
        with suppress(AppError, KeyError, TypeError):
            body = store.read_json(path, kind=_KIND, version=_VERSION)
            networks = networks_of(str(body["model"]), body["networks"])
            name, what, folder = str(body["source"]["name"]), str(body["what"]), path.parent
            # Earlier versions wrote it for StyleGAN alone.
            both = tuple(part for part in ("generator", "critic") if part in what)
            has = tuple(map(str, body.get("has", both or ("generator", "critic"))))
            found.append(Imported(folder.name, folder, name, what, networks, has))
    return found


def forget(root: Path, name: str) -> None:
    """Delete weights that were brought in; runs that began with them have checkpoints of their own.

    Raises:
        InputError: There are none of that name.
    """
    folder = store.inside(root / "weights", store.checked_id(name, what=N_("name")))
    if not (folder / "checkpoint.json").is_file():
        raise InputError(N_("There are no weights {id!r}."), id=name)
    shutil.rmtree(folder)
