"""The work that runs as jobs: a request of plain JSON in, an outcome of plain JSON out."""

from pathlib import Path
from typing import Any

from core import intake, prepare
from core.errors import InputError
from core.jobs import Report, ShouldStop, Work
from core.legends import LegendClass
from core.text import N_, as_json
from core.workspace import Workspace

_PREVIEWS = 12
"""Small pictures that a search fetches by itself."""


def add_layer(config: dict[str, Any], report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Bring a raster into a study area; the upload it came from is deleted afterwards.

    `config` holds `workspace`, `area`, `source` (a path, or an address with `outside`),
    `source_name`, `band`, `crs`, `nodata` and the fields of `prepare.About`.
    """
    space = Workspace(Path(config["workspace"]))
    about = _about(config)
    reading: dict[str, Any] = {
        "band": config["band"],
        "crs": config["crs"],
        "nodata": _number(config["nodata"]),
    }
    if config["outside"]:
        prepare.add_remote(space, config["area"], config["source"], about, **reading)
    else:
        source = Path(config["source"])
        prepare.add_raster(
            space,
            config["area"],
            source,
            about,
            **reading,
            source_name=config["source_name"],
            on_progress=report,
            should_stop=should_stop,
        )
        intake.discard_upload(space.root, source)
    return {"area": config["area"], "layer": config["layer_id"]}


def make_layer(config: dict[str, Any], report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Make a layer out of layers and files; uploads among them are deleted afterwards.

    `config` holds `workspace`, `area`, `operation` (a name), `parameters` (see the operation's
    class), `uploads` (paths) and the fields of `prepare.About`. The outcome holds `notes`: pairs
    of a template and its values.
    """
    from core.operations.catalogue import operation_from
    from core.operations.making import run

    space = Workspace(Path(config["workspace"]))
    done = run(
        space,
        config["area"],
        operation_from(config["operation"], config["parameters"]),
        _about(config),
        on_progress=report,
        should_stop=should_stop,
    )
    for upload in config.get("uploads", ()):
        intake.discard_upload(space.root, Path(upload))
    notes = [[note.text, as_json(note.values)] for note in done.notes]
    return {"area": config["area"], "layer": config["layer_id"], "notes": notes}


def default_area(config: dict[str, Any], report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Make the simulated area, then its quadrats, clusters and cozy zone by the defaults.

    So a newcomer finds something on every page. `config` holds `workspace`, `area` and `seed`.
    The area is whole after the first part; what comes after it can be cancelled without harm.
    """
    from core.simulate.area import make_simulated_area

    area = make_simulated_area(
        Workspace(Path(config["workspace"])),
        config["area"],
        seed=config["seed"],
        on_progress=_part(report, 0, 0.6),
        should_stop=should_stop,
    )
    analysed = {"workspace": config["workspace"], "area": area.id}
    parts: tuple[tuple[Work, float, float, str], ...] = (
        (quadrats, 0.6, 0.7, N_("Summing up the layers in every square")),
        (cozy_zone, 0.7, 0.8, N_("Looking for hot and cold spots")),
        (clusters, 0.8, 1, N_("Sweeping over the numbers of clusters")),
    )
    for work, first, last, text in parts:
        report(first, text)
        work(analysed, _part(report, first, last, text), should_stop)
    return {"area": area.id}


def quadrats(config: dict[str, Any], report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Sum every layer up in the quadrats; `config` holds `workspace`, `area`, `options`."""
    from core.quadrat_table import Options, quadrat_table, write_quadrats

    space = Workspace(Path(config["workspace"]))
    area = space.area(config["area"])
    options = Options(**_tuples(config.get("options", {})))
    made = quadrat_table(space, area, options, on_progress=report, should_stop=should_stop)
    write_quadrats(space, area, made)
    return {"area": area.id, "quadrats": len(made.lattice), "digest": made.digest}


def _about(config: dict[str, Any]) -> prepare.About:
    return prepare.About(
        layer_id=config["layer_id"],
        title=config["title"],
        kind=config["kind"],
        role=config["role"],
        season=config["season"],
        unit=config["unit"],
        colormap=config["colormap"],
        legend=tuple(LegendClass(*row) for row in config["legend"]),
        replaces=config.get("replaces"),
    )


def cozy_zone(config: dict[str, Any], report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Find hot spots of both seasons and the cozy zone of an area; writes its `cozy.parquet`.

    `config` holds `workspace`, `area`, and the fields of `cozy_steps.Options` and of
    `quadrat_table.Options` that are to differ, as `options` and `quadrats`.
    """
    from core import cozy_steps, quadrat_table

    space = Workspace(Path(config["workspace"]))
    area = space.area(config["area"])
    options = cozy_steps.Options(**config.get("options", {}))
    quadrats = quadrat_table.Options(**_tuples(config.get("quadrats", {})))
    made = quadrat_table.quadrat_table(
        space,
        area,
        quadrats,
        on_progress=lambda share, text: report(0.5 * share, text),
        should_stop=should_stop,
    )
    found = cozy_steps.cozy_zone(
        space,
        area,
        made,
        options,
        quadrats,
        on_progress=lambda share, text: report(0.5 + 0.4 * share, text),
        should_stop=should_stop,
    )
    stability = cozy_steps.zone_stability(
        space, area, made, options, quadrats, should_stop=should_stop
    )
    frame = cozy_steps.cozy_frame(made, found, stability=stability)
    cozy_steps.write_cozy(space, area, frame)
    return {"area": area.id, **cozy_steps.summary(found)}


def clusters(config: dict[str, Any], report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Sweep over the quadrats of an area and find out how firm each k is; both are kept.

    `config` holds `workspace`, `area`, and what differs from the defaults in `quadrats` (fields of
    `quadrat_table.Options`) and `clusters` (fields of `cluster_steps.ClusterOptions`, with `span`
    as [smallest, largest, step]). `reruns` of 0 leaves the second part out.
    """
    from core import cluster_steps
    from core.clusters.sweep import Range
    from core.quadrat_table import Options, quadrat_table

    space = Workspace(Path(config["workspace"]))
    area = space.area(config["area"])
    of_quadrats = Options(**_tuples(config.get("quadrats", {})))
    chosen = dict(config.get("clusters", {}))
    low, high, step = chosen.pop("span", (2, 50, 1))
    span = Range(smallest=low, largest=high, step=step)
    options = cluster_steps.ClusterOptions(**_tuples(chosen), span=span)

    made = quadrat_table(
        space, area, of_quadrats, on_progress=_part(report, 0, 0.3), should_stop=should_stop
    )
    given = (space, area, made, of_quadrats, options)
    found = cluster_steps.clusters(
        *given, on_progress=_part(report, 0.3, 0.5), should_stop=should_stop
    )
    if options.reruns:
        cluster_steps.cluster_stability(
            *given, on_progress=_part(report, 0.5, 1), should_stop=should_stop
        )
    return {"area": area.id, "digest": found.digest, "ks": list(found.sweep.ks)}


def cut_chips(config: dict[str, Any], report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Cut a set of chips.

    `config` holds `workspace`, and `request` with the fields of `chips.requests.Request` that are
    to differ from the defaults, its `options` those of `chips.options.CutOptions`. Uploads among
    its files stay: more may be cut from them, and places looked at.
    """
    from core.chips import requests
    from core.chips.options import CutOptions

    space = Workspace(Path(config["workspace"]))
    chosen = _tuples(config["request"])
    options = CutOptions(**chosen.pop("options", {}))
    request = requests.Request(**chosen, options=options)
    info = requests.run(space, request, on_progress=_part(report, 0, 1), should_stop=should_stop)
    return {"set": info.id, "count": info.count, "notes": [list(note) for note in info.notes]}


def import_chips(config: dict[str, Any], report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Take in a folder of images or an IDX file as a set of chips.

    `config` holds `workspace`, `out` (the set), `source` (a path), and if need be `size_px`,
    `labels` (a path) and `replace`. Uploads are deleted afterwards.
    """
    from core.chips.imports import import_set

    space = Workspace(Path(config["workspace"]))
    source = Path(config["source"])
    labels = config.get("labels")
    info = import_set(
        space,
        config["out"],
        source,
        size_px=config.get("size_px"),
        labels=Path(labels) if labels else None,
        is_replaced=bool(config.get("replace", False)),
        on_progress=_part(report, 0, 1),
        should_stop=should_stop,
    )
    for upload in (source, *([Path(labels)] if labels else [])):
        intake.discard_upload(space.root, upload)
    return {"set": info.id, "count": info.count, "notes": [list(note) for note in info.notes]}


def export_chips(config: dict[str, Any], report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Write a set of chips as image files, or as one zip of them.

    `config` holds `workspace`, `set`, and what differs from the defaults of
    `chips.export.export_set` as `options`; and `folder`, or nothing for a zip below `exports/` of
    the workspace, whose path the outcome then holds as `archive`.
    """
    from core.chips.export import export_set, export_zip
    from core.chips.sets import ChipSets

    root = Path(config["workspace"])
    chips = ChipSets(root).open(config["set"])
    given: dict[str, Any] = {
        **config.get("options", {}),
        "on_progress": _part(report, 0, 1),
        "should_stop": should_stop,
    }
    outcome: dict[str, Any] = {}
    if "folder" in config:
        done = export_set(chips, Path(config["folder"]), **given)
        outcome["outputs"] = [str(path) for path in done.outputs]
    else:
        done = export_zip(chips, root, **given)
        outcome["archive"] = str(done.outputs[0])
    notes = [list(note) for note in done.notes]
    return {"set": chips.info.id, "files": done.num_files, "notes": notes, **outcome}


def search_imagery(
    config: dict[str, Any], report: Report, should_stop: ShouldStop
) -> dict[str, Any]:
    """Ask a catalogue for images of an area, keep the answer, fetch the first small pictures.

    `config` holds `workspace`, `area`, `outside`, and `query`: fields of `kept.Query`. The outcome
    holds the id of the `search` that is kept, and how many entries were `found` and `refused`.
    """
    from core.connectors import items, kept, previews
    from core.connectors.search import search
    from core.connectors.signing import catalogue_of

    space, area = Workspace(Path(config["workspace"])), config["area"]
    query = kept.Query(**_tuples(config["query"]))
    catalogue = catalogue_of(query.catalogue)
    boundary = prepare.boundary_lonlat(space, area)
    report(0.0, N_("Asking {catalogue}"), catalogue=catalogue.title)
    results = search(
        boundary,
        catalogue=catalogue,
        collection=query.collection,
        asset=query.asset,
        dates=query.dates,
        outside=config["outside"],
        should_stop=should_stop,
    )
    search_id = kept.keep(space, area, query, results)
    first = items.suggested(results.found, boundary)
    others = (image for image in results.found if image not in first)
    shown = [image for image in (*first, *others) if image.thumbnail][:_PREVIEWS]
    count = len(shown)

    def tell(done: int) -> None:
        text = N_("Small pictures: {done} of {count}")
        report(0.5 + 0.5 * done / count, text, done=done, count=count)

    if shown:
        tell(0)
    previews.fetch_previews(
        space, area, shown, catalogue=catalogue, outside=config["outside"], on_done=tell,
        should_stop=should_stop,
    )  # fmt: skip
    return {
        "area": area,
        "search": search_id,
        "found": len(results.found),
        "refused": len(results.refused),
    }


def image_layer(config: dict[str, Any], report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Make one band of a fetched image a layer, with where it comes from and its licence.

    `config` holds `workspace`, `area`, `collection` and `key` of the image, `band`, and the fields
    of `prepare.About`.
    """
    from core.connectors import shelf

    space = Workspace(Path(config["workspace"]))
    image = shelf.image_of(space, config["area"], config["collection"], config["key"])
    shelf.add_image(
        space, config["area"], image, _about(config), band=config["band"], on_progress=report,
        should_stop=should_stop,
    )  # fmt: skip
    return {"area": config["area"], "layer": config["layer_id"]}


def fetch_imagery(
    config: dict[str, Any], report: Report, should_stop: ShouldStop
) -> dict[str, Any]:
    """Fetch images of a catalogue into an area.

    `config` holds `workspace`, `area`, `catalogue` (an address), `licence`, `outside`, and `found`:
    images as `items.to_row` writes them. The outcome holds the `images` that are there and the
    `failed`, each with `id`, `problem`, `hint` and `values`.
    """
    from core.connectors import imagery, items
    from core.connectors.signing import catalogue_of

    done = imagery.fetch(
        Workspace(Path(config["workspace"])),
        config["area"],
        [items.from_row(row) for row in config["found"]],
        catalogue=catalogue_of(config["catalogue"]),
        licence=config.get("licence", ""),
        outside=config["outside"],
        on_progress=report,
        should_stop=should_stop,
    )
    return {
        "area": config["area"],
        "images": [f"{image.collection}/{image.key}" for image in done.images],
        "failed": [
            {"id": row.image.id, "problem": row.problem, "hint": row.hint, "values": row.values}
            for row in done.failures
        ],
        "received": done.received,
    }


def fetch_layers(config: dict[str, Any], report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Fetch layers for an area and bring them in.

    `config` holds `workspace`, `area`, `catalogue` (an address), `outside`, and `wishes`: fields
    of `layers.Wish`. The outcome holds ids of the layers `made` and `there`, and the `missed`, each
    with `recipe`, `problem`, `hint` and `values`, and `notes`: pairs of a template and its values.
    """
    from dataclasses import asdict

    from core.connectors import layers
    from core.connectors.signing import catalogue_of

    done = layers.fetch_layers(
        Workspace(Path(config["workspace"])),
        config["area"],
        [layers.Wish(**_tuples(row)) for row in config["wishes"]],
        catalogue=catalogue_of(config["catalogue"]),
        outside=config["outside"],
        on_progress=report,
        should_stop=should_stop,
    )
    return {
        "area": config["area"],
        "made": list(done.made),
        "there": list(done.there),
        "missed": [asdict(row) for row in done.missed],
        "notes": [list(note) for note in done.notes],
        "received": done.received,
    }


def _part(report: Report, first: float, last: float, text: str = "") -> Report:
    """Return what reports a part of the work as shares from `first` to `last` of the whole.

    Each report is a file, flushed to the disk: steps of less than a hundredth are passed over.
    """
    told = -1.0

    def tell(share: float, detail: str, /, **values: object) -> None:
        nonlocal told
        whole = first + (last - first) * share
        if whole >= told + 0.01:
            told = whole
            if text:
                report(whole, text)
            else:
                report(whole, detail, **values)

    return tell


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }


def _number(text: str | float | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(
            N_("{text!r} is no number."),
            hint=N_("Give the value of missing pixels as a number, such as -9999."),
            text=str(text)[:40],
        ) from None
