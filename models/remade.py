"""A figure from its settings alone: those that a page holds and that a saved file tells.

So nothing larger than a few numbers has to be kept for a figure that may be saved later.
"""

from pathlib import Path
from typing import Any

from models import figures
from models.figures import Figure
from models.generate import Look
from models.latents import Latents, kept_latents, of_seeds
from models.loaded import Loaded


def figure_of(model: Loaded, told: dict[str, Any], root: Path) -> Figure:
    """Return the figure of settings as `exports.settings_of` reads them.

    Args:
        model: The generator.
        told: Its command, look, seeds and more.
        root: The workspace, where kept latents lie.

    Raises:
        InputError, TooLargeError: The model cannot make it, or not so many pictures.
    """
    command, look = told["command"], Look(**told["look"])
    size = model.networks.latent
    if command == "mixing":
        return figures.mixing(
            model, of_seeds(told["src"], size), of_seeds(told["dst"], size), told["layers"], look,
            source_psis=told["src_psi"], destination_psis=told["dst_psi"],
        )  # fmt: skip
    z = latents_of(told, size, root)
    if command == "truncation":
        return figures.truncation(model, z, told["psis"], look)
    if command == "walk":
        return figures.walk(model, z, look, frames=told["frames"])
    if command == "sum":
        return figures.combined(model, z, told["weights"], look)
    if command == "depths":
        return figures.depths(model, z[0], look)
    return figures.grid(model, z, look, columns=told.get("columns", 0))


def latents_of(told: dict[str, Any], size: int, root: Path) -> Latents:
    """Return the latents (n, size) of settings: of their seeds, or of a file that is kept.

    Raises:
        InputError: Too many seeds, or the file is not there or of another size.
    """
    if told.get("latents"):
        return kept_latents(root, told["latents"], size)[0]
    return of_seeds(told["seeds"], size)
