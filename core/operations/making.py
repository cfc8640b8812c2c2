"""What every preparing operation has in common: a preview, a run, and what is told of it.

An operation is a small frozen object of JSON-able parameters. `plan` says what would come out and
reads headers only; `run` streams the raster, window by window, into a new layer of the area.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from core import prepare
from core.cog import OnProgress, Pixels, ShouldStop
from core.errors import InputError
from core.georeference import pixel_size
from core.prepare import About
from core.text import N_, filled
from core.workspace import Area, Kind, Layer, Workspace, crs_name


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence on what is or was done. `text` holds `{names}` that `values` fills."""

    text: str
    values: dict[str, Any] = field(default_factory=dict)

    def message(self, translate: Callable[[str], str] = str) -> str:
        """Return the sentence, passed through `translate` first."""
        return filled(self.text, self.values, translate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would come out of an operation."""

    operation: str
    crs: str
    """`EPSG:…` or WKT."""
    width: int
    height: int
    resolution: tuple[float, float]
    """Width and height of a pixel in units of the CRS."""
    dtype: str
    num_bytes: int
    """Unpacked; the layer's file is usually a good deal smaller."""
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an operation made."""

    area: Area
    layer: Layer
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """An operation whose sources are open and whose output is known."""

    pixels: Pixels
    inputs: list["Input"]
    notes: list[Note] = field(default_factory=list)
    begin: Callable[[OnProgress, ShouldStop], Pixels] | None = None
    """Work that has to be done before the first window can be asked for."""
    begin_share: float = 0.0
    outcome: Callable[[], list[Note]] = list
    """Sentences that are known only once all windows have been read."""


class Input(Protocol):
    """Something that an operation reads."""

    @property
    def facts(self) -> dict[str, Any]:
        """What the provenance keeps of it: `name`, and `layer` where it is one."""

    def digest(self) -> str:
        """Return the SHA-256 of its bytes."""


class Operation(Protocol):
    """One way of making a layer. Refuses parameters that make no sense when it is made."""

    @property
    def name(self) -> str:
        """The operation's name, as it stands in the layer's steps."""

    def making(
        self, workspace: Workspace, area_id: str, kind: Kind
    ) -> AbstractContextManager[Making]:
        """Open the sources and say what would come out; reads headers only."""


def plan(workspace: Workspace, area_id: str, operation: Operation, kind: Kind) -> Plan:
    """Return what would come out of an operation, in well under a second.

    Raises:
        AppError: Whatever would be refused by `run` and can be known beforehand.
    """
    with operation.making(workspace, area_id, kind) as making:
        pixels = making.pixels
        prepare.check_fits(workspace, area_id, pixels)
        return Plan(
            operation=operation.name,
            crs=crs_name(pixels.place.crs),
            width=pixels.place.width,
            height=pixels.place.height,
            resolution=pixel_size(pixels.place.transform),
            dtype=pixels.dtype.name,
            num_bytes=pixels.num * pixels.dtype.itemsize,
            notes=tuple(making.notes),
        )


def run(
    workspace: Workspace,
    area_id: str,
    operation: Operation,
    about: About,
    *,
    on_progress: OnProgress = prepare.no_progress,
    should_stop: ShouldStop = prepare.never,
) -> Done:
    """Make a layer, or replace the one of the same id that is none of the sources.

    The layer's `source` names the inputs with their digests; its `steps` begin with those of a
    single input and say what was done.

    Args:
        workspace: Where the area is.
        area_id: The area.
        operation: What to do.
        about: What the new layer is.
        on_progress: Called with a share from 0 to 1 and a word on what is done.
        should_stop: Asked after each block; True ends the work and changes nothing.

    Raises:
        InputError, CrsError, ExtentError: The parameters or the sources do not fit.
        RefusedFileError: See `rasters.open_raster` and `features.open_features`.
        TooLargeError: The raster is above the limit, or there is no room on the disk.
        StoppedError: `should_stop` said so.
    """
    with operation.making(workspace, area_id, about.kind) as making:
        prepare.check_fits(workspace, area_id, making.pixels)
        _check_not_source(making, about)
        on_progress(0.0, N_("Computing the digest"))
        inputs = [{**entry.facts, "sha256": entry.digest()} for entry in making.inputs]
        if len(inputs) == 1:  # its steps begin those of the new layer
            inputs[0].pop("steps", None)
        share = making.begin_share
        pixels = making.pixels
        if making.begin:
            pixels = making.begin(lambda done, text: on_progress(share * done, text), should_stop)
        origin = {
            "name": ", ".join(entry["name"] for entry in inputs)[:200],
            "operation": operation.name,
            "inputs": inputs,
        }
        area = prepare.add_made(
            workspace,
            area_id,
            pixels,
            about,
            origin=origin,
            on_progress=lambda done, text: on_progress(share + (1 - share) * done, text),
            should_stop=should_stop,
        )
        notes = (*making.notes, *making.outcome())
    return Done(area=area, layer=area.layer(about.layer_id), notes=notes)


def _check_not_source(making: Making, about: About) -> None:
    if any(entry.facts.get("layer") == about.layer_id for entry in making.inputs):
        raise InputError(
            N_("Layer {layer} cannot be made from itself."),
            hint=N_("Give the new layer another id; delete the old one afterwards if you like."),
            layer=about.layer_id,
        )
