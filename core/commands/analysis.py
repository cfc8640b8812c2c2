"""The later steps of `area run`: clusters, hot spots of two seasons, the cozy zone."""

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from core import cluster_steps, cozy_steps, store
from core.clusters.stability import advice, suggested
from core.clusters.sweep import Range
from core.errors import InputError
from core.quadrat_table import Options, QuadratTable, Step
from core.quadrats import to_frame
from core.text import N_
from core.workspace import Area, Workspace


@dataclass(slots=True)
class Done:
    """What the later steps add to the record of a run."""

    steps: list[Step] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    labels: NDArray[np.int32] | None = None
    frames: dict[str, gpd.GeoDataFrame] = field(default_factory=dict)
    """By step: squares with what it found."""


def cluster_step(
    args: argparse.Namespace,
    space: Workspace,
    area: Area,
    made: QuadratTable,
    options: Options,
    done: Done,
) -> None:
    """Sweep over k, choose one, and write `clusters.parquet`."""
    begun = time.perf_counter()
    low, high, step = span_of(args.ks)
    named = [name.strip() for name in (args.factors or "").split(",") if name.strip()]
    layers = {layer.id for layer in area.layers}
    chosen = cluster_steps.ClusterOptions(
        columns=tuple(name for name in named if name not in layers),
        layers=tuple(name for name in named if name in layers),
        span=Range(smallest=low, largest=high, step=step),
        seed=args.seed,
        threads=args.threads,
    )
    found = cluster_steps.clusters(space, area, made, options, chosen)
    k, said = args.k, None
    if k is None:  # a k that was asked for needs no reruns
        firm = cluster_steps.cluster_stability(space, area, made, options, chosen)
        k = suggested(found.sweep.ks, firm, found.quality.calinski_harabasz)
        said = advice(k, found.sweep.ks, firm).message()
    labels = found.sweep.of(k).astype(np.int32)
    frame = to_frame(made.lattice).assign(cluster=labels)
    done.labels = labels
    done.frames["clusters"] = frame
    done.outputs.append(str(_written(space, area, frame, "clusters.parquet")))
    seconds = time.perf_counter() - begun
    done.steps.append(Step("clusters", seconds, area.method, found.is_cached, found.digest))
    left_out = cluster_steps.factors(area, made.normalised(options), chosen).left_out
    done.warnings += [left.message() for left in left_out]
    done.facts["clusters"] = {
        "k": k,
        "ks": list(found.sweep.ks),
        "sizes": np.bincount(labels).tolist(),
        "columns": list(found.columns),
        "advice": said,
    }


def cozy_step(
    args: argparse.Namespace,
    space: Workspace,
    area: Area,
    made: QuadratTable,
    options: Options,
    done: Done,
) -> None:
    """Find hot spots of both seasons and the zone, and write `cozy.parquet`."""
    chosen = cozy_steps.Options(
        summer=args.summer,
        winter=args.winter,
        weights=args.weights,
        permutations=args.permutations,
        level=args.level,
        correction=args.correction,
        zeros_stay=args.zeros_stay,
        seed=args.seed,
        threads=args.threads,
    )
    found = cozy_steps.cozy_zone(space, area, made, chosen, options)
    done.steps += found.steps
    under = None
    if done.labels is not None and found.zone.count:
        begun = time.perf_counter()
        under = cozy_steps.under_zone(area, made, found, done.labels, chosen)
        path = space.folder(area.id) / "under.csv"
        with store.atomic_path(path) as tmp:
            under.to_csv(tmp)
        done.outputs.append(str(path))
        done.steps.append(Step("under", time.perf_counter() - begun, "surrogates", False, ""))
    frame = cozy_steps.cozy_frame(made, found, groups=done.labels, under=under)
    done.frames["cozy"] = frame
    done.outputs.append(str(cozy_steps.write_cozy(space, area, frame)))
    done.facts["cozy"] = cozy_steps.summary(found)


def span_of(text: str) -> tuple[int, int, int]:
    """Read `2-50` or `2-50:4`.

    Raises:
        InputError: It is neither.
    """
    span, _, step = text.partition(":")
    low, _, high = span.partition("-")
    try:
        return int(low), int(high or low), int(step or 1)
    except ValueError:
        raise InputError(
            N_("{text!r} is no range of k."),
            hint=N_("Write it as 2-50, or 2-50:4 for every fourth."),
            text=text[:40],
        ) from None


def _written(space: Workspace, area: Area, frame: gpd.GeoDataFrame, name: str) -> Path:
    path = space.folder(area.id) / name
    with store.atomic_path(path) as tmp:
        frame.to_parquet(tmp)
    return path
