"""Models loaded for generating: read-only, shared by all sessions, within bounds of memory."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from core.errors import InputError
from core.settings import settings
from core.text import N_
from models import checkpoint
from models.catalogue import Entry, at_folder
from models.engine import engine, fitting
from models.foreign import read_foreign
from models.foreign_style import mean_style
from models.style_config import StyleNetworks
from models.style_task import fixed_noises
from models.stylegan import StyleGenerator
from models.synthesis import Colours, Kept, QuickGenerator

_NOISES = 8
_Key = tuple[str, int, float]


@dataclass(slots=True)
class Loaded:
    """A generator ready to make pictures, in float32 and as a preview."""

    digest: str
    depth: int
    """The largest that was trained."""
    alpha: float
    """How far its layers had come in."""
    plain: StyleGenerator
    quick: QuickGenerator
    kept: Kept = field(default_factory=Kept)
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Held while a picture is made: sessions take turns, so that threads stay bounded."""
    given_noises: list[Tensor] | None = None
    """Noise that stands in for that of every seed, where somebody brought their own."""
    colours: dict[tuple[int, int], Colours] = field(default_factory=dict)
    """Of previews, by the depth of the pictures and their own; see `previews.learn`."""
    varieties: dict[tuple[int, int], float] = field(default_factory=dict)
    """Of the styles that these were learnt from."""
    _preview: QuickGenerator | None = None
    _noises: OrderedDict[int, list[Tensor]] = field(default_factory=OrderedDict)
    _filling: threading.Lock = field(default_factory=threading.Lock)

    @property
    def networks(self) -> StyleNetworks:
        return self.quick.config

    @property
    def num_bytes(self) -> int:
        """About the memory that it takes: the weights as they are, folded, and in short numbers,
        and what its layers put out.
        """
        weights: int = sum(
            one.numel() * one.element_size() for one in self.plain.state_dict().values()
        )
        return weights + self.quick.num_bytes * 3 // 2 + self.kept.limit_bytes

    @property
    def preview(self) -> QuickGenerator:
        """The quickest, to look at while something moves: in bfloat16 where the hardware computes
        in it, which is near; else the same.
        """
        with self._filling:
            if self._preview is None:
                is_short = fitting(self.quick.device) == "bfloat16"
                self._preview = (
                    QuickGenerator(self.plain, dtype=torch.bfloat16) if is_short else self.quick
                )
            return self._preview

    def noises(self, seed: int | None) -> list[Tensor] | None:
        """Return the noise of every layer for a seed; None for none."""
        if self.given_noises is not None:
            return self.given_noises
        if seed is None:
            return None
        with self._filling:
            if seed not in self._noises:
                top = self.networks.depths - 1
                self._noises[seed] = fixed_noises(top, self.quick.device, seed=seed)
            self._noises.move_to_end(seed)
            while len(self._noises) > _NOISES:
                self._noises.popitem(last=False)
            return self._noises[seed]


def load(folder: Path, *, device: str = "auto", threads: int | None = None) -> Loaded:
    """Load the generator of a checkpoint: its moving average where it has one.

    Raises:
        InputError: It holds no StyleGAN generator.
        StoreError: It is damaged.
    """
    known = at_folder(folder)
    weights = checkpoint.read_checkpoint(folder, with_state=False).weights
    part = "average" if any(key.startswith("average.") for key in weights) else "generator"
    own = {k.removeprefix(f"{part}."): v for k, v in weights.items() if k.startswith(f"{part}.")}
    return _made(known, own, device=device, threads=threads)


def load_file(path: Path, *, device: str = "auto", threads: int | None = None) -> Loaded:
    """Load a generator from a file of another program, or from a checkpoint's folder.

    Raises:
        InputError: It holds no StyleGAN generator.
        RefusedFileError: The file is damaged, or opening it could run its code.
    """
    if path.is_dir():
        return load(path, device=device, threads=threads)
    found = read_foreign(path)
    if not isinstance(found.networks, StyleNetworks) or "generator" not in found.facts["has"]:
        raise InputError(
            N_("{name} holds no StyleGAN generator."),
            hint=N_("Choose a GAN_GEN file, or a checkpoint of a StyleGAN run."),
            name=path.name,
        )
    own = {key.removeprefix("generator."): value for key, value in found.weights.items()}
    known = Entry(
        id=path.name, title=path.name, kind="file", folder=path,
        digest=checkpoint.digest_of(found.weights), networks=found.networks,
        depth=int(found.facts["depth"]),
    )  # fmt: skip
    return _made(known, own, device=device, threads=threads)


def _made(known: Entry, weights: dict[str, Tensor], *, device: str, threads: int | None) -> Loaded:
    # Threads that wait for each other spin: one that a training or the server itself holds up holds
    # up all, and a picture of milliseconds takes a second. Page and command line take as many: the
    # number decides the last digits.
    half = max(1, settings().threads // 2)
    place = engine(device, "float32", threads or half, exact=True).device
    plain = StyleGenerator(known.networks)
    plain.load_state_dict(weights)
    plain = plain.to(place).eval().requires_grad_(False)
    if not bool(plain.truncation.avg_latent.any()):
        plain.truncation.avg_latent.copy_(mean_style(plain))
    return Loaded(known.digest, known.depth, known.alpha, plain, QuickGenerator(plain))


class Shelf:
    """Loaded models, at most so many bytes of them; the one longest unused goes first.

    By default half of the memory that the settings allow; the newest always stays.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        self.limit_bytes = (settings().memory_mb << 19) if limit_bytes is None else limit_bytes
        self._models: OrderedDict[_Key, tuple[Loaded, float]] = OrderedDict()
        self._turn = threading.Lock()  # of all models: threads stay bounded
        self._lock = threading.Lock()  # of the dictionary
        self._loading = threading.Lock()  # one at a time; models that are there need not wait

    def __len__(self) -> int:
        return len(self._models)

    def get(self, wanted: Entry) -> Loaded:
        """Return a model, loaded now where it is not yet.

        Raises:
            InputError, StoreError: See `load`.
        """
        # The same weights may be at hand twice, trained to other depths.
        key = wanted.digest, wanted.depth, wanted.alpha
        if (found := self._found(key)) is not None:
            return found
        with self._loading:
            if (found := self._found(key)) is not None:  # somebody else loaded it meanwhile
                return found
            found = load(wanted.folder)
            found.turn = self._turn
            with self._lock:
                self._models[key] = (found, time.monotonic())
                while len(self._models) > 1 and self._num_bytes() > self.limit_bytes:
                    self._models.popitem(last=False)
            return found

    def _found(self, key: _Key) -> Loaded | None:
        with self._lock:
            if key not in self._models:
                return None
            found = self._models.pop(key)[0]
            self._models[key] = (found, time.monotonic())
            return found

    def _num_bytes(self) -> int:
        return sum(model.num_bytes for model, _ in self._models.values())

    def release(self, *, idle_s: float = 0.0) -> int:
        """Let go of models that nobody asked for in so many seconds; return how many they were."""
        before = time.monotonic() - idle_s
        with self._lock:
            gone = [key for key, (_, used) in self._models.items() if used <= before]
            for key in gone:
                del self._models[key]
        return len(gone)
