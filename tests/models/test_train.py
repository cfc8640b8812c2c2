import math

import pytest
import torch

from core.errors import InputError, JobError
from models.adversary import Adversary
from models.config import TrainConfig
from models.data import Feeder
from models.engine import engine
from models.plan import Best
from models.sets import ArrayChips
from models.train import Draws, Memory, train
from tests.models.small import OBJECTIVES, TRAINING, chips, networks


class Log:
    """Keeps what the loop tells; stops, saves and goes on as asked."""

    def __init__(self, stop_after=None):
        self.rows, self.sampled, self.measured, self.saved = [], [], [], []
        self.stop_after, self.steps = stop_after, 0
        self.kept = {}

    def should_stop(self):
        self.steps += 1
        return self.steps == self.stop_after

    def row(self, row):
        self.rows.append(row)

    def sample(self, step):
        self.sampled.append(step)

    def measure(self, step):
        self.measured.append(step)

    def checkpoint(self, memory, *, is_best):
        self.saved.append((memory.step, is_best))


def parts(kind="dcgan", *, precision="float32", **training):
    config = TrainConfig(**{
        **{name: getattr(TRAINING, name) for name in TRAINING.__slots__}, **training
    })  # fmt: skip
    place = engine("cpu", precision)
    task = Adversary(networks(kind), OBJECTIVES[kind], place, seed=0)
    feeder = Feeder(ArrayChips(chips()), batch=config.batch, seed=config.seed, engine=place)
    memory = Memory(
        Draws(config.seed), Best(config.better, OBJECTIVES[kind].objective == "wasserstein")
    )
    return task, feeder, config, memory


def figures(rows):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.mark.parametrize(
    ("kind", "precision"), [*((kind, "float32") for kind in OBJECTIVES), ("wgan", "bfloat16")]
)
def test_a_run_broken_off_and_restored_goes_on_to_the_bit(kind, precision):
    """Row 19: losses, weights and figures of the rest equal those of the unbroken run."""
    whole_task, feeder, config, memory = parts(kind, precision=precision, flips=True)
    whole = Log()
    assert train(whole_task, feeder, config, memory, whole) == "finished"

    first_task, feeder, config, memory = parts(kind, precision=precision, flips=True)
    first = Log(stop_after=7)
    assert train(first_task, feeder, config, memory, first) == "stopped"
    assert first.saved[-1] == (7, False)
    weights = {k: v.clone() for k, v in first_task.weights().items()}
    state = {k: v.clone() for k, v in first_task.state().items()}
    task_notes, notes, draws = first_task.notes(), memory.notes(), memory.draws.state().clone()

    second_task, feeder, config, memory = parts(kind, precision=precision, flips=True)
    second_task.load_weights(weights)
    second_task.load_state(state)
    second_task.load_notes(task_notes)
    memory.load(notes, draws)
    second = Log()
    assert train(second_task, feeder, config, memory, second) == "finished"
    assert figures(first.rows + second.rows) == figures(whole.rows)
    for name, value in whole_task.weights().items():
        assert torch.equal(second_task.weights()[name], value), name


def test_figures_do_not_depend_on_how_often_a_checkpoint_is_written():
    logs = []
    for every in (1, 4):
        task, feeder, config, memory = parts(checkpoint_every=every)
        logs.append(Log())
        train(task, feeder, config, memory, logs[-1])
    assert figures(logs[0].rows) == figures(logs[1].rows)


def test_intervals_are_kept_and_the_ends_told():
    # 44 chips in batches of 8: 5 steps an epoch, 10 in all.
    task, feeder, config, memory = parts(sample_every=4, measure_every=0, checkpoint_every=4)
    log = Log()
    train(task, feeder, config, memory, log)
    assert [row["step"] for row in log.rows] == [3, 5, 6, 9, 10]
    assert [row["step"] for row in log.rows if row.get("ends_epoch")] == [5, 10]
    assert log.sampled == [4, 8, 10]
    assert log.measured == [5, 10]
    assert [step for step, _ in log.saved] == [4, 8, 10]


def test_a_longer_run_begins_as_the_shorter_one_and_each_fit_starts_anew():
    rows = []
    for fits in ((1,), (1, 1)):
        task, feeder, config, memory = parts("wgan", fits=fits, schedule="one-cycle", log_every=1)
        log = Log()
        train(task, feeder, config, memory, log)
        rows.append(figures(log.rows))
    assert rows[1][:5] == rows[0]
    first, second = rows[1][0], rows[1][5]
    assert first["lr"] == second["lr"] == pytest.approx(1e-3 / 25)
    assert second["fit"] == 1
    assert second["critic_smooth"] == pytest.approx(second["critic"])  # smoothing started anew


@pytest.mark.parametrize("name", ["critic", "generator", "critic_gradient"])
def test_what_is_no_number_stops_the_run_before_anything_is_saved(name):
    """A gradient counts too: the weights that it would make must not be saved."""
    task, feeder, config, memory = parts(checkpoint_every=2, log_every=100)
    step = task.step

    def fails(real, draws, rate):
        found = step(real, draws, rate)
        if memory.step == 4:
            found[name] = torch.tensor(math.nan if name == "critic" else math.inf)
        return found

    task.step = fails
    log = Log()
    with pytest.raises(JobError, match="no longer numbers"):
        train(task, feeder, config, memory, log)
    assert [at for at, _ in log.saved] == [2, 4]


def test_in_float16_a_run_gets_over_the_steps_in_which_its_scale_is_found():
    _, feeder, config, memory = parts()
    task = Adversary(networks("dcgan"), OBJECTIVES["dcgan"], engine("cpu", "float16"), seed=0)
    # Gradients overflow at first.
    task._scaler.load_state_dict({**task._scaler.state_dict(), "scale": 2.0**24})
    log = Log()
    assert train(task, feeder, config, memory, log) == "finished"
    assert log.rows[0]["critic_gradient"] < log.rows[-1]["critic_gradient"]
    assert task.notes()["scaler"]["scale"] < 2.0**24


def test_the_best_epoch_of_each_fit_is_saved():
    task, feeder, config, memory = parts(
        "wgan", fits=(2, 2), better="document", checkpoint_every=1000, log_every=1000
    )
    log = Log()
    train(task, feeder, config, memory, log)
    best = [row["step"] for row in log.rows if row["is_best"]]
    assert 5 in best  # the first epoch of a fit always is, by the document's rule
    assert 15 in best
    assert [step for step, is_best in log.saved if is_best] == best


@pytest.mark.parametrize(
    "wrong",
    [{"fits": ()}, {"fits": (0,)}, {"batch": 1}, {"lr": 0.0}, {"log_every": -1}, {"samples": 1}],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(InputError):
        TrainConfig(**wrong)
