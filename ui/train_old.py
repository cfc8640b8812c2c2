"""Old work: training tables of earlier programs, and weights that they left."""

import pandas as pd
import streamlit as st

from core import jobs
from core.errors import AppError
from models import history, imports, runs
from models.config import BestRule
from models.series import Curve, curve
from ui import cached, charts, train_charts
from ui.choice import choice, held_choice
from ui.choose_file import choose_file
from ui.errors import plain, show_error, shown_errors
from ui.language import _
from ui.progress import is_running, job_panel
from ui.quantities import value_text
from ui.server import workspace
from ui.state import TrainView, app_state
from ui.train_list import has_pytorch
from ui.train_old_style import style_folder, style_log
from ui.train_words import unlike_note, value_words

_RULES: tuple[BestRule, ...] = ("document", "recommended")
_IMPORT = "import-weights"
_OBJECTIVE = "wasserstein"
"""Of the tables: fastai prints them while it trains a WGAN."""


def old_work(found: list[runs.Run], view: TrainView) -> None:
    """Draw old tables and imported weights."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        _tables(found, view)
    with right:
        _weights()
    style_folder()


def _tables(found: list[runs.Run], view: TrainView) -> None:
    st.markdown(_("#### A training table"))
    st.caption(
        _(
            "The table that fastai prints (epoch, train_loss, gen_loss, crit_loss, time), pasted or"
            " as a file; several tables may follow one another, with their lines “Better model"
            " found at epoch …”. Or the log of StyleGAN.pytorch (Elapsed, Step, Batch, D_Loss,"
            " G_Loss)."
        )
    )
    known = {one.id: one for one in history.old_runs(workspace().root)}
    with st.expander(_("Add a table"), expanded=not known):
        _add_table(view)
    if not known:
        return
    names = {name: one.title for name, one in known.items()}
    chosen = held_choice(_("Old table"), names, view.draft, "table")
    old = known[chosen]
    with st.container(border=True):
        if old.is_style:
            style_log(old.title, old.rows, key="old-curves")
        else:
            _table(old, found)
        if st.button(_("Delete this table"), type="tertiary", key=f"forget-{old.id}"):
            history.forget(workspace().root, old.id)
            st.rerun()


def _add_table(view: TrainView) -> None:
    title = st.text_input(_("Its name"), _("Old run"), max_chars=80, key="old-title")
    text = st.text_area(_("Paste the table"), height=160, key="old-text")
    file = st.file_uploader(
        _("Or a file of it"), type=["csv", "txt", "tsv", "log", "md", "html"], key="old-file"
    )
    if st.button(_("Read the table"), type="primary"):
        body = file.getvalue().decode("utf-8", "replace") if file is not None else text
        with shown_errors():
            view.draft["table"] = history.keep(workspace().root, title, body)
            app_state().notice = _("The table is kept.")
            st.rerun()


def _table(old: history.OldRun, found: list[runs.Run]) -> None:
    """Draw an old table beside a run, and say which epochs were better, by which rule."""
    titles = {"": _("None"), **{one.id: one.config.title for one in found}}
    alike = [one.id for one in found if one.config.adversary.objective == _OBJECTIVE]
    beside = choice(_("Beside the run"), titles, value=next(iter(alike), ""))
    chosen = choice(
        _("Better by the rule"),
        {name: value_words(name) for name in _RULES},
        help=_("What makes an epoch better than those before it; said below the chart."),
    )
    rule = next(one for one in _RULES if one == chosen)
    curves = [
        (f"{old.title}: {title}", curve(old.rows, name, by="epoch"))
        for name, title in (
            ("critic_smooth", _("critic")),
            ("generator_smooth", _("generator")),
        )
    ]
    shown = [one for one in found if one.id == beside]
    for one in shown:
        curves += _curves_of(one)
    figure = train_charts.compared(
        curves, title=_("Losses of the old table and of a run"), x=_("Epoch"), y=_("Loss")
    )
    better = history.better_epochs(old.rows, rule)
    figure.add_scatter(
        x=[row["epoch"] + 1 for row in better], y=[row["critic_smooth"] for row in better],
        mode="markers", marker={"symbol": "diamond-open", "size": 8, "color": "#1F2424"},
        name=_("better model"), hovertemplate="%{x}: %{y:.4g}",
    )  # fmt: skip
    st.plotly_chart(figure, config=charts.config(), width="stretch", key="old-curves")
    unlike_note([_OBJECTIVE, *(one.config.adversary.objective for one in shown)])
    _better(old, rule, better)


def _curves_of(run: runs.Run) -> list[tuple[str, Curve]]:
    figures = cached.follower(str(run.folder.resolve())).read()
    plan = runs.plan_of(run)
    return [
        (
            f"{run.config.title}: {title}",
            curve(figures.training, name, by="epoch", plan=plan),
        )
        for name, title in (
            ("critic_smooth", _("critic")),
            ("generator_smooth", _("generator")),
        )
    ]


def _better(old: history.OldRun, rule: BestRule, better: list[dict[str, object]]) -> None:
    words = {
        "document": _(
            "By the document's rule an epoch is better if the critic's loss fell by more than 0.01"
            " below the best of its fit: the epoch whose pictures the critic tells from real ones"
            " most easily."
        ),
        "recommended": _(
            "By the recommended rule an epoch is better if the estimated distance, minus the"
            " critic's loss, is smaller than ever since the first quarter of its fit."
        ),
    }
    st.caption(words[rule])
    distances = [-row["critic_smooth"] for row in old.rows]
    text = _("The estimated distance went from {first} to {last}; its largest value was {most}.")
    st.caption(
        text.format(
            first=value_text(distances[0]),
            last=value_text(distances[-1]),
            most=value_text(max(distances)),
        )
    )
    table = pd.DataFrame(
        [
            {
                _("Fit"): int(str(row["fit"])) + 1,
                _("Epoch of the fit"): row["epoch_in_fit"],
                _("Critic's loss"): row["critic_smooth"],
                _("Named in the text"): _("yes") if _is_named(row, old) else "–",
            }
            for row in better
        ]
    )
    st.dataframe(table, hide_index=True, width="stretch", height=220)
    if old.printed:
        named = sum(
            any(_is_close(row, pair) for row in old.rows if row in better) for pair in old.printed
        )
        text = _("The text names {printed} better models; {named} of them follow by this rule.")
        st.caption(text.format(printed=len(old.printed), named=named))


def _is_named(row: dict[str, object], old: history.OldRun) -> bool:
    return any(_is_close(row, pair) for pair in old.printed)


def _is_close(row: dict[str, object], printed: tuple[int, float]) -> bool:
    """Tell whether a printed line is of an epoch: the table rounds its losses to six digits."""
    epoch, loss = printed
    return row["epoch_in_fit"] == epoch and abs(float(str(row["critic_smooth"])) - loss) < 1e-6


def _weights() -> None:
    st.markdown(_("#### Weights of other programs"))
    st.caption(
        _(
            "A learner of fastai's `learn.save`, or the state dict of a generator or critic, of"
            " fastai or of StyleGAN (.pth). It is read in a process of its own, without running"
            " code of the file; a file that needs more is refused. A new run can begin with a"
            " learner, the Generate page makes pictures with a StyleGAN's generator."
        )
    )
    job_panel(_IMPORT, title=_("Reading weights"), on_done=_brought)
    if has_pytorch():
        file = choose_file("weights", (".pth", ".pt"), label=_("File of weights"))
        if file is not None and st.button(
            _("Bring in these weights"), type="primary", disabled=is_running(_IMPORT)
        ):
            app_state().uploads.pop("weights", None)
            _submit(str(file[0].resolve()), file[1])
    known = imports.imported(workspace().root)
    for one in known:
        text, button = st.columns([4, 1], vertical_alignment="center")
        shape = _("{size} px, {channels} channels, latent of {latent}").format(
            size=one.networks.size_px, channels=one.networks.channels, latent=one.networks.latent
        )
        text.markdown(f"**{plain(one.name)}** · {_(one.what)} · {shape}")
        if button.button(_("Delete"), key=f"forget-{one.id}", width="stretch"):
            try:
                imports.forget(workspace().root, one.id)
            except AppError as err:
                show_error(err)
            else:
                st.rerun()
    if not known:
        st.caption(_("No weights have been brought in yet."))


def _submit(source: str, name: str) -> None:
    root = workspace().root
    config = {"workspace": str(root.resolve()), "source": source, "name": name}
    app_state().jobs[_IMPORT] = jobs.submit(root / "jobs", _IMPORT, config)
    st.rerun()


def _brought(done: jobs.Job) -> str:
    return _("The weights are brought in: {name}.").format(name=done.result["weights"])
