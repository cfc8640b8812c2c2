"""What is kept of a set that was cut: its description, and what a careful reader should know."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from core import store
from core.chips.blocks import TEST, TRAIN
from core.chips.channels import stored_dtype
from core.chips.material import Material
from core.chips.options import SPLITS
from core.chips.plan import Plan
from core.chips.sets import SetInfo, split_counts
from core.chips.tables import Row
from core.chips.under import Surroundings
from core.record import code_version
from core.text import N_
from core.workspace import crs_name, now

Note = tuple[str, dict[str, Any]]
"""A template and its values."""
_STEPS_A_CHIP = 8
_HARDLY = 1.05


def describe(
    set_id: str,
    plan: Plan,
    material: Material,
    around: Surroundings,
    rows: Sequence[Row],
    *,
    turned_down: int,
    pixels: Path,
) -> SetInfo:
    """Return the description of a set whose pixels lie in a file."""
    options = plan.options
    down, across = plan.side_m
    cover = around.cover.legend if around.cover else ()
    return SetInfo(
        id=set_id,
        created=now(),
        made="cut",
        count=len(rows),
        splits=split_counts([row.split for row in rows]),
        sizes=options.sizes,
        side_m=float(np.sqrt(down * across)),
        dtype="uint8" if stored_dtype(material.channels) == np.uint8 else "uint16",
        channels=material.channels,
        crs=crs_name(material.sources[0].place.crs),
        area=around.area.id if around.area else "",
        cover=tuple(asdict(entry) for entry in cover),
        sources=material.facts,
        options={**asdict(options), **_block_facts(plan)},
        notes=tuple(_notes(plan, material, rows, turned_down)),
        code=code_version(),
        digest=store.file_digest(pixels),
        num_bytes=pixels.stat().st_size,
    )


def _block_facts(plan: Plan) -> dict[str, Any]:
    blocks = plan.blocks
    if blocks is None:
        return {}
    rows, cols = blocks.is_test.shape
    side = plan.side_m[0] / plan.shapes[0][0] * blocks.height_px
    return {"block_m": side, "blocks": [rows, cols], "test_blocks": int(blocks.is_test.sum())}


def _notes(plan: Plan, material: Material, rows: Sequence[Row], turned_down: int) -> Iterator[Note]:
    """Tell what a careful reader should know of the set."""
    wanted = plan.wanted()
    for split in (TRAIN, TEST):
        count, have = wanted[split], sum(row.split == SPLITS[split] for row in rows)
        if count is not None and have < count:
            yield (
                N_("Only {have:,} of {count:,} chips for {split} could be found."),
                {"have": have, "count": count, "split": SPLITS[split]},
            )
        if plan.blocks is not None and have == 0:
            yield N_("No chip is for {split}."), {"split": SPLITS[split]}
    if turned_down:
        yield (
            N_("{count:,} places were passed over for missing pixels."),
            {"count": turned_down},
        )
    times = _times_covered(plan, rows)
    if times > 1:
        yield (
            N_("Chips overlap: a pixel of the ground they cover is in {times:.1f} of them."),
            {"times": times},
        )
    gaps = sum(row.valid < 1 for row in rows)
    if gaps:
        yield (
            N_("{count:,} chips have missing pixels, filled with the chip's own mean."),
            {"count": gaps},
        )
    if len(material.sources) > 1 and plan.blocks is None:
        yield N_("Several files, and no split by place: test chips cannot be told apart."), {}


def _times_covered(plan: Plan, rows: Sequence[Row]) -> float:
    """Return in how many chips of its source a pixel is, on average over the pixels in any."""
    total = covered = 0.0
    for number, (place, shape) in enumerate(zip(plan.places, plan.shapes, strict=True)):
        windows = [row.window for row in rows if row.source == number]
        if not windows:
            continue
        # On a lattice of 8 cells to a chip's side: near enough for one figure.
        step = max(1, min(shape) // _STEPS_A_CHIP)
        counts = np.zeros((place.height // step + 2, place.width // step + 2), np.int32)
        for window in windows:
            top, left = round(window.row_off / step), round(window.col_off / step)
            counts[top : top + shape[0] // step, left : left + shape[1] // step] += 1
        total += float(counts.sum())
        covered += float(np.count_nonzero(counts))
    times = total / covered if covered else 0.0
    return times if times >= _HARDLY else 1.0
