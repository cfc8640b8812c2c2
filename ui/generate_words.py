"""What depths, layers and scales are called on the Generate page."""

import html
import math
from collections.abc import Collection, Sequence

from core.chips.channels import Channel
from core.text import N_
from models.catalogue import Entry
from models.progressive import size_of_depth
from ui.chip_words import channel_name
from ui.language import _
from ui.quantities import value_text
from ui.theme import ACCENT

_AT_SCALE = (
    (1, N_("road markings, litter bins, people")),
    (4, N_("cars, single plants")),
    (8, N_("paths, single trees, equipment on roofs")),
    (16, N_("detached houses, groups of trees, city roads")),
    (32, N_("larger buildings, car parks, pocket parks")),
    (64, N_("large buildings, sports grounds, stretches of green")),
    (128, N_("small blocks, small parks, tree canopy")),
    (256, N_("stadiums, blocks, parks")),
)
"""Metres and what is about as large, as the study has it."""


def scale_words(metres: float | None) -> str:
    """Return what is about as large on the ground; nothing where the scale is not known."""
    if metres is None or metres <= 0:
        return ""
    _size, words = min(_AT_SCALE, key=lambda pair: (abs(math.log2(pair[0] / metres)), -pair[0]))
    return _(words)


def metres_at(entry: Entry, depth: int, given: float | None) -> float | None:
    """Return the ground length of a pixel at a depth; `given` stands in for an unknown one."""
    known = entry.metres_at(depth)
    if known is not None or given is None:
        return known
    return given * float(2 ** (entry.networks.depths - 1 - depth))


def depth_words(entry: Entry, depth: int, given: float | None) -> str:
    """Write a depth with its size and scale: 3 · 32 px · 2 m a pixel."""
    text = f"{depth} · {size_of_depth(depth)} px"
    metres = metres_at(entry, depth, given)
    if metres is None:
        return text
    return f"{text} · " + _("{metres} m a pixel").format(metres=value_text(metres))


def strip_html(
    entry: Entry, depth: int, given: float | None, chosen: Collection[int], *, says: str
) -> str:
    """Return the layers up to a depth as a strip, coarse to fine, the chosen ones marked."""
    boxes = []
    for at in range(depth + 1):
        layers = (2 * at, 2 * at + 1)
        marks = "".join(
            f'<b class="{"on" if layer in chosen else "off"}">{layer}</b>' for layer in layers
        )
        metres = metres_at(entry, at, given)
        scale = f"{size_of_depth(at)}\xa0px"
        scale += f" · {value_text(metres)}\xa0m" if metres is not None else ""
        words = html.escape(scale_words(metres))
        boxes.append(f"<div>{marks}<i>{html.escape(scale)}</i><span>{words}</span></div>")
    return (
        f'{_STRIP}<div class="ups-strip" role="img" aria-label="{html.escape(says)}">'
        f"{''.join(boxes)}</div>"
    )


def classes_html(channels: Sequence[Channel]) -> str:
    """Return the legend of the classes that a model draws; nothing where it draws none."""
    boxes = [
        f'<span><i style="background:{html.escape(one.colour)}"></i>'
        f"{html.escape(channel_name(one))}</span>"
        for one in channels
        if one.kind == "class" and one.colour
    ]
    return f'{_CLASSES}<div class="ups-classes">{"".join(boxes)}</div>' if boxes else ""


_CLASSES = """<style>
.ups-classes { display: flex; flex-wrap: wrap; gap: .2rem .9rem; font-size: .8rem; }
.ups-classes span { display: inline-flex; align-items: center; gap: .35rem; }
.ups-classes i { width: 13px; height: 13px; border-radius: 2px; box-shadow: 0 0 0 1px #0003; }
</style>"""
_STRIP = f"""<style>
.ups-strip {{ display: flex; gap: 2px; margin: -1.4rem 0 .6rem; }}
.ups-strip > div {{ flex: 1 1 0; min-width: 0; font-size: .74rem; line-height: 1.2;
  border-top: 1px solid #8886; padding-top: 3px; }}
.ups-strip b {{ display: inline-block; width: calc(50% - 2px); margin-right: 2px; padding: 2px 0;
  text-align: center; font-weight: 600; }}
.ups-strip b.on {{ background: {ACCENT}; color: #fff; }}
.ups-strip b.off {{ background: #8882; }}
.ups-strip i {{ display: block; font-style: normal; font-weight: 600; margin-top: 3px; }}
.ups-strip i, .ups-strip span {{ padding-right: 4px; }}
.ups-strip span {{ display: block; overflow-wrap: anywhere; }}
</style>"""
