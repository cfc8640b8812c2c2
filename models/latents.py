"""Latents: from seeds, from files, and files of them that open again.

A seed's latent is what NumPy's old generator gives for it, whose numbers never change: 512 normal
numbers of `RandomState(seed)`, as the published figures have it.
"""

import hashlib
import json
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import store
from core.errors import InputError, RefusedFileError
from core.text import N_
from models.arrays import Shape, opened_arrays, read_array
from models.npy import DAMAGED

KIND, VERSION = "urban-pattern-latents", 1
MOST_LATENTS = 1024
Latents = NDArray[np.float32]
MOST_SEED = 2**32 - 1
_MOST_KEPT = 200
"""Files of latents that a workspace keeps; the oldest goes first."""
_MOST_ABOUT = 1 << 18
"""Characters of settings: seeds by the thousand have a place."""


def of_seeds(seeds: Sequence[int], size: int) -> Latents:
    """Return the latents (n, size) of seeds.

    Raises:
        InputError: A seed lies outside of 0 to 2^32 - 1, or there are more than 1,024.
    """
    if len(seeds) > MOST_LATENTS:
        raise InputError(
            N_("One call makes at most {most:,} pictures, not {count:,}."),
            most=MOST_LATENTS, count=len(seeds),
        )  # fmt: skip
    check_seeds(seeds)
    out = np.empty((len(seeds), size), np.float32)
    for row, seed in zip(out, seeds, strict=True):
        row[:] = np.random.RandomState(seed).randn(size)
    return out


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse seeds that are none.

    Raises:
        InputError: One lies outside of 0 to 2^32 - 1.
    """
    for seed in seeds:
        if not 0 <= seed <= MOST_SEED:
            raise InputError(N_("A seed lies in 0 to {most:,}, not {seed}."),
                             most=MOST_SEED, seed=str(seed)[:60])  # fmt: skip


def write_latents(path: Path, latents: Latents, settings: dict[str, Any]) -> None:
    """Write latents (n, Z) or styles with the settings of their pictures, as an NPZ."""
    about = json.dumps({"kind": KIND, "version": VERSION, "settings": settings})
    with store.atomic_path(path.with_suffix(".npz")) as tmp, tmp.open("wb") as file:
        np.savez(file, latents=latents.astype(np.float32), about=np.array(about))


def read_latents(path: Path, size: int) -> tuple[Latents, dict[str, Any]]:
    """Read latents (n, size) and settings: what `write_latents` wrote, or a bare NPY.

    Raises:
        RefusedFileError: It is no such file, or from a newer version.
        InputError: The latents are of another size, too many, or not numbers.
    """

    def check(shape: Shape, dtype: "np.dtype[np.generic]") -> None:
        if len(shape) != 2 or shape[1] != size or dtype.kind != "f":
            raise InputError(
                N_("{name} holds numbers of shape {shape}; this model takes (n, {size})."),
                name=path.name, shape=str(shape)[:60], size=size,
            )  # fmt: skip
        if not 1 <= shape[0] <= MOST_LATENTS:
            raise InputError(
                N_("{name} holds {count:,} latents; 1 to {most:,} can be shown."),
                name=path.name, count=shape[0], most=MOST_LATENTS,
            )  # fmt: skip

    settings: dict[str, Any] = {}
    try:
        if zipfile.is_zipfile(path):
            with opened_arrays(path) as read:
                about = json.loads(str(read("about", _check_about)))
                if about.get("kind") != KIND or int(about["version"]) > VERSION:
                    raise ValueError("another kind or a newer version")
                settings, found = dict(about["settings"]), read("latents", check)
        else:
            with path.open("rb") as stream:
                found = read_array(stream, check)
    except InputError:
        raise
    except DAMAGED as err:
        raise RefusedFileError(N_("{name} is no file of latents."), name=path.name) from err
    with np.errstate(over="ignore"):  # numbers that are none in float32 are refused below
        latents = found.astype(np.float32)
    if not np.isfinite(latents).all():
        raise InputError(N_("{name} holds latents that are no numbers."), name=path.name)
    return latents, settings


def _check_about(shape: Shape, dtype: "np.dtype[np.generic]") -> None:
    if shape or dtype.kind != "U" or dtype.itemsize > 4 * _MOST_ABOUT:
        raise ValueError("no text, or too long a one")


def id_of(latents: Latents) -> str:
    """Return by what latents (n, Z) are known: how the digest of their numbers begins."""
    return hashlib.sha256(np.ascontiguousarray(latents).tobytes()).hexdigest()[:16]


def keep_latents(root: Path, path: Path, size: int) -> str:
    """Keep a file of latents in a workspace and return its id, by which a link finds it again.

    Raises:
        RefusedFileError, InputError: See `read_latents`.
        TooLargeError: There is no room.
    """
    found, settings = read_latents(path, size)
    kept_id = id_of(found)
    folder = root / "latents"
    store.require_space(folder, found.nbytes + 4 * _MOST_ABOUT, what=path.name)
    write_latents(folder / f"{kept_id}.npz", found, settings)
    with suppress(OSError):  # another session may delete the same ones
        newest = sorted(folder.glob("*.npz"), key=lambda one: one.stat().st_mtime)
        for old in newest[:-_MOST_KEPT]:
            old.unlink(missing_ok=True)
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
