"""The Train page's part of the address."""

from ui.state import app_state, write_address


def remember_train() -> None:
    """Make the address restore what the Train page shows."""
    view, state = app_state().train, app_state()
    is_watch, is_compare = view.see == "watch", view.see == "compare"
    write_address(
        see=view.see,
        run=view.run if is_watch else "",
        panel=view.panel if is_watch else "",
        step="" if view.step is None or not (is_watch or is_compare) else str(view.step),
        **({"with": ",".join(view.compared)} if is_compare else {}),
        by=view.draft.get("by", "") if is_compare else "",
        figure=view.draft.get("figure", "") if is_compare else "",
        lang=state.language,
    )
