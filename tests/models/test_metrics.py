import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from core.errors import InputError
from models.metrics import (
    diversity,
    nearest_chips,
    nearest_other,
    radial_spectrum,
    sliced_wasserstein,
    wasserstein_1d,
)
from models.sets import ArrayChips


def ground(num, seed, size=64, sigma=3.0, channels=3):
    """Return smooth random fields as pictures."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((num, channels, size, size))
    smooth = gaussian_filter(noise, (0, 0, sigma, sigma))
    return np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def swd(real, fake, **how):
    return sliced_wasserstein(real, fake, rng=np.random.default_rng(0), **how)


def test_a_set_is_at_no_distance_from_itself_and_far_from_noise():
    real = ground(32, 0)
    assert [one.distance for one in swd(real, real)] == [0, 0, 0]
    noise = np.random.default_rng(1).integers(0, 256, real.shape, dtype=np.uint8)
    near, far = swd(real, ground(32, 1)), swd(real, noise)
    # The coarsest scale holds little but each picture's mean: few pictures say little there.
    assert all(f.distance > 2 * n.distance for n, f in zip(near[:2], far[:2], strict=True))


def test_scales_go_down_to_16_pixels_and_are_told_in_metres():
    scales = swd(ground(4, 0), ground(4, 1), metres_per_px=0.6)
    assert [one.size_px for one in scales] == [64, 32, 16]
    assert [one.metres for one in scales] == pytest.approx([0.6, 1.2, 2.4])


def test_a_missing_fine_detail_shows_at_the_fine_scale_alone():
    rng = np.random.default_rng(3)
    base = ground(48, 0, sigma=8)
    speckled = np.clip(base + rng.integers(-25, 26, base.shape), 0, 255).astype(np.uint8)
    other = np.clip(ground(48, 5, sigma=8) + rng.integers(-25, 26, base.shape), 0, 255).astype(
        np.uint8
    )
    smooth = swd(speckled, gaussian_filter(other, (0, 0, 1.0, 1.0)))
    like = swd(speckled, other)
    assert smooth[0].distance > 2 * like[0].distance
    assert smooth[-1].distance == pytest.approx(like[-1].distance, rel=0.05)


def test_the_distance_of_one_direction_is_scipys():
    """One patch element a picture, one direction: a plain 1-D earth mover's distance."""
    from models import metrics

    rng = np.random.default_rng(0)
    ours, theirs = rng.standard_normal((200, 1)), rng.standard_normal((200, 1)) + 1
    apart = np.abs(np.sort(ours, axis=0) - np.sort(theirs, axis=0)).mean()
    assert apart == pytest.approx(metrics.wasserstein_1d(ours, theirs))


def test_sets_that_cannot_be_compared_are_refused():
    with pytest.raises(InputError, match="one shape"):
        swd(ground(4, 0), ground(4, 0, channels=1))
    with pytest.raises(InputError, match="at least two"):
        swd(ground(1, 0), ground(4, 0))


def test_diversity_is_one_for_its_own_kind_and_nought_for_one_picture():
    rng = np.random.default_rng(0)
    real = ground(64, 0)
    assert diversity(real, ground(64, 1), rng=rng) == pytest.approx(1, abs=0.1)
    assert diversity(real, np.repeat(real[:1], 64, axis=0), rng=rng) == 0
    assert diversity(real, np.repeat(real[:2], 32, axis=0), rng=rng) == pytest.approx(0.5, abs=0.1)


def test_diversity_by_hand():
    # Real: two pictures 10 apart; generated: two pictures 5 apart.
    real = np.array([0, 10], np.uint8).reshape(2, 1, 1, 1)
    fake = np.array([20, 25], np.uint8).reshape(2, 1, 1, 1)
    assert diversity(real, fake, rng=np.random.default_rng(0)) == pytest.approx(0.5)
    assert np.isnan(diversity(fake[[0, 0]], fake, rng=np.random.default_rng(0)))


def test_the_nearest_chip_is_brute_forces():
    chips, wanted = ground(700, 0, size=32, channels=1), ground(9, 1, size=32, channels=1)
    found = nearest_chips(wanted, ArrayChips(chips))
    apart = np.sqrt(
        np.square(wanted[:, None].astype(float) - chips[None].astype(float)).mean(axis=(2, 3, 4))
    )
    assert np.array_equal(found.indices, apart.argmin(axis=1)[:, None])
    assert found.distances == pytest.approx(apart.min(axis=1)[:, None])
    few = nearest_chips(wanted, ArrayChips(chips), count=5)
    assert np.array_equal(few.indices, apart.argsort(axis=1, kind="stable")[:, :5])
    assert few.distances == pytest.approx(np.sort(apart, axis=1)[:, :5])
    assert nearest_chips(wanted, ArrayChips(chips[:3]), count=5).indices.shape == (9, 3)


def test_a_repeated_chip_is_at_no_distance():
    chips = ground(300, 0, size=32)
    found = nearest_chips(chips[[5, 299]], ArrayChips(chips))
    assert found.indices.tolist() == [[5], [299]]
    assert found.distances.tolist() == [[0], [0]]


def test_the_distance_between_chips_leaves_the_chip_itself_out():
    values = np.array([0, 4, 100, 103], np.uint8).reshape(4, 1, 1, 1)
    found = nearest_other(ArrayChips(values), num=4, rng=np.random.default_rng(0))
    assert sorted(found.tolist()) == pytest.approx([3, 3, 4, 4])


@pytest.mark.parametrize("waves", [3, 8, 20])
def test_a_wave_stands_at_its_own_frequency(waves):
    x = np.arange(64)
    wave = 128 + 100 * np.sin(2 * np.pi * waves * x / 64)
    pictures = np.broadcast_to(wave, (2, 1, 64, 64)).round().astype(np.uint8)
    spectrum = radial_spectrum(pictures)
    assert spectrum.shape == (33,)
    assert spectrum[1:].argmax() + 1 == waves
    assert spectrum[0] == pytest.approx((128 / 255) ** 2, rel=0.01)


def test_smooth_pictures_have_less_power_in_short_waves():
    rough, smooth = radial_spectrum(ground(8, 0, sigma=1)), radial_spectrum(ground(8, 0, sigma=4))
    assert smooth[25:].sum() < 0.05 * rough[25:].sum()


def test_the_documents_examples_of_the_earth_movers_distance():
    from scipy.stats import wasserstein_distance

    values = np.arange(5)
    assert wasserstein_distance(values, values, [3, 5, 2, 1, 3], [2, 3, 4, 5, 0]) == (
        pytest.approx(0.5714285714285714)
    )
    p, q = np.repeat([0, 1, 2], [1, 2, 1]), np.repeat([3, 4, 5], [1, 2, 1])
    assert wasserstein_1d(p.astype(float), q.astype(float)) == pytest.approx(3.0)
