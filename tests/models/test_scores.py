"""The discriminator's opinion: piece by piece as at once."""

import numpy as np
import pytest
import torch

from core.errors import InputError
from models import scores
from models.data import as_pictures
from tests.models.small import chips
from tests.models.style import TINY, lively, reference, shared


@pytest.fixture
def files(tmp_path):
    """Return a discriminator, its file, and what writes pictures to another."""
    _, critic = lively(TINY)
    torch.save(critic.state_dict(), tmp_path / "GAN_DIS_2_1.pth")

    def written(pictures):
        np.save(tmp_path / "pictures.npy", pictures)
        return tmp_path / "GAN_DIS_2_1.pth", tmp_path / "pictures.npy"

    return critic, written


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 44, 45, 64])
def test_scores_in_pieces_are_those_of_all_at_once(files, monkeypatch, count):
    """Of any number: groups of 4, 3, 2 and 1, with a piece left over at the end."""
    critic, written = files
    pictures = chips(count, size=8)
    whole = critic(as_pictures(torch.from_numpy(pictures)), depth=1, alpha=0.3).flatten()
    for at_once in (1, 8 * 64, 20 * 64, 1 << 30):
        monkeypatch.setattr(scores, "_PIXELS_AT_ONCE", at_once)
        found = scores.score_file(*written(pictures), alpha=0.3)
        assert found.dtype == np.float32
        assert np.abs(found - whole.numpy()).max() < 1e-5


def test_as_many_pictures_go_through_at_a_time_as_there_is_room_for(files, monkeypatch):
    _, written = files
    monkeypatch.setattr(scores, "_PIXELS_AT_ONCE", 64 * 16 * 16)
    inner, seen = scores.StyleDiscriminator.forward, []

    def counted(self, pictures, **at):
        seen.append(len(pictures))
        return inner(self, pictures, **at)

    monkeypatch.setattr(scores.StyleDiscriminator, "forward", counted)
    assert len(scores.score_file(*written(chips(1000, size=16)))) == 1000
    assert seen == [64] * 15 + [40]
    seen.clear()
    scores.score_file(*written(chips(1000, size=4)))
    assert seen == [1000]


@pytest.mark.parametrize("batch", [4, 8])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_scores_of_the_references_file_are_the_references(tmp_path, monkeypatch, batch, alpha):
    monkeypatch.setattr(scores, "_PIXELS_AT_ONCE", 1)  # one group at a time
    saved = reference()["dis"][4, batch]
    np.save(tmp_path / "pictures.npy", saved["images_u8"].numpy())
    found = scores.score_file(
        shared("r64_tiny_GAN_DIS_4_1.pth"), tmp_path / "pictures.npy", alpha=alpha
    )
    assert np.abs(found - saved[alpha].flatten().numpy()).max() < 1e-5


@pytest.mark.parametrize(
    "pictures",
    [
        np.zeros((0, 1, 8, 8), np.uint8),
        np.zeros((4, 1, 9, 9), np.uint8),
        np.zeros((4, 3, 8, 8), np.uint8),
        np.zeros((4, 1, 8, 8), np.float64),
        np.zeros((4, 1, 8), np.uint8),
    ],
    ids=["none", "size", "channels", "kind", "flat"],
)
def test_pictures_that_a_discriminator_cannot_take_are_refused(files, pictures):
    with pytest.raises(InputError, match="takes"):
        scores.score_file(*files[1](pictures))
