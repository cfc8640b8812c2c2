"""The models that come with the program: small, whole, with a card, and of use."""

import numpy as np
import pytest

from core import store
from core.chips.display import is_classes
from models import catalogue, generate, latents, loaded, measured
from models.generate import Look

# Of 600 of the chips that each was trained on: means of what is measured of pictures.
TRAINED_ON = {
    "aerial-64": {"brightness": 107.3 / 255, "edges": 0.269, "green": 0.304},
    "land-cover-64": {
        "class Tree canopy": 0.136,
        "class Grass and shrub": 0.373,
        "class Buildings": 0.205,
        "class Roads and rail": 0.137,
        "class Other paved": 0.114,
        "borders": 0.309,
    },
}


@pytest.fixture(params=sorted(TRAINED_ON))
def entry(request, tmp_path):
    return catalogue.entry(tmp_path, f"shipped/{request.param}")


def test_the_models_are_first_in_the_list_and_small(tmp_path):
    found = catalogue.entries(tmp_path)
    assert [one.id for one in found] == [f"shipped/{name}" for name in sorted(TRAINED_ON)]
    files = [path for path in catalogue.SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 20e6


def test_the_weights_are_those_that_were_handed_on(entry):
    assert store.file_digest(entry.folder / "weights.safetensors") == entry.digest
    assert (entry.networks.size_px, entry.depth, entry.alpha) == (64, 4, 1.0)


def test_the_card_says_data_licence_steps_figures_and_seed(entry):
    card = entry.card
    assert card["licence"] == "CC0-1.0"
    assert card["data_facts"]["area"] == "chicago-simulated"
    assert len(card["data_facts"]["digest"]) == 64
    assert card["steps"] > 5000
    assert card["seed"] == 1
    assert {"swd_mean", "diversity", "nearest_ratio"} <= set(card["figures"])
    # Copies of training chips would lie far nearer to them than chips held back do.
    assert card["figures"]["nearest_ratio"] > 0.5
    assert card["figures"]["diversity"] > 0.6


def test_pictures_hold_what_the_chips_hold(entry, tmp_path):
    """Shares of classes or bands over many seeds lie near those of the chips."""
    model = loaded.load(entry.folder, device="cpu", threads=1)
    seeds = latents.of_seeds(range(64), entry.networks.latent)
    made = generate.as_bytes(generate.grid(model, seeds, Look(psi=1.0)))
    channels = catalogue.channels_of(entry, tmp_path)
    assert is_classes(channels) == (entry.id == "shipped/land-cover-64")
    found = measured.measures(made, channels)
    for name, mean in TRAINED_ON[entry.folder.name].items():
        scale = 255 if name == "brightness" else 1
        assert float(np.mean(found[name])) / scale == pytest.approx(mean, abs=0.1), name
