from dataclasses import replace

import pytest
import torch

from core.errors import InputError
from models import progressive
from models.config import RunConfig
from models.data import Feeder
from models.engine import engine
from models.plan import Best, Plan
from models.presets import preset
from models.progressive import alpha_at, corrected, depth_of_fit, fitting_batch, further
from models.sets import ArrayChips
from models.style_config import StyleAdversary, StyleNetworks, widths
from models.style_task import StyleTask, at_depth, training_styles, turned
from models.stylegan import style_networks
from models.train import Draws, Memory, train
from tests.models.small import chips
from tests.models.style import TINY, shared, style_run
from tests.models.test_train import Log, figures


class Given:
    """Hands out latents and noise that were recorded."""

    def __init__(self, z, noises):
        self.z, self.noises, self.taken = z, list(noises), 0

    def normal(self, *shape):
        if len(shape) == 3:
            return torch.stack([self.z, self.z])
        noise = self.noises[self.taken]
        self.taken += 1
        assert noise.shape[2:] == shape[2:]
        return noise.expand(shape[0], -1, -1, -1)

    def uniform(self, *shape):
        return torch.ones(*shape)


def repeated(dtype, threads=1):
    """Repeat the recorded steps; return the task, the recording, how far losses lie apart."""
    saved = torch.load(shared("trajectory_logistic.pt"), weights_only=True)
    across = widths(16, base=512, most=32)
    shape = StyleNetworks(
        size_px=16, latent=512, mapping=(64, 512), widths=across, critic_widths=across,
        critic_head=(32, 32),
    )  # fmt: skip
    config = StyleAdversary(mixing=0.0, psi=0.0)
    task = StyleTask(shape, config, engine("cpu", "float32", threads, exact=True), seed=0)
    task.generator.load_state_dict(saved["init"]["gen"], strict=False)
    task.average.load_state_dict(saved["init"]["gen"], strict=False)
    task.critic.load_state_dict(saved["init"]["dis"])
    for network in (task.generator, task.average, task.critic):
        network.to(dtype)
    noises = [noise.to(dtype) for noise in saved["noises"].values()]
    apart = []
    for step in saved["steps"]:
        task.depth, task.alpha = step["depth"], step["alpha"]
        real = step["real_u8"].to(dtype) / 255 * 2 - 1
        shown = at_depth(real, task.depth, task.alpha, top=2)
        assert (shown - step["down_sampled"]).abs().max() < 1e-6
        found = task.step(real, Given(step["z"].to(dtype), noises), 0.003)
        apart.append(abs(found["critic"].item() - step["d_loss"]))
        apart.append(abs(found["generator"].item() - step["g_loss"]))
    return task, saved, apart


def test_the_recorded_steps_were_made_with_the_settings_that_a_run_has():
    saved = torch.load(shared("trajectory_logistic.pt"), weights_only=True)
    default, made = StyleAdversary(), saved["config"]
    assert [step["depth"] for step in saved["steps"]] == [0, 0, 1, 1, 2, 2]
    assert (made["ema"], made["clip_grad_norm_gen"]) == (default.ema, default.clip_norm)
    assert (made["opt"]["beta_1"], made["opt"]["beta_2"]) == default.betas
    document = preset("stylegan", "document", size_px=64, channels=3)
    assert made["opt"]["learning_rate"] == document.training.lr


def test_six_steps_of_the_reference_come_out_as_recorded():
    """In double precision: every loss within 1e-4, every tensor within 5 % of its way.

    The first block begins with the same number everywhere; its norm enlarges what rounding leaves
    of that, and Adam steps in the direction of noise: the first bias alone goes ways of its own.
    The mapping's weights are hundreds of times their use; of what they move in the moving average,
    a thousandth of that, single precision recorded half.
    """
    task, saved, apart = repeated(torch.double)
    assert max(apart) < 1e-4
    noise = "g_synthesis.init_block.bias"
    rounded = {"g_mapping.map.dense0.weight", "g_mapping.map.dense1.weight"}
    for network, name, but in (
        (task.critic, "dis", set()),
        (task.generator, "gen", {noise}),
        (task.average, "shadow", {noise, *rounded}),
    ):
        own, begin = network.state_dict(), saved["init"]["dis" if name == "dis" else "gen"]
        for key, value in saved["final"][name].items():
            way = (value - begin[key]).norm()
            assert key in but or (own[key] - value).norm() <= 0.05 * way, (name, key)
        for key in rounded & but:
            assert (own[key] - saved["final"][name][key]).abs().max() < 5e-4


def test_five_steps_of_the_reference_come_out_in_single_precision_too():
    """In which people train. How far the noise of rounding has led by then depends on the
    processor and on the number of threads: all six lie within 2e-5 where both are the recording's.
    """
    assert min(max(repeated(torch.float, threads)[2][:10]) for threads in (1, 2)) < 5e-4


@pytest.mark.parametrize("keep", [None, 0.9])
def test_the_mean_style_moves_as_at_two_passes_of_the_reference(keep):
    """mean <- 0.995 mean + 0.005 w at each of the two; both see the same first latent."""
    config = StyleAdversary(psi=0.0) if keep is None else StyleAdversary(psi=0.0, mean_keep=keep)
    generator, _ = style_networks(TINY, seed=0)
    generator.truncation.avg_latent.normal_(generator=torch.Generator().manual_seed(1))
    z = torch.randn(4, TINY.latent, generator=torch.Generator().manual_seed(2))
    first, expected = generator.g_mapping(z)[0], generator.truncation.avg_latent.clone()
    for _ in range(2 if keep is None else 1):
        share = 0.995 if keep is None else keep
        expected = share * expected + (1 - share) * first
    training_styles(generator, z, z, first=2, layers=2, config=config)
    assert torch.allclose(generator.truncation.avg_latent, expected, atol=1e-6)


def test_the_published_fade_by_hand():
    """t / int(share · steps) from the first step on, 1 from then on; the lowest depth is there."""
    adversary, plan = StyleAdversary(), Plan((2, 4), (3, 2))
    found = [alpha_at(plan.place(step), TINY, adversary) for step in range(plan.total)]
    assert found == [1.0] * 6 + [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0]
    fixed = replace(adversary, structure="fixed")
    assert {alpha_at(plan.place(step), TINY, fixed) for step in range(plan.total)} == {1.0}


def test_fits_beyond_the_last_depth_train_it_on_without_fading():
    adversary, plan = StyleAdversary(), Plan((1, 1, 1, 1), 4)
    assert [depth_of_fit(fit, TINY, adversary) for fit in range(4)] == [0, 1, 2, 2]
    assert alpha_at(plan.place(12), TINY, adversary) == 1.0
    assert depth_of_fit(0, TINY, replace(adversary, start_depth=1)) == 1
    assert depth_of_fit(0, TINY, replace(adversary, structure="fixed")) == 2


@pytest.mark.parametrize(
    ("asked", "given"), [(2, 2), (3, 3), (4, 4), (5, 4), (7, 4), (9, 8), (128, 128)]
)
def test_a_batch_fits_the_groups_of_the_discriminator(asked, given):
    assert fitting_batch(asked, 4) == given


def test_a_batch_that_does_not_fit_is_corrected_with_a_word(tmp_path):
    config = style_run(tmp_path, batch=6, batches=(9, 8, 6))
    fitted, notes = corrected(config)
    assert fitted.training.batches == (8, 8, 4)
    assert [template.format(**values) for template, values in notes] == [
        "Fit 1 takes batches of 8 pictures, not 9: the discriminator compares them in groups of 4.",
        "Fit 3 takes batches of 4 pictures, not 6: the discriminator compares them in groups of 4.",
    ]
    assert corrected(fitted) == (fitted, [])


@pytest.mark.parametrize(
    ("fits", "adversary", "told"),
    [
        ((1, 1, 1), {}, []),
        ((1, 1), {}, ["Epochs are given for 2 of 3 depths: the run ends at 8 px, not at 16."]),
        (
            (1, 1, 1, 1),
            {},
            ["Epochs are given for 4 fits, and there are 3 depths: the fits after that train the"
             " full size of 16 px on."],
        ),
        ((1, 1), {"start_depth": 1}, []),
        ((1,), {"start_depth": 1}, ["Epochs are given for 1 of 2 depths: the run ends at 8 px, not"
                                    " at 16."]),
        ((1, 1), {"structure": "fixed"}, []),
    ],
)  # fmt: skip
def test_more_or_fewer_fits_than_depths_come_with_a_word(tmp_path, fits, adversary, told):
    config = style_run(tmp_path, fits=fits, batches=(8,))
    config = replace(config, adversary=replace(config.adversary, **adversary))
    assert [template.format(**values) for template, values in corrected(config)[1]] == told


@pytest.mark.parametrize(
    ("fits", "structure", "told"),
    [
        ((1, 1), "linear", "The further epochs train 8 px, the next size; the full size is 16 px."),
        ((1, 1, 1), "linear", "The further epochs train 16 px, the next size; the full size is 16"
                              " px."),
        ((1, 1, 1, 1), "linear", "The further epochs train the full size of 16 px on."),
        ((1, 1), "fixed", "The further epochs train the full size of 16 px on."),
    ],
)  # fmt: skip
def test_one_more_fit_says_what_it_trains(tmp_path, fits, structure, told):
    (note,) = further(style_run(tmp_path, fits=fits, structure=structure))
    assert note[0].format(**note[1]) == told


def test_mirrored_and_turned_pictures_come_with_a_word_on_shadows(tmp_path):
    config = style_run(tmp_path, flips=True)
    assert corrected(config)[1] == [(progressive.SHADOWS, {})]


def test_settings_of_a_stylegan_come_back_from_json(tmp_path):
    config = style_run(tmp_path)
    assert RunConfig.from_body(config.body()) == config
    begun = config.body()
    begun["adversary"]["mean_keep"] = 0.995  # what runs were begun with before
    assert RunConfig.from_body(begun).adversary.mean_keep == 0.995
    with pytest.raises(InputError, match="not those of the model wgan"):
        replace(config, model="wgan")


def test_real_pictures_of_a_depth_are_means_mixed_with_the_depth_below():
    real = torch.arange(16.0).view(1, 1, 4, 4)
    small = at_depth(real, 0, 1.0, top=1)
    assert torch.equal(small, torch.tensor([[[[2.5, 4.5], [10.5, 12.5]]]]))
    half = at_depth(real, 1, 0.25, top=1)
    expected = 0.25 * real + 0.75 * small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.allclose(half, expected)


def test_turned_pictures_are_quarters_of_the_same():
    real = torch.rand(64, 1, 4, 4)
    out = turned(real, Draws(0))
    kinds = [
        next(k for k in range(4) if torch.equal(one, picture.rot90(k, (1, 2))))
        for one, picture in zip(out, real, strict=True)
    ]
    assert set(kinds) == {0, 1, 2, 3}


def parts(**adversary):
    place = engine("cpu", "float32")
    config = style_run_training()
    task = StyleTask(TINY, StyleAdversary(penalty=0.1, ema=0.9, **adversary), place, seed=0)
    batch = [config.batch_of(fit) for fit in range(len(config.fits))]
    feeder = Feeder(ArrayChips(chips(40, size=16)), batch=batch, seed=0, engine=place)
    return task, feeder, config, Memory(Draws(0), Best("recommended", is_distance=False))


def style_run_training():
    from models.config import TrainConfig

    return TrainConfig(
        fits=(1, 1, 2), batch=4, batches=(8, 8, 4), lr=1e-3, schedule="constant", samples=4,
        log_every=3, flips=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "adversary",
    [
        {},
        {"penalty_every": 4},
        {"objective": "hinge"},
        {"objective": "relativistic-hinge", "turns": True},
        {"structure": "fixed"},
    ],
    ids=lambda one: "-".join(map(str, one.values())) or "logistic",
)
@pytest.mark.parametrize("stop_after", [3, 8, 13])
def test_a_run_broken_off_in_any_depth_goes_on_to_the_bit(adversary, stop_after):
    """Row 19: losses, weights and figures of the rest equal those of the unbroken run."""
    whole_task, feeder, config, memory = parts(**adversary)
    whole = Log()
    assert train(whole_task, feeder, config, memory, whole) == "finished"
    assert memory.step == 5 + 5 + 20

    first_task, feeder, config, memory = parts(**adversary)
    first = Log(stop_after=stop_after)
    assert train(first_task, feeder, config, memory, first) == "stopped"
    weights = {k: v.clone() for k, v in first_task.weights().items()}
    state = {k: v.clone() for k, v in first_task.state().items()}
    task_notes, notes, draws = first_task.notes(), memory.notes(), memory.draws.state().clone()

    second_task, feeder, config, memory = parts(**adversary)
    second_task.load_weights(weights)
    second_task.load_state(state)
    second_task.load_notes(task_notes)
    memory.load(notes, draws)
    second = Log()
    assert train(second_task, feeder, config, memory, second) == "finished"
    assert figures(first.rows + second.rows) == figures(whole.rows)
    for name, value in whole_task.weights().items():
        assert torch.equal(second_task.weights()[name], value), name


def test_images_are_counted_by_the_batch_of_each_depth():
    task, feeder, config, memory = parts()
    log = Log()
    train(task, feeder, config, memory, log)
    assert log.rows[-1]["images"] == 5 * 8 + 5 * 8 + 20 * 4


def test_the_moving_average_takes_the_mean_style_over():
    task, feeder, config, memory = parts()
    train(task, feeder, config, memory, Log())
    mean = task.generator.truncation.avg_latent
    assert mean.abs().sum() > 0
    assert torch.equal(task.average.truncation.avg_latent, mean)


def test_layers_of_depths_to_come_do_not_change_yet():
    task, feeder, _, _ = parts()
    before = {k: v.clone() for k, v in task.generator.state_dict().items()}
    with feeder.batches(epoch=0, first=0) as batches:
        task.step(next(iter(batches)), Draws(0), 1e-3)
    after = task.generator.state_dict()
    moved = {k for k in before if not torch.equal(before[k], after[k])}
    assert any(k.startswith("g_synthesis.init_block") for k in moved)
    assert not [k for k in moved if ".blocks." in k or "to_rgb.1" in k or "to_rgb.2" in k]


def test_sheets_show_the_same_latents_with_the_same_noise():
    task, _, _, _ = parts()
    z = Draws(3).normal(5, 8)
    first = task.sample(z)
    assert torch.equal(first, task.sample(z))
    assert torch.allclose(first[:2], task.sample(z[:2]), atol=1e-5)
    assert first.shape == (5, 1, 4, 4)
