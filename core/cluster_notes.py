"""What people say of clusters: names, another order of the numbers, clusters merged to groups.

Kept with the area, in `clusters.json`, under a digest of the labels themselves: the same grouping
finds its names again whatever made it, and another grouping never gets foreign ones.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from numpy.typing import NDArray

from core import store
from core.distances import merged
from core.errors import BusyError, InputError, StoreError
from core.text import N_
from core.workspace import Workspace, checked_title

NOTES_KIND, NOTES_VERSION = "urban-pattern-clusters", 1
_LOCK_SECONDS = 5.0
_MOST_GROUPINGS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What was said of one grouping; cluster numbers are those of its labels."""

    names: dict[int, str] = field(default_factory=dict)
    order: tuple[int, ...] = ()
    """Clusters in the order in which they are to be numbered; empty: as they are."""
    groupings: dict[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    """Title to the clusters that are merged in it."""


def grouping_digest(labels: NDArray[np.integer]) -> str:
    """Return 16 hex digits over the labels (N,) of one k."""
    return hashlib.sha256(labels.astype("<u2").tobytes()).hexdigest()[:16]


def read_notes(workspace: Workspace, area_id: str, labels: NDArray[np.integer]) -> Notes:
    """Return what was said of a grouping; empty notes where nothing was.

    Raises:
        StoreError: The file is damaged or newer than this program.
    """
    return _notes(_read(_path(workspace, area_id)).get(grouping_digest(labels), {}))


def write_notes(
    workspace: Workspace, area_id: str, labels: NDArray[np.integer], notes: Notes
) -> None:
    """Keep notes of a grouping in place of earlier ones.

    Raises:
        InputError: A name is empty, too long or not printable, or a cluster does not exist.
        BusyError: Somebody else is writing.
    """
    checked = _checked(notes, labels)
    path = _path(workspace, area_id)
    locks = workspace.root / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(locks / f"{area_id}.clusters.lock", timeout=_LOCK_SECONDS):
            groupings = _read(path)
            groupings[grouping_digest(labels)] = _plain(checked)
            store.write_json(path, {"groupings": groupings}, kind=NOTES_KIND, version=NOTES_VERSION)
    except filelock.Timeout as err:
        raise BusyError(
            N_("The names of clusters of {name} are being changed by somebody else."),
            hint=N_("Nothing was changed. Try again in a moment."),
            name=area_id,
        ) from err


def renumbered(labels: NDArray[np.integer], order: Sequence[int]) -> NDArray[np.int32]:
    """Return labels numbered in another order; an empty one leaves them as they are.

    Raises:
        InputError: `order` does not name each cluster once.
    """
    known = [int(cluster) for cluster in np.unique(labels)]
    if not order:
        return labels.astype(np.int32)
    if sorted(order) != known:
        raise InputError(
            N_("An order of the clusters must name each of them once."),
            hint=N_("There are: {known}."),
            known=", ".join(map(str, known[:50])),
        )
    lookup = np.zeros(known[-1] + 1, np.int32)
    lookup[list(order)] = np.arange(len(order))
    numbered: NDArray[np.int32] = lookup[labels]
    return numbered


def _checked(notes: Notes, labels: NDArray[np.integer]) -> Notes:
    known = {int(cluster) for cluster in np.unique(labels)}
    unknown = sorted(set(notes.names) - known)
    if unknown:
        raise InputError(N_("There is no cluster {cluster}."), cluster=unknown[0])
    renumbered(labels, notes.order)
    if len(notes.groupings) > _MOST_GROUPINGS:
        raise InputError(N_("No more than {most} groupings are kept."), most=_MOST_GROUPINGS)
    for groups in notes.groupings.values():
        merged(labels, groups)
    return Notes(
        names={cluster: checked_title(name) for cluster, name in notes.names.items()},
        order=notes.order,
        groupings={checked_title(title): groups for title, groups in notes.groupings.items()},
    )


def _path(workspace: Workspace, area_id: str) -> Path:
    return workspace.folder(area_id) / "clusters.json"


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    body = store.read_json(path, kind=NOTES_KIND, version=NOTES_VERSION)
    groupings = body.get("groupings")
    if not isinstance(groupings, dict):
        raise _damaged(N_("no groupings"))
    return groupings


def _plain(notes: Notes) -> dict[str, Any]:
    return {
        "names": {str(cluster): name for cluster, name in notes.names.items()},
        "order": list(notes.order),
        "groupings": {
            title: [list(g) for g in groups] for title, groups in notes.groupings.items()
        },
    }


def _notes(body: Mapping[str, Any]) -> Notes:
    try:
        return Notes(
            names={int(cluster): str(name) for cluster, name in body.get("names", {}).items()},
            order=tuple(int(cluster) for cluster in body.get("order", [])),
            groupings={
                str(title): tuple(tuple(int(cluster) for cluster in group) for group in groups)
                for title, groups in body.get("groupings", {}).items()
            },
        )
    except (AttributeError, TypeError, ValueError) as err:
        raise _damaged(str(err)[:200]) from err


def _damaged(reason: str) -> StoreError:
    return StoreError(
        N_("The names of clusters cannot be read: {reason}."),
        hint=N_("Delete clusters.json in the area's folder to begin anew."),
        reason=reason,
    )
