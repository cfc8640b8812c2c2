"""Numbers as people read them: sizes, times, lengths, values."""

import math

from ui.language import _


def size_text(num_bytes: float) -> str:
    """Write a file size: 820 B, 14 kB, 3.2 MB, 1.4 GB."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= scale:
            value = num_bytes / scale
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
    return f"{num_bytes:.0f} B"


def left_text(seconds: float | None) -> str:
    """Write the time a job still needs: "about 20 s left"; nothing where it is not known."""
    if seconds is None:
        return ""
    if seconds < 90:
        rounded = 5 * math.ceil(max(seconds, 1) / 5)
        return _("about {seconds} s left").format(seconds=rounded)
    return _("about {minutes} min left").format(minutes=round(seconds / 60))


def value_text(value: float | None, unit: str = "") -> str:
    """Write a value with its unit, rounded for reading to four significant figures."""
    if value is None or not math.isfinite(value):
        return _("missing")
    if value == int(value) and abs(value) < 1e7:
        text = f"{int(value):,}"
    elif 1e-3 <= abs(value) < 1e7:
        digits = max(0, 3 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{digits}f}"
    else:
        text = f"{value:.3g}"
    return f"{text} {unit}".strip()


def share_text(share: float) -> str:
    """Write a share as a percentage; a small one never reads as none."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{100 * share:.0f} %" if share in (0, 1) else f"{100 * share:.1f} %"


def area_text(km2: float) -> str:
    """Write an area: 4.2 km², 606 km²."""
    return f"{km2:,.0f} km²" if km2 >= 100 else f"{km2:.3g} km²"
