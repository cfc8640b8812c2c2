"""Curves of old runs, read off what was printed while they trained, and kept.

old-runs/<id>.json   title, rows, and the lines in which it named a better model
"""

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core import store
from core.errors import AppError, InputError, TooLargeError
from core.text import N_
from models.config import BestRule, Row
from models.old_runs import is_style_log, read_style_log
from models.plan import Best

KIND, VERSION = "urban-pattern-old-run", 1
_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_TIME = r"(\d+:)?\d+:\d\d"
_MOST_CHARACTERS = 2_000_000
_LONGEST_ROW = 2_000


def read_log(text: str) -> list[Row]:
    """Read the table that fastai prints while it trains a GAN, pasted or saved, as rows of a run.

    Columns: epoch, train_loss, gen_loss, crit_loss, time, divided by anything but numbers (tabs,
    commas, bars, HTML tags). Several tables may follow one another: an epoch that starts again at
    0, or goes back, begins a new fit. Lines that are no row of the table are passed over, gaps
    (`...`) too; a row with a word in a number's place is refused.

    Returns:
        One row an epoch with `fit`, `epoch` (through all fits), `epoch_in_fit`, `train_smooth`,
        `generator_smooth`, `critic_smooth` and `seconds` (of the epoch).

    Raises:
        InputError: There is no row of such a table, or one that cannot be read.
    """
    line = re.compile(
        rf"\W*(\d{{1,7}})[^\d.+-]+({_NUMBER})[^\d.+-]+({_NUMBER})[^\d.+-]+({_NUMBER})"
        r"[^\d.+-]+(?:(\d{1,4}):)?(\d{1,4}):(\d\d)\D*"
    )
    rows: list[Row] = []
    fit, before, last = 0, 0, -1
    for number, words in _lines(text):
        found = line.fullmatch(words)
        if found is None:
            cells = re.findall(r"[^\s|,;]+", words)
            if len(cells) == 5 and cells[0].isdecimal() and re.fullmatch(_TIME, cells[4]):
                _check_numbers(number, cells[1:4])
            continue
        _check_numbers(number, found.groups()[1:4])
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
            hint=N_(
                "Its columns are epoch, train_loss, gen_loss, crit_loss and time. Lines of a"
                " StyleGAN's log begin with “Elapsed: […] Step: …”."
            ),
        )
    return rows


def _check_numbers(line: int, words: Sequence[str]) -> None:
    """Refuse a row of the table in which a word stands for a number; dots are a gap."""
    for word in words:
        is_number = re.fullmatch(_NUMBER, word) and math.isfinite(float(word))
        if word.strip(".") and not is_number:
            raise InputError(
                N_("Line {line} of the table holds {word!r}, which is no number."),
                hint=N_("Leave the line out, or put the number in."),
                line=line,
                word=word[:40],
            )


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a table, of HTML or plain, numbered from 1, without tags.

    Longer ones than a row can be are left out: a pattern may take the square of a line's length.
    """
    # Every second part is a tag; blanks beside one, line ends too, belong to the HTML.
    parts = re.split(r"(</?t[dhr][^<>]{0,200}>)", text)
    if len(parts) > 1:
        parts[::2] = [part.strip() for part in parts[::2]]
        parts[1::2] = ["\n" if tag.startswith("</tr") else " " for tag in parts[1::2]]
    for number, line in enumerate("".join(parts).splitlines(), 1):
        if line.strip() and len(line) <= _LONGEST_ROW:
            yield number, line


def printed_better(text: str) -> list[tuple[int, float]]:
    """Return epoch and loss of each line in which fastai said that it found a better model."""
    line = re.compile(rf"Better model found at epoch (\d+) with \w+ value: ({_NUMBER})")
    return [(int(found[1]), float(found[2])) for found in line.finditer(text)]


def better_epochs(rows: Sequence[Row], rule: BestRule) -> list[Row]:
    """Return the rows that a rule calls better than all before them in their fit, see `Best`.

    An epoch that is not in the table counts as if it had not been.
    """
    lengths: dict[int, int] = {}
    for row in rows:
        lengths[row["fit"]] = max(lengths.get(row["fit"], 0), row["epoch_in_fit"] + 1)
    best = Best(rule, is_distance=True)
    found = []
    fit = -1
    for row in rows:
        if row["fit"] != fit:
            fit = row["fit"]
            best.begin_fit()
        share = (row["epoch_in_fit"] + 1) / lengths[fit]
        if best.is_better(row["critic_smooth"], share):
            found.append(row)
    return found


@dataclass(frozen=True, slots=True)
class OldRun:
    """A table of fastai's, or a log of StyleGAN.pytorch, that was kept."""

    id: str
    title: str
    rows: tuple[Row, ...]
    printed: tuple[tuple[int, float], ...]
    """Epoch and loss of each better model that the text itself names."""

    @property
    def is_style(self) -> bool:
        """Whether the rows are those of `old_runs.read_style_log`."""
        return "critic_smooth" not in self.rows[0]


def keep(root: Path, title: str, text: str) -> str:
    """Read a table or a StyleGAN's log, keep it in the workspace `root`, and return its id.

    The same one is kept only once.

    Raises:
        InputError: There is no row of either in the text, or the title is none.
        TooLargeError: The text is longer than any such table.
    """
    title = title.strip()
    if not title or len(title) > 80:
        raise InputError(N_("An old run needs a title of 1 to 80 characters."))
    if len(text) > _MOST_CHARACTERS:
        raise TooLargeError(
            N_("The text has {count:,} characters; a training table has at most {most:,}."),
            count=len(text), most=_MOST_CHARACTERS,
        )  # fmt: skip
    rows = read_style_log(text) if is_style_log(text) else read_log(text)
    printed = printed_better(text)
    digest = hashlib.sha256(f"{title}\n{text}".encode()).hexdigest()[:8]
    name = f"{store.slug(title, fallback='table')[:40].strip('-_')}-{digest}"
    body = {"title": title, "rows": rows, "printed": [list(pair) for pair in printed]}
    store.write_json(_folder(root) / f"{name}.json", body, kind=KIND, version=VERSION)
    return name


def old_run(root: Path, name: str) -> OldRun:
    """Read one that was kept.

    Raises:
        InputError: There is none of that name.
        StoreError: Its file is damaged.
    """
    checked = store.checked_id(name, what=N_("table"))
    path = store.inside(_folder(root), f"{checked}.json")
    if not path.is_file():
        raise InputError(N_("There is no old run {id!r}."), id=name)
    body = store.read_json(path, kind=KIND, version=VERSION)
    printed = tuple((int(epoch), float(loss)) for epoch, loss in body["printed"])
    return OldRun(name, body["title"], tuple(body["rows"]), printed)


def old_runs(root: Path) -> list[OldRun]:
    """Return all readable ones, by title."""
    found = []
    for path in _folder(root).glob("[a-z0-9]*.json"):
        with suppress(AppError, KeyError, TypeError, ValueError):
            found.append(old_run(root, path.stem))
    return sorted(found, key=lambda one: (one.title, one.id))


def forget(root: Path, name: str) -> None:
    """Delete one that was kept."""
    old_run(root, name)
    (_folder(root) / f"{name}.json").unlink(missing_ok=True)


def _folder(root: Path) -> Path:
    return root / "old-runs"
