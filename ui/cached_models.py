"""Models that are loaded, and pictures made with them: shared by all sessions, read-only, bounded.

Importing this module loads no PyTorch; what needs it imports it when it is first called.
"""

import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.chips.sets import ChipSets
from models import catalogue
from models.catalogue import Entry
from ui.server import workspace

if TYPE_CHECKING:
    from models.closest import Closest
    from models.figures import Finished
    from models.loaded import Loaded, Shelf

IDLE_S = 900.0
"""A model that nobody used for so long is let go."""
_LOOK_EVERY_S = 30.0
Values = Mapping[str, NDArray[np.float64]]


def has_pytorch() -> bool:
    """Tell whether pictures can be made here; the library itself is not loaded."""
    return all(find_spec(name) is not None for name in ("torch", "safetensors"))


def loaded(entry: Entry) -> "Loaded":
    """Return a model ready to make pictures.

    Raises:
        InputError, StoreError: It cannot be read.
    """
    return _shelf().get(entry)


@st.cache_resource(max_entries=1, show_spinner=False)
def _shelf() -> "Shelf":
    from models.loaded import Shelf

    shelf = Shelf()
    threading.Thread(target=_let_go_idle, args=(weakref.ref(shelf),), daemon=True).start()
    return shelf


def _let_go_idle(shelf: "weakref.ref[Shelf]") -> None:
    """Let go of models that nobody uses, as long as there is a shelf."""
    while (found := shelf()) is not None:
        found.release(idle_s=IDLE_S)
        del found
        time.sleep(_LOOK_EVERY_S)


@st.cache_resource(max_entries=1, show_spinner=False)
def finished() -> "Finished":
    """Return the pictures that were made; it bounds itself by their bytes."""
    from models.figures import Finished

    return Finished()


class Measures:
    """Measures of seeds' pictures at each psi, the oldest forgotten first."""

    def __init__(self, most: int = 4096) -> None:
        self.most = most
        self._found: OrderedDict[tuple[object, ...], Values] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[object, ...]) -> Values | None:
        with self._lock:
            return self._found.get(key)

    def put(self, key: tuple[object, ...], values: Values) -> None:
        with self._lock:
            self._found[key] = values
            while len(self._found) > self.most:
                self._found.popitem(last=False)


@st.cache_resource(max_entries=1, show_spinner=False)
def measures() -> Measures:
    """Return what was measured: a few numbers a seed."""
    return Measures()


@st.cache_data(max_entries=4, ttl=3, show_spinner=False)
def models_at_hand(root: str) -> list[Entry]:
    """Return the models at hand; looked for anew after three seconds."""
    del root
    return catalogue.entries(workspace().root)


@st.cache_data(max_entries=64, show_spinner=False)
def closest_chips(
    set_id: str, set_digest: str, shape: tuple[int, ...], picture: bytes, count: int
) -> "Closest":
    """Return the training chips nearest to a picture (C, s, s) given as its bytes."""
    from models.closest import closest

    del set_digest
    made = np.frombuffer(picture, np.uint8).reshape(shape)
    return closest(made[None], ChipSets(workspace().root).open(set_id), count=count)[0]


@st.cache_data(max_entries=16, show_spinner=False)
def usual_distance(set_id: str, set_digest: str, size_px: int) -> float | None:
    """Return how far chips of the test lie from the nearest training chip: the median of 64.

    None where a set has no chips for the test.
    """
    from models.closest import closest

    del set_digest
    found = ChipSets(workspace().root).open(set_id)
    if not {"train", "test"} <= found.info.splits.keys() or found.info.dtype != "uint8":
        return None
    held = found.indices("test")
    some = held[np.linspace(0, len(held) - 1, min(len(held), 64), dtype=int)]
    nearest = closest(found.read(some, size_px), found, count=1)
    return float(np.median([one.distances[0] for one in nearest]))
