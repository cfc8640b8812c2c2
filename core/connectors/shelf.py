"""The images of a study area that were fetched, and those that could not be."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from core import prepare, store
from core.cog import OnProgress, ShouldStop
from core.connectors import assets, items
from core.connectors.assets import File
from core.connectors.items import Found
from core.errors import InputError, StoreError
from core.prepare import About
from core.text import N_, sentences
from core.workspace import Area, Workspace

_FAILED_KIND, _FAILED_VERSION = "imagery-failed", 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An image that could not be fetched."""

    image: Found
    catalogue: str
    licence: str
    problem: str
    """A template as in `AppError`."""
    hint: str
    values: dict[str, Any]
    when: float
    """Seconds since 1970."""

    def message(self, translate: Callable[[str], str] = str) -> str:
        """Return the reason in words."""
        return sentences(self.problem, self.hint, self.values, translate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that is there."""

    key: str
    collection: str
    path: Path
    title: str
    date: str
    num_bytes: int
    mode: str
    """`window` or `whole`."""
    facts: dict[str, Any]
    """`crs`, `width`, `height`, `bands`, `dtype`, `pixel`, `bounds`, `cover`."""
    source: dict[str, Any]
    """`catalogue`, `collection`, `id`, `asset`, `href`, `date`, `licence`, `fetched`, `bands`."""


def fetched(workspace: Workspace, area_id: str) -> tuple[Image, ...]:
    """Return the images of an area that are there and whole, newest first.

    Raises:
        InputError: There is no such area.
    """
    root = workspace.folder(area_id) / "imagery"
    images = []
    for about in root.glob("[a-z0-9]*/*.json"):
        file = assets.have(about.parent, about.stem)
        if file is not None:
            images.append(_image(about.parent.name, about.stem, file))
    return tuple(sorted(images, key=lambda image: (image.date, image.key), reverse=True))


def image_of(workspace: Workspace, area_id: str, collection: str, key: str) -> Image:
    """Return one of the images that are there.

    Raises:
        InputError: There is no such image.
    """
    for image in fetched(workspace, area_id):
        if (image.collection, image.key) == (collection, key):
            return image
    raise InputError(N_("There is no image {key!r}."), key=key[:80])


def failures(workspace: Workspace, area_id: str) -> tuple[Failure, ...]:
    """Return the images of an area that could not be fetched, to be shown and tried again.

    Raises:
        InputError: There is no such area.
    """
    path = workspace.folder(area_id) / "imagery" / "failed.json"
    if not path.is_file():
        return ()
    try:
        rows = store.read_json(path, kind=_FAILED_KIND, version=_FAILED_VERSION)["failed"]
        return tuple(Failure(**{**row, "image": items.from_row(row["image"])}) for row in rows)
    except (StoreError, InputError, KeyError, TypeError):  # it can be found again by a search
        return ()


def remove(workspace: Workspace, area_id: str, collection: str, key: str) -> None:
    """Delete an image that was fetched.

    Raises:
        InputError: There is no such image.
    """
    image = image_of(workspace, area_id, collection, key)
    image.path.with_suffix(".json").unlink(missing_ok=True)
    image.path.unlink(missing_ok=True)


def add_image(
    workspace: Workspace,
    area_id: str,
    image: Image,
    about: About,
    *,
    band: int = 1,
    on_progress: OnProgress = prepare.no_progress,
    should_stop: ShouldStop = prepare.never,
) -> Area:
    """Make one band of an image a layer, with where it comes from and its licence.

    Args:
        workspace: Where the area is.
        area_id: The area.
        image: One of `fetched`.
        about: What the layer is.
        band: Counted from 1.
        on_progress: See `prepare.add_raster`.
        should_stop: See `prepare.add_raster`.

    Raises:
        AppError: See `prepare.add_raster`.
    """
    return prepare.add_raster(
        workspace,
        area_id,
        image.path,
        about,
        band=band,
        source_name=image.title,
        whence=image.source,
        on_progress=on_progress,
        should_stop=should_stop,
    )


def free_layer_id(area: Area, image: Image, band: int) -> str:
    """Return a short name for the layer of a band that no layer has: of its date, or its name."""
    taken = {layer.id for layer in area.layers}
    name = store.slug(image.key, fallback="image")
    numbered = (f"{name}-b{band}-{number}" for number in count(2))
    of_date = f"{store.slug(image.date or 'image', fallback='image')}-b{band}"
    names = chain((of_date, f"{name}-b{band}"), numbered)
    return next(one for one in names if one not in taken)


def places_of(images: Iterable[Image], catalogue: str) -> set[tuple[str, str]]:
    """Return the places, see `Found.place`, of the fetched images of the catalogue of an address.

    Another catalogue may call an image of its own the same: that is another image.
    """
    return {
        (image.collection, image.key)
        for image in images
        if image.source.get("catalogue") == catalogue
    }


def write_failures(
    workspace: Workspace, area_id: str, asked: Sequence[Found], new: Sequence[Failure]
) -> None:
    """Keep the failures of images that were not asked for now, and those of now."""
    tried = {(image.collection, image.key) for image in asked}
    old = [
        failure
        for failure in failures(workspace, area_id)
        if (failure.image.collection, failure.image.key) not in tried
    ]
    path = workspace.folder(area_id) / "imagery" / "failed.json"
    if not (old or new) and not path.is_file():
        return
    rows = [
        {
            "image": items.to_row(failure.image),
            "catalogue": failure.catalogue,
            "licence": failure.licence,
            "problem": failure.problem,
            "hint": failure.hint,
            "values": failure.values,
            "when": failure.when,
        }
        for failure in (*old, *new)
    ]
    store.write_json(path, {"failed": rows}, kind=_FAILED_KIND, version=_FAILED_VERSION)


def _image(collection: str, key: str, file: File) -> Image:
    return Image(
        key=key,
        collection=collection,
        path=file.path,
        title=file.title,
        date=str(file.source.get("date", "")),
        num_bytes=file.num_bytes,
        mode=file.mode,
        facts=file.facts,
        source=file.source,
    )
