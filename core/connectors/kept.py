"""Searches of a study area that were made, kept so that looking at them again asks nothing.

    areas/<area>/imagery/_searches/<id>.json    what was asked and what was found

The same question replaces its last answer.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from core import store
from core.connectors import items
from core.connectors.items import Found, Refused
from core.connectors.search import Results
from core.errors import InputError, StoreError
from core.text import N_
from core.workspace import Workspace, now

_KIND, _VERSION = "imagery-found", 1
_MOST_KEPT = 12
# An id of a catalogue never begins with this, see `items.harmless`.
_FOLDER = "_searches"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a catalogue is asked."""

    catalogue: str
    """Address of a STAC API."""
    collection: str = "naip"
    asset: str = ""
    dates: tuple[str, str] = ("", "")
    """See `search.search`."""

    @property
    def id(self) -> str:
        """Twelve hex digits that stand for the question."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A question, its answer, and when it was given."""

    query: Query
    results: Results
    when: str
    """Time in UTC, ISO 8601."""

    def image(self, key: str) -> Found | None:
        """Return the image of that key; None where there is none."""
        return next((image for image in self.results.found if image.key == key), None)


def keep(workspace: Workspace, area_id: str, query: Query, results: Results) -> str:
    """Keep an answer and return its id; the oldest of more than twelve are deleted.

    Raises:
        InputError: There is no such area.
    """
    folder = _folder(workspace, area_id)
    body = {
        "query": asdict(query),
        "when": now(),
        "found": [items.to_row(image) for image in results.found],
        "refused": [asdict(entry) for entry in results.refused],
        "is_cut": results.is_cut,
        "licence": results.licence,
        "title": results.title,
    }
    store.write_json(folder / f"{query.id}.json", body, kind=_KIND, version=_VERSION)
    for old in _newest_first(folder)[_MOST_KEPT:]:
        old.unlink(missing_ok=True)
    return query.id


def kept_search(workspace: Workspace, area_id: str, search_id: str) -> Kept:
    """Return an answer that was kept.

    Raises:
        InputError: There is no such area or answer, or it is damaged.
    """
    path = _folder(workspace, area_id) / f"{store.checked_id(search_id)}.json"
    try:
        body = store.read_json(path, kind=_KIND, version=_VERSION)
        query = body["query"]
        return Kept(
            query=Query(**{**query, "dates": tuple(query["dates"])}),
            results=Results(
                found=tuple(items.from_row(row) for row in body["found"]),
                refused=tuple(Refused(**row) for row in body["refused"]),
                is_cut=bool(body["is_cut"]),
                licence=str(body["licence"]),
                title=str(body["title"]),
            ),
            when=str(body["when"]),
        )
    except (StoreError, KeyError, TypeError) as err:
        raise InputError(
            N_("The search {id} is not kept any more."), hint=N_("Search again."), id=search_id
        ) from err


def latest(workspace: Workspace, area_id: str) -> str:
    """Return the id of the answer that came last, `""` where nothing was asked yet.

    Raises:
        InputError: There is no such area.
    """
    found = _newest_first(_folder(workspace, area_id))
    return found[0].stem if found else ""


def stamp(workspace: Workspace, area_id: str, search_id: str) -> int:
    """Return when an answer was written, in nanoseconds; 0 where there is none."""
    try:
        return (_folder(workspace, area_id) / f"{search_id}.json").stat().st_mtime_ns
    except OSError:
        return 0


def _folder(workspace: Workspace, area_id: str) -> Path:
    return workspace.folder(area_id) / "imagery" / _FOLDER


def _newest_first(folder: Path) -> list[Path]:
    found = [(path.stat().st_mtime_ns, path) for path in folder.glob("*.json")]
    return [path for _, path in sorted(found, reverse=True)]
