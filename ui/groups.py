"""What a zone can be compared with: clusters, or the main class of a layer in each square."""

import numpy as np
from numpy.typing import NDArray

from core.clusters.stability import suggested
from core.quadrat_table import QuadratTable
from core.workspace import Area
from ui import cached
from ui.cluster_panel import cluster_options, is_swept
from ui.cluster_words import shown_clusters
from ui.columns import columns_of
from ui.language import _
from ui.layer_words import class_name, layer_title
from ui.quadrat_panel import options_of
from ui.state import app_state

NO_GROUP = -1
CLUSTERS = "clusters"
Labels = NDArray[np.int16]


def group_choices(area: Area, made: QuadratTable) -> dict[str, str]:
    """Return the ids and names of what there is to compare with; clusters first."""
    found = {}
    if is_swept(area, made, cluster_options(app_state().cluster_view(area.id))):
        found[CLUSTERS] = _("Clusters")
    layers = {c.layer.id: c.layer for c in columns_of(area, made.table) if c.is_class}
    text = _("Main class of “{layer}”")
    return found | {name: text.format(layer=layer_title(layer)) for name, layer in layers.items()}


def groups_of(
    area: Area, made: QuadratTable, stamp: int, choice: str
) -> tuple[Labels, dict[int, str]]:
    """Return the group of each square and the groups' names."""
    if choice == CLUSTERS:
        return _clusters(area, made, stamp)
    own = [c for c in columns_of(area, made.table) if c.is_class and c.layer.id == choice]
    counts = np.nan_to_num(made.table[[c.name for c in own]].to_numpy(float))
    codes = np.array([c.code for c in own], np.int16)
    labels = np.where(counts.sum(axis=1) > 0, codes[counts.argmax(axis=1)], NO_GROUP)
    names = {int(c.code or 0): class_name(c.layer, int(c.code or 0)) for c in own}
    return labels.astype(np.int16), names


def _clusters(area: Area, made: QuadratTable, stamp: int) -> tuple[Labels, dict[int, str]]:
    """Return the clusters as the Clusters page shows them: its k, its names, its grouping."""
    view = app_state().cluster_view(area.id)
    options, squares = cluster_options(view), options_of(area, app_state().quadrat_view(area.id))
    found = cached.clusters(area.id, stamp, options, squares)
    ks = found.sweep.ks
    if view.k not in ks:
        firm = cached.cluster_stability(area.id, stamp, options, squares)
        view.k = suggested(ks, firm, found.quality.calinski_harabasz)
    factors = cached.cluster_factors(area.id, stamp, options, squares)
    own = found.sweep.of(view.k).astype(np.int32)
    shown = shown_clusters(area, made, factors.table, own, view)
    names = {number: f"{number + 1} {name}" for number, name in shown.names.items()}
    return shown.labels.astype(np.int16), names
