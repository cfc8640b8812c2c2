"""Checkpoints: weights and everything else the next step depends on, as tensors and JSON.

    checkpoints/<step>/   weights.safetensors   generator.…, critic.…, average.…: for pictures
                          state.safetensors     optimisers and random numbers: for training
                          checkpoint.json       what it is, and the digests of both

Never a pickle: reading one can run its author's code. A checkpoint is written beside its place,
flushed, and moved there as a whole, so it is whole or not there.
"""

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from core import store
from core.errors import AppError, StoreError
from core.text import N_

KIND, VERSION = "urban-pattern-checkpoint", 1
_WEIGHTS, _STATE, _FACTS = "weights.safetensors", "state.safetensors", "checkpoint.json"
_KEPT = 2


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint as it was read. `state` is empty where only pictures can be made from it."""

    folder: Path
    facts: dict[str, Any]
    weights: dict[str, Tensor]
    state: dict[str, Tensor]

    @property
    def step(self) -> int:
        return int(self.facts["step"])


def write_checkpoint(
    folder: Path, facts: dict[str, Any], weights: dict[str, Tensor], state: dict[str, Tensor]
) -> None:
    """Write a checkpoint at `folder`.

    Args:
        folder: Its place, named after the step.
        facts: What JSON can hold; `step` at least.
        weights: By the names of `Adversary.weights`.
        state: By name; may be empty.

    Raises:
        TooLargeError: There is no room.
        StoreError: The place is read-only.
    """
    if folder.exists():  # a damaged one: a run begins again before it, and has come by here
        shutil.rmtree(folder)
    with store.atomic_folder(folder) as tmp:
        digests = {}
        for name, tensors in ((_WEIGHTS, weights), (_STATE, state)):
            # Packed in memory first: the library's own writer hides why a disk refused.
            body = _packed(tensors)
            (tmp / name).write_bytes(body)
            digests[name] = hashlib.sha256(body).hexdigest()
        store.write_json(tmp / _FACTS, {**facts, "digests": digests}, kind=KIND, version=VERSION)


def digest_of(weights: dict[str, Tensor]) -> str:
    """Return the digest that weights have as a checkpoint."""
    return hashlib.sha256(_packed(weights)).hexdigest()


def _packed(tensors: dict[str, Tensor]) -> bytes:
    body: bytes = safetensors.torch.save(
        {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    )
    return body


def read_checkpoint(folder: Path, *, with_state: bool = True) -> Checkpoint:
    """Read a checkpoint and compare its files with their digests.

    Raises:
        StoreError: A file is missing or damaged, or from a newer version.
    """
    facts = store.read_json(folder / _FACTS, kind=KIND, version=VERSION)
    weights = _tensors(folder, _WEIGHTS, facts)
    state = _tensors(folder, _STATE, facts) if with_state else {}
    return Checkpoint(folder, facts, weights, state)


def _tensors(folder: Path, name: str, facts: dict[str, Any]) -> dict[str, Tensor]:
    try:
        body = (folder / name).read_bytes()
        if hashlib.sha256(body).hexdigest() != facts["digests"][name]:
            raise StoreError(
                N_("{name} of checkpoint {step} is damaged: its bytes have changed."),
                hint=N_("Use an earlier checkpoint."),
                name=name, step=folder.name,
            )  # fmt: skip
        found: dict[str, Tensor] = safetensors.torch.load(body)
    except (OSError, KeyError, TypeError, SafetensorError) as err:
        raise StoreError(
            N_("{name} of checkpoint {step} cannot be read."),
            hint=N_("Use an earlier checkpoint."),
            name=name, step=folder.name,
        ) from err  # fmt: skip
    return found


def steps(root: Path) -> list[int]:
    """Return the steps of the checkpoints below `root`, oldest first, whole or not."""
    return sorted(
        int(path.parent.name) for path in root.glob(f"*/{_FACTS}") if path.parent.name.isdecimal()
    )


def place(root: Path, step: int) -> Path:
    """Return the folder of the checkpoint at `step`."""
    return root / f"{step:08d}"


def latest(root: Path) -> tuple[Checkpoint | None, list[AppError]]:
    """Return the newest checkpoint that is whole, and why newer ones are not."""
    refused: list[AppError] = []
    for step in reversed(steps(root)):
        try:
            return read_checkpoint(place(root, step)), refused
        except AppError as err:
            refused.append(err)
    return None, refused


def prune(root: Path, keep: Iterable[int]) -> None:
    """Delete all but the newest two checkpoints and those at the steps of `keep`."""
    kept = {*steps(root)[-_KEPT:], *keep}
    for step in steps(root):
        if step not in kept:
            shutil.rmtree(place(root, step), ignore_errors=True)
    for left in root.glob(".tmp-*"):  # of a process that was killed while it wrote
        shutil.rmtree(left, ignore_errors=True)
