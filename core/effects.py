"""Which factors go with being cozy: one logistic regression, judged on places it has not seen.

Neighbours are alike, so a model tested on squares beside those it learnt from looks better than
it is. Here whole blocks of squares are left out, and errors come from leaving blocks out too.
What is found is association: nothing here tells what would happen if a factor were changed.

References: blocked cross-validation, Roberts et al. (2017), Ecography 40(8), 913-929;
the delete-a-group jackknife, Efron (1982), and MacKinnon, Nielsen and Webb (2023), J. Econometrics
232(2), 272-299, who call it CV3.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import rankdata
from scipy.stats import t as student_t
from threadpoolctl import threadpool_limits

from core.cozy import block_numbers
from core.errors import InputError, StoppedError
from core.surrogates import fit_zone
from core.text import N_

ShouldStop = Callable[[], bool]
FOLDS = 5
_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
_FEWEST = 30
_FEWEST_BLOCKS = 20
_WANTED_BLOCKS = 30
_MOST_FACTORS = 500
_LEAST_COVER = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """Effects of factors on being in a zone."""

    table: pd.DataFrame
    """A row a factor, strongest first: `effect` = change of the log odds for one standard
    deviation more, `low` and `high` its 95 % interval, `odds_ratio` = exp(effect), `points` = mean
    change of the chance in percentage points, `p` that there is no effect."""
    auc: float
    """Out of block: how often a square of the zone gets the higher chance than one outside; 0.5
    is guessing."""
    auc_of_folds: tuple[float, ...]
    """The same for each part left out."""
    auc_seen: float
    """On the squares the model learnt from: what must not be reported as its skill."""
    left_out: tuple[str, ...]
    """Factors that are the same in every square used."""
    too_sparse: tuple[str, ...]
    """Factors without a value in more than a fifth of the squares, left out: with them the model
    would speak of a part of the area only."""
    num_squares: int
    num_missing: int
    """Squares left out because a factor has no value."""
    num_blocks: int
    block_squares: int
    """Side of a block in squares."""
    penalty: float
    """Of the squared effects, a square: chosen by the loss out of block."""


def zone_effects(
    zone: NDArray[np.bool_],
    factors: pd.DataFrame,
    rows: NDArray[np.integer],
    cols: NDArray[np.integer],
    *,
    block_squares: int | None = None,
    folds: int = FOLDS,
    seed: int = 0,
    should_stop: ShouldStop = lambda: False,
) -> Effects:
    """Return how factors go with being in a zone, with uncertainty and an honest score.

    A logistic regression on standardised factors with a ridge penalty, which keeps factors that
    say the same (such as shares that add up to 1) from being played off against one another: they
    share the effect. The penalty is the one of four with the least loss on blocks left out.
    Intervals are effect ± t times the standard error of the jackknife that leaves out a block at a
    time, t of Student's distribution with one degree of freedom less than blocks; they do not know
    of the penalty's pull towards 0.

    Args:
        zone: (N,) squares that belong to it.
        factors: (N, F) numbers, a row a square. A factor that a fifth of the squares lack is left
            out, then squares with a missing value.
        rows: (N,) of the lattice.
        cols: (N,) of the lattice.
        block_squares: Side of a block. None: twice as wide as the zone is alike, but 30 blocks.
        folds: Parts that the blocks are dealt into, each left out once.
        seed: Of the dealing.
        should_stop: Asked between fits.

    Raises:
        InputError: No factor varies, fewer than 30 squares are inside or outside the zone, there
            are too few blocks, or the arrays differ in length.
        StoppedError: `should_stop` said so.
    """
    if not len(zone) == len(factors) == len(rows) == len(cols):
        raise InputError(
            N_("There are {factors:,} rows of factors for {squares:,} squares."),
            factors=len(factors),
            squares=len(zone),
        )
    if not 0 < factors.shape[1] <= _MOST_FACTORS:
        raise InputError(
            N_("{count:,} factors cannot be weighed."),
            hint=N_("Choose from 1 to {most}."),
            count=factors.shape[1],
            most=_MOST_FACTORS,
        )
    covers = np.isfinite(factors.to_numpy(np.float64)).mean(axis=0) >= _LEAST_COVER
    too_sparse = tuple(str(name) for name in factors.columns[~covers])
    factors = factors.loc[:, covers]
    values = factors.to_numpy(np.float64)
    whole = np.isfinite(values).all(axis=1)
    values, inside = values[whole], zone[whole]
    varies = np.ptp(values, axis=0) > 0 if len(values) else np.zeros(values.shape[1], bool)
    side = _side(inside, rows[whole], cols[whole]) if block_squares is None else block_squares
    block = _blocks(inside, rows[whole], cols[whole], side)
    if not varies.any():
        raise InputError(N_("No factor varies from square to square."))
    x = values[:, varies]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    # Threads that wait for one another by spinning made this ten times slower on busy cores.
    with threadpool_limits(1):
        penalty, chance, fold = _choose_penalty(x, inside, block, folds, seed, should_stop)
        effect, intercept = _fit(x, inside, penalty)
        fitted = expit(x @ effect + intercept)
        error = _block_errors(x, inside, fitted, block, penalty)
    free = int(block.max())
    half = float(student_t.ppf(0.975, free)) * error
    table = pd.DataFrame(
        {
            "effect": effect,
            "low": effect - half,
            "high": effect + half,
            "odds_ratio": np.exp(effect),
            "points": 100.0 * float((fitted * (1.0 - fitted)).mean()) * effect,
            "p": 2.0 * student_t.sf(np.abs(effect) / error, free),
        },
        index=pd.Index(factors.columns[varies], name="factor"),
    )
    return Effects(
        table=table.iloc[np.argsort(-np.abs(effect), kind="stable")],
        auc=_auc(inside, chance),
        auc_of_folds=tuple(_auc(inside[fold == i], chance[fold == i]) for i in range(folds)),
        auc_seen=_auc(inside, fitted),
        left_out=tuple(str(name) for name in factors.columns[~varies]),
        too_sparse=too_sparse,
        num_squares=len(x),
        num_missing=int((~whole).sum()),
        num_blocks=int(block.max()) + 1,
        block_squares=side,
        penalty=penalty,
    )


def _side(inside: NDArray[np.bool_], rows: NDArray[np.integer], cols: NDArray[np.integer]) -> int:
    if inside.all() or not inside.any():
        return 1  # refused for that in a moment
    widest = int(np.sqrt(len(inside) / _WANTED_BLOCKS))
    return max(1, min(widest, 2 * fit_zone(inside, rows, cols).range_squares))


def _blocks(
    inside: NDArray[np.bool_],
    rows: NDArray[np.integer],
    cols: NDArray[np.integer],
    side: int,
) -> NDArray[np.int64]:
    fewest = min(int(inside.sum()), int((~inside).sum()))
    if fewest < _FEWEST:
        raise InputError(
            N_("{count:,} squares on one side of the zone's border are too few to compare."),
            hint=N_("At least {fewest} must lie inside, and as many outside."),
            count=fewest,
            fewest=_FEWEST,
        )
    if side < 1:
        raise InputError(N_("A block of {side} squares cannot be made."), side=side)
    block = block_numbers(rows - rows.min(), cols - cols.min(), side)
    with_zone = len(np.unique(block[inside]))
    if block.max() + 1 < _FEWEST_BLOCKS or with_zone < FOLDS:
        raise InputError(
            N_("The area falls into {count} blocks of {side} squares, {with_zone} with cozy ones."),
            hint=N_("Choose smaller blocks; {fewest} are needed."),
            count=int(block.max()) + 1,
            side=side,
            with_zone=with_zone,
            fewest=_FEWEST_BLOCKS,
        )
    return block


def _choose_penalty(
    x: NDArray[np.float64],
    inside: NDArray[np.bool_],
    block: NDArray[np.int64],
    folds: int,
    seed: int,
    should_stop: ShouldStop,
) -> tuple[float, NDArray[np.float64], NDArray[np.int64]]:
    """Return the penalty of least loss out of block, the chances it gives there, and the fold."""
    from sklearn.model_selection import StratifiedGroupKFold

    fold = np.zeros(len(x), np.int64)
    dealt = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for i, (_, unseen) in enumerate(dealt.split(x, inside, block)):
        fold[unseen] = i
    best = (np.inf, _PENALTIES[0], np.zeros(len(x)))
    for penalty in _PENALTIES:
        chance = np.empty(len(x))
        for i in range(folds):
            if should_stop():
                raise StoppedError(N_("Stopped. Nothing was changed."))
            seen = fold != i
            effect, intercept = _fit(x[seen], inside[seen], penalty)
            chance[~seen] = expit(x[~seen] @ effect + intercept)
        sure = np.clip(chance, 1e-12, 1.0 - 1e-12)
        loss = -float(np.log(np.where(inside, sure, 1.0 - sure)).mean())
        if loss < best[0]:
            best = (loss, penalty, chance)
    return best[1], best[2], fold


def _fit(
    x: NDArray[np.float64], inside: NDArray[np.bool_], penalty: float
) -> tuple[NDArray[np.float64], float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0 / (penalty * len(x)), solver="newton-cholesky", max_iter=200)
    model.fit(x, inside)
    return np.asarray(model.coef_[0], np.float64), float(model.intercept_[0])


def _block_errors(
    x: NDArray[np.float64],
    inside: NDArray[np.bool_],
    chance: NDArray[np.float64],
    block: NDArray[np.int64],
    penalty: float,
) -> NDArray[np.float64]:
    """Return the standard errors of the effects: how they move as each block is left out.

    One Newton step from the whole fit stands for each refit.
    """
    design = np.column_stack([x, np.ones(len(x))])
    ridge = np.full(design.shape[1], penalty * len(x))
    ridge[-1] = 0.0
    root = design * np.sqrt(chance * (1.0 - chance))[:, None]
    whole = root.T @ root + np.diag(ridge)
    score = design * (inside - chance)[:, None]
    order = np.argsort(block, kind="stable")
    moves = []
    for at in np.split(order, np.flatnonzero(np.diff(block[order])) + 1):
        own = root[at]
        moves.append(np.linalg.solve(whole - own.T @ own, score[at].sum(axis=0)))
    moved = np.array(moves) - np.mean(moves, axis=0)
    num = len(moved)
    return np.asarray(np.sqrt((num - 1) / num * (moved**2).sum(axis=0))[:-1], np.float64)


def _auc(inside: NDArray[np.bool_], chance: NDArray[np.float64]) -> float:
    """Return the area under the ROC curve; NaN where all squares are on one side."""
    num = int(inside.sum())
    others = len(inside) - num
    if num == 0 or others == 0:
        return float("nan")
    rank_sum = float(rankdata(chance)[inside].sum())
    return (rank_sum - num * (num + 1) / 2) / (num * others)
