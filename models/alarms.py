"""What goes wrong in a run, in words, with what to try. Pure functions of a run's rows.

Each alarm names the step since when it holds. The threshold of collapse was set on small runs that
learnt and on one made to fail; the others are rules of thumb. They warn, they stop nothing (a loss
that is no number stops the run by itself).
"""

from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from core.text import N_, sentences
from models.config import Row

_COLLAPSED = 0.25
"""Diversity below which samples are called alike."""
_VARIED = 0.5
"""Diversity that healthy runs reach."""
_GROWN = 6
"""Measurements after which a generator should have reached it."""
_CLIPPED = 0.5
_FLAT = 0.02
_FLAT_EPOCHS = 5
_VANISHED = 1e-3
_USUAL_ROWS = 5
_COPIED = 0.5
_PATIENCE = 2


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is wrong: a template as in `AppError`, to be filled with `values`."""

    kind: str
    problem: str
    hint: str
    step: int
    values: dict[str, object] = field(default_factory=dict)

    def message(self, translate: Callable[[str], str] = str) -> str:
        """Return problem and hint as one text."""
        return sentences(self.problem, self.hint, self.values, translate)


def alarms(rows: Sequence[Row]) -> list[Alarm]:
    """Return what is wrong with a run now, the gravest first."""
    checks = (collapse, saturation, vanishing, memorising)
    return [alarm for check in checks if (alarm := check(rows)) is not None]


def collapse(rows: Sequence[Row]) -> Alarm | None:
    """Samples are nearly the same picture, after they were not, or still after six measurements.

    A new generator makes one picture too: that is no collapse yet.
    """
    since = _lasting(rows, "diversity", lambda value: value < _COLLAPSED)
    if since is None:
        return None
    values = [row["diversity"] for row in rows if row.get("diversity") is not None]
    if max(values) < _VARIED and len(values) < _GROWN:
        return None
    return Alarm(
        "collapse",
        N_(
            "The generator makes nearly the same picture again and again: two of its samples are"
            " only {share:.0%} as far apart as two real pictures."
        ),
        N_(
            "Go back to a checkpoint before step {step} and try a smaller learning rate, a larger"
            " batch, or another model (WGAN-GP)."
        ),
        since["step"],
        {"share": values[-1], "step": since["step"]},
    )


def saturation(rows: Sequence[Row]) -> Alarm | None:
    """The critic stands at its limit and its estimate no longer moves: it has no more to teach."""
    ends = [row for row in rows if row.get("ends_epoch") and row.get("critic_smooth") is not None]
    clipped = next((row for row in reversed(rows) if row.get("clipped") is not None), None)
    if clipped is None or clipped["clipped"] < _CLIPPED or len(ends) <= _FLAT_EPOCHS:
        return None
    still = _still(ends)
    if len(still) <= _FLAT_EPOCHS:
        return None
    return Alarm(
        "saturation",
        N_("The critic has reached its weight limit: {share:.0%} of its weights stand at it, and"
           " the estimated distance has stayed at {distance:.3g} for {epochs} epochs."),
        N_("The estimate is the limit's, no longer the pictures'. Try a larger limit, or WGAN-GP,"
           " which needs none."),
        still[0]["step"],
        {
            "share": clipped["clipped"], "distance": -ends[-1]["critic_smooth"],
            "epochs": len(still) - 1,
        },
    )  # fmt: skip


def _still(ends: Sequence[Row]) -> Sequence[Row]:
    """Return the newest epochs in which the estimate has not moved by more than 2 %."""
    lowest = highest = ends[-1]["critic_smooth"]
    first = len(ends) - 1
    for at in range(len(ends) - 2, -1, -1):
        loss = ends[at]["critic_smooth"]
        lowest, highest = min(lowest, loss), max(highest, loss)
        reach = max(abs(lowest), abs(highest))
        if not reach or highest - lowest > _FLAT * reach:
            break
        first = at
    return ends[first:]


def vanishing(rows: Sequence[Row]) -> Alarm | None:
    """The generator's gradient is tiny beside what it was: the critic gives no direction.

    What was usual is the median of all rows before that are not tiny themselves, five at least.
    """
    before: list[float] = []
    low: list[Row] = []
    for row in rows:
        size = row.get("generator_gradient")
        if size is None:
            continue
        usual = before[len(before) // 2] if len(before) >= _USUAL_ROWS else 0.0
        if size < _VANISHED * usual:
            low.append(row)
        else:
            insort(before, size)
            low = []
    if len(low) < _PATIENCE:
        return None
    return Alarm(
        "vanishing",
        N_("The generator hardly learns any more: its gradient has shrunk to {share:.1e} of its"
           " usual size."),
        N_("The critic tells all pictures apart with certainty. Try fewer critic steps, a smaller"
           " learning rate for both, or least squares in place of BCE."),
        low[0]["step"], {"share": low[-1]["generator_gradient"] / usual},
    )  # fmt: skip


def memorising(rows: Sequence[Row]) -> Alarm | None:
    """Samples lie nearer to training chips than these to each other: they are being repeated.

    Blurred pictures lie near to everything: only varied samples count.
    """
    varied = [row for row in rows if (row.get("diversity") or 0.0) >= _VARIED]
    since = _lasting(varied, "nearest_ratio", lambda value: value < _COPIED)
    if since is None:
        return None
    return Alarm(
        "memorising",
        N_(
            "The generator repeats training pictures: its samples lie at {share:.0%} of the"
            " distance that these keep from their nearest."
        ),
        N_("Train on more pictures, mirror them, or stop at the checkpoint before step {step}."),
        since["step"],
        {"share": since["nearest_ratio"], "step": since["step"]},
    )


def _lasting(rows: Sequence[Row], name: str, is_bad: Callable[[float], bool]) -> Row | None:
    """Return the row since which a measure has been bad without a break, at least twice."""
    bad: list[Row] = []
    for row in rows:
        value = row.get(name)
        if value is not None:
            bad = [*bad, row] if is_bad(value) else []
    return bad[0] if len(bad) >= _PATIENCE else None
