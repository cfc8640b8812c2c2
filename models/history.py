"""Curves of old runs, read off the table that was printed while they trained."""

import re

from core.errors import InputError
from core.text import N_
from models.config import Row

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"


def read_log(text: str) -> list[Row]:
    """Read the table that fastai prints while it trains a GAN, pasted or saved, as rows of a run.

    Columns: epoch, train_loss, gen_loss, crit_loss, time, divided by anything but numbers (tabs,
    commas, bars, HTML tags). Several tables may follow one another: an epoch that starts again at
    0, or goes back, begins a new fit. Lines that are no row of the table are passed over, gaps
    (`...`) too.

    Returns:
        One row an epoch with `fit`, `epoch` (through all fits), `epoch_in_fit`, `train_smooth`,
        `generator_smooth`, `critic_smooth` and `seconds` (of the epoch).

    Raises:
        InputError: There is no row of such a table.
    """
    plain = re.sub(r"</tr\s*>", "\n", re.sub(r"\s*(<t[dhr][^>]*>|</t[dh]>)\s*", " ", text))
    line = re.compile(
        rf"^\W*(\d+)[^\d\n.+-]+({_NUMBER})[^\d\n.+-]+({_NUMBER})[^\d\n.+-]+({_NUMBER})"
        r"[^\d\n.+-]+(?:(\d+):)?(\d+):(\d\d)\D*$",
        re.MULTILINE,
    )
    rows: list[Row] = []
    fit, before, last = 0, 0, -1
    for found in line.finditer(plain):
        epoch = int(found[1])
        if epoch <= last:
            fit, before = fit + 1, before + last + 1
        last = epoch
        rows.append({
            "fit": fit, "epoch": before + epoch, "epoch_in_fit": epoch,
            "train_smooth": float(found[2]), "generator_smooth": float(found[3]),
            "critic_smooth": float(found[4]),
            "seconds": 3600 * int(found[5] or 0) + 60 * int(found[6]) + int(found[7]),
            "ends_epoch": True,
        })  # fmt: skip
    if not rows:
        raise InputError(
            N_("There is no row of a training table in this text."),
            hint=N_("Its columns are epoch, train_loss, gen_loss, crit_loss and time."),
        )
    return rows
