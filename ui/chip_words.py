"""What channels, scales and splits of chips are called, and what is drawn of them."""

from collections.abc import Sequence

from core.chips.channels import Channel
from core.chips.display import is_classes
from core.chips.sets import SetInfo
from core.text import N_
from core.workspace import Area
from ui.language import _
from ui.layer_words import layer_title
from ui.quantities import value_text

TRAIN_COLOUR, TEST_COLOUR = "#2166AC", "#D95F02"
SPLIT_COLOURS = {"train": TRAIN_COLOUR, "test": TEST_COLOUR}
_NAMES = {
    "red": N_("Red"),
    "green": N_("Green"),
    "blue": N_("Blue"),
    "nir": N_("Near infrared"),
    "grey": N_("Grey"),
}


def split_names() -> dict[str, str]:
    """Return the splits and their visible names."""
    return {"train": _("Train"), "test": _("Test")}


def channel_name(channel: Channel, area: Area | None = None) -> str:
    """Return the name of a channel; one that is a layer of the area is called as the layer is."""
    if channel.kind == "class":
        return _(channel.name)
    if channel.name in _NAMES:
        return _(_NAMES[channel.name])
    layers = {layer.id: layer_title(layer) for layer in area.layers} if area else {}
    if channel.name in layers:
        return layers[channel.name]
    if channel.name == f"band {channel.band + 1}":
        return _("Band {number}").format(number=channel.band + 1)
    return channel.name


def channels_text(channels: Sequence[Channel], area: Area | None = None) -> str:
    """Write the channels of a set in one line: at most five names."""
    if is_classes(channels):
        return _("{count} classes").format(count=len(channels))
    names = [channel_name(channel, area) for channel in channels]
    more = _("{count} more").format(count=len(names) - 5)
    return ", ".join(names[:5] + ([more] if len(names) > 5 else []))


def band_choices(channels: Sequence[Channel], area: Area | None = None) -> dict[str, str]:
    """Return what can be drawn of a set: ids and visible names, the best first."""
    names = [channel.name for channel in channels]
    found: dict[str, str] = {}
    if is_classes(channels):
        found["classes"] = _("Classes")
    elif {"red", "green", "blue"} <= set(names):
        found["natural"] = _("Natural colours")
        if "nir" in names:
            found["infrared"] = _("Infrared false colour")
    elif sum(channel.kind == "image" for channel in channels) >= 3:
        found["natural"] = _("First three bands")
    text = _("Only {channel}")
    for number, channel in enumerate(channels):
        found[str(number)] = text.format(channel=channel_name(channel, area))
    return found


def bands_of(chosen: str, channels: Sequence[Channel]) -> tuple[int, ...]:
    """Return the numbers of the channels to draw; none: what the set looks best in."""
    names = [channel.name for channel in channels]
    if chosen == "infrared" and {"nir", "red", "green"} <= set(names):
        return tuple(names.index(name) for name in ("nir", "red", "green"))
    if chosen.isdecimal() and int(chosen) < len(channels):
        return (int(chosen),)
    return ()


def scale_text(info: SetInfo, size_px: int) -> str:
    """Write one size of the pyramid with what a pixel means: "16 px · 4 m a pixel"."""
    metres = info.metres_per_pixel(size_px)
    if metres is None:
        return _("{px} px").format(px=size_px)
    return _("{px} px · {metres} m a pixel").format(px=size_px, metres=metres_text(metres))


def metres_text(metres: float) -> str:
    """Write a length on the ground, rounded to what it is known to."""
    return value_text(float(f"{metres:.3g}"))


def shown_size(info: SetInfo, chosen: int) -> int:
    """Return the size to draw chips at: the chosen one, else the largest of at most 128 px."""
    if chosen in info.sizes:
        return chosen
    return max((size for size in info.sizes if size <= 128), default=info.sizes[0])


def cover_name(info: SetInfo, code: int) -> str:
    """Return the name of a class of land cover."""
    names = {entry["code"]: str(entry["name"]) for entry in info.cover}
    return _(names[code]) if code in names else str(code)


def cover_colour(info: SetInfo, code: int) -> str:
    """Return the colour of a class of land cover; grey where it has none."""
    colours = {entry["code"]: str(entry["colour"]) for entry in info.cover}
    return colours.get(code) or "#D9DEDE"


def warning_names() -> dict[str, str]:
    """Return the warnings and their visible names."""
    return {
        "blurred": _("Little detail"),
        "alike": _("Nearly like another"),
        "across": _("Alike in train and test"),
        "gaps": _("Missing pixels"),
    }
