"""Names and colours of clusters: the same on map, charts, tables and exports."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.cluster_notes import Notes, read_notes, write_notes
from core.clusters.naming import holdings, spoken
from core.distances import merged
from core.legends import Legend, LegendClass, numbered_legend
from core.quadrat_table import QuadratTable
from core.workspace import Area
from ui.columns import column_part, columns_of
from ui.language import _
from ui.layer_words import layer_title
from ui.quantities import share_text
from ui.server import workspace
from ui.state import ClusterView

Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The clusters as this page shows them: of one k, or a grouping of them."""

    labels: Labels
    """(N,) numbers from 0."""
    own: Labels
    """The labels of k itself, before merging."""
    names: dict[int, str]
    colours: dict[int, str]
    sizes: dict[int, int]
    notes: Notes

    @property
    def legend(self) -> Legend:
        """Return the map's legend: number, name and share."""
        total = sum(self.sizes.values())
        return tuple(
            LegendClass(
                number,
                f"{number + 1} {self.names[number]} ({share_text(self.sizes[number] / total)})",
                self.colours[number],
            )
            for number in self.sizes
        )


def shown_clusters(
    area: Area, made: QuadratTable, table: pd.DataFrame, own: Labels, view: ClusterView
) -> Shown:
    """Return the clusters with names, colours and sizes; merged where a grouping is shown."""
    notes = read_notes(workspace(), area.id, own)
    labels = own
    if view.grouping in notes.groupings:
        labels, _mapping = merged(own, notes.groupings[view.grouping])
    words = {
        c.name: column_part(c) if c.is_class else layer_title(c.layer).lower()
        for c in columns_of(area, made.table)
    }
    parts = holdings(table, labels)
    # Two layers can say the same: once is enough.
    names = {
        number: ", ".join(dict.fromkeys(spoken(part, words, translate=_).split(", ")))
        for number, part in parts.items()
    }
    if labels is own:
        names |= notes.names
    numbers, counts = np.unique(labels, return_counts=True)
    colours = {entry.code: entry.colour for entry in numbered_legend(int(n) for n in numbers)}
    sizes = {int(n): int(count) for n, count in zip(numbers, counts, strict=True)}
    return Shown(labels, own, names, colours, sizes, notes)


def rename_cluster(area: Area, shown: Shown, number: int, name: str) -> None:
    """Keep a name of the user's for a cluster of this k.

    Raises:
        InputError: The name cannot be used.
    """
    names = {**shown.notes.names, number: name}
    write_notes(workspace(), area.id, shown.own, replace(shown.notes, names=names))


def merge_clusters(area: Area, shown: Shown, pair: tuple[int, int], title: str) -> None:
    """Keep a grouping in which two of the shown clusters are one; it grows from what is shown.

    Raises:
        InputError: The title or the clusters cannot be used.
    """
    # Shown numbers are those of the grouping; what is kept are the clusters of k themselves.
    members = {
        n: {int(own) for own in np.unique(shown.own[shown.labels == n])} for n in shown.sizes
    }
    whole = members[pair[0]] | members[pair[1]]
    kept = [group for n, group in members.items() if n not in pair and len(group) > 1]
    grouping = tuple(tuple(sorted(group)) for group in [*kept, whole])
    groupings = {**shown.notes.groupings, title: grouping}
    write_notes(workspace(), area.id, shown.own, replace(shown.notes, groupings=groupings))
