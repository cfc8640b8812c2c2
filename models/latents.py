"""Latents: from seeds, from files, and files of them that open again.

A seed's latent is what NumPy's old generator gives for it, whose numbers never change: 512 normal
numbers of `RandomState(seed)`, as the published figures have it.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import store
from core.errors import InputError, RefusedFileError
from core.text import N_
from models.npy import DAMAGED

KIND, VERSION = "urban-pattern-latents", 1
MOST_LATENTS = 1024
Latents = NDArray[np.float32]
MOST_SEED = 2**32 - 1


def of_seeds(seeds: Sequence[int], size: int) -> Latents:
    """Return the latents (n, size) of seeds.

    Raises:
        InputError: A seed lies outside of 0 to 2^32 - 1.
    """
    for seed in seeds:
        if not 0 <= seed <= MOST_SEED:
            raise InputError(N_("A seed lies in 0 to {most:,}, not {seed}."),
                             most=MOST_SEED, seed=seed)  # fmt: skip
    rows = [np.random.RandomState(seed).randn(size) for seed in seeds]
    return np.stack(rows).astype(np.float32) if rows else np.zeros((0, size), np.float32)


def write_latents(path: Path, latents: Latents, settings: dict[str, Any]) -> None:
    """Write latents (n, Z) or styles with the settings of their pictures, as an NPZ."""
    about = json.dumps({"kind": KIND, "version": VERSION, "settings": settings})
    with store.atomic_path(path.with_suffix(".npz")) as tmp, tmp.open("wb") as file:
        np.savez(file, latents=latents.astype(np.float32), about=np.array(about))


def read_latents(path: Path, size: int) -> tuple[Latents, dict[str, Any]]:
    """Read latents (n, size) and settings: what `write_latents` wrote, or a bare NPY.

    Raises:
        RefusedFileError: It is no such file, or from a newer version.
        InputError: The latents are of another size, or not numbers.
    """
    settings: dict[str, Any] = {}
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.lib.npyio.NpzFile):
            with found:
                about = json.loads(str(found["about"]))
                if about.get("kind") != KIND or int(about["version"]) > VERSION:
                    raise ValueError("another kind or a newer version")
                settings, latents = dict(about["settings"]), found["latents"]
        else:
            latents = found
    except DAMAGED as err:
        raise RefusedFileError(N_("{name} is no file of latents."), name=path.name) from err
    if latents.ndim != 2 or latents.shape[1] != size or latents.dtype.kind != "f":
        raise InputError(
            N_("{name} holds numbers of shape {shape}; this model takes (n, {size})."),
            name=path.name, shape=str(latents.shape), size=size,
        )  # fmt: skip
    if not np.isfinite(latents).all():
        raise InputError(N_("{name} holds latents that are no numbers."), name=path.name)
    return latents.astype(np.float32), settings


def keep_latents(root: Path, path: Path, size: int) -> str:
    """Keep a file of latents in a workspace and return its id, by which a link finds it again.

    Raises:
        RefusedFileError, InputError: See `read_latents`; or there are more than 1,024 of them.
    """
    found, settings = read_latents(path, size)
    if not 1 <= len(found) <= MOST_LATENTS:
        raise InputError(
            N_("{name} holds {count:,} latents; 1 to {most:,} can be shown."),
            name=path.name, count=len(found), most=MOST_LATENTS,
        )  # fmt: skip
    kept_id = hashlib.sha256(found.tobytes()).hexdigest()[:16]
    write_latents(root / "latents" / f"{kept_id}.npz", found, settings)
    return kept_id


def kept_latents(root: Path, kept_id: str, size: int) -> tuple[Latents, dict[str, Any]]:
    """Return latents and settings that were kept.

    Raises:
        InputError: There are none of that id, or they are of another model.
        RefusedFileError: The file is damaged.
    """
    kept_id = store.checked_id(kept_id, what=N_("file of latents"))
    path = store.inside(root / "latents", f"{kept_id}.npz")
    if not path.is_file():
        raise InputError(
            N_("There are no latents {id!r} in this workspace."),
            hint=N_("Open their file again."), id=kept_id,
        )  # fmt: skip
    return read_latents(path, size)
