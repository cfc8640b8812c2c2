"""What a zone can be compared with: the main class of a layer in each square, or clusters."""

import numpy as np
from numpy.typing import NDArray

from core.quadrat_table import QuadratTable
from core.workspace import Area
from ui.columns import columns_of
from ui.language import _
from ui.layer_words import class_name, layer_title

NO_GROUP = -1
Labels = NDArray[np.int16]


def group_choices(area: Area, made: QuadratTable) -> dict[str, str]:
    """Return the ids and names of what there is to compare with."""
    layers = {c.layer.id: c.layer for c in columns_of(area, made.table) if c.is_class}
    text = _("Main class of “{layer}”")
    return {name: text.format(layer=layer_title(layer)) for name, layer in layers.items()}


def groups_of(area: Area, made: QuadratTable, choice: str) -> tuple[Labels, dict[int, str]]:
    """Return the group of each square and the groups' names."""
    own = [c for c in columns_of(area, made.table) if c.is_class and c.layer.id == choice]
    counts = np.nan_to_num(made.table[[c.name for c in own]].to_numpy(float))
    codes = np.array([c.code for c in own], np.int16)
    labels = np.where(counts.sum(axis=1) > 0, codes[counts.argmax(axis=1)], NO_GROUP)
    names = {int(c.code or 0): class_name(c.layer, int(c.code or 0)) for c in own}
    return labels.astype(np.int16), names
