"""Library: all runs, side by side; their names, and the ways in, out and back."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core import transfer
from core.errors import Explained, one_line
from core.families import family
from core.files import StoreError
from core.pictures import sheet
from core.record import MAX_NAME, clean_tags
from core.store import Damaged, Run, Store
from ui import comparison, shell
from ui.datasets import MOST_MEGABYTES
from ui.html import block, data_uri, strip
from ui.runs import Group, groups, label
from ui.theme import colour
from ui.words import as_written

SHOWN = 10  # pictures of each run
THUMBNAILS = 4
MOST = 8  # runs side by side


def main() -> None:
    st.title("Library")
    store = Store()
    tell_deleted(store)
    try:
        found = store.list()
    except StoreError as error:
        st.error(str(error), icon=":material/folder_off:")
        return
    by_key = {
        group.key: group for group in groups((one for one in found if isinstance(one, Run)), usable=False)
    }
    if by_key:
        key = st.selectbox(
            "Trained on",
            list(by_key),
            format_func=lambda key: by_key[key].title,
            key="data",
            bind="query-params",
        )
        shelf(store, by_key[key])
    else:
        st.info(
            "There are no runs yet. The first takes less than a minute.", icon=":material/model_training:"
        )
        st.page_link(shell.to("build/train.py"), label="Train the first", icon=":material/play_arrow:")
    for one in found:
        if isinstance(one, Damaged):
            damaged(store, one)
    take_in(store)
    put_away(store)


# --- the runs of one dataset ------------------------------------------------------------------------------------


def shelf(store: Store, group: Group) -> None:
    chosen = st.dataframe(
        pd.DataFrame([line(run, group) for run in group.runs]),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        column_config={"pictures": st.column_config.ImageColumn("What comes back", width="medium")},
        key=f"table-{group.key}",
    ).selection.rows
    runs = [group.runs[index] for index in chosen if index < len(group.runs)] or list(group.newest)
    st.caption(
        "Select rows to set them side by side; a single one to name, export or delete it."
        if len(runs) != 1
        else f"{label(runs[0], group)}: `{runs[0].id}`"
    )
    if len(runs) == 1:
        manage(store, runs[0])
    st.plotly_chart(curves(runs[:MOST], group), config={"displaylogo": False})
    for run in runs[:MOST]:
        pictures(run, group)
    st.subheader("Families compared", anchor=False)
    comparison.show(group.runs)


def line(run: Run, group: Group) -> dict[str, object]:
    record, test = run.record, run.record.metrics.get("test", {})
    return {
        "pictures": thumbnail(run),
        "run": label(run, group),
        "status": run.status,
        "seed": record.plan["seed"],
        "epochs": record.plan["epochs"],
        **{name.upper(): test.get(name) for name in ("psnr", "ssim", "sse")},
        "tags": ", ".join(record.tags),
        "made": record.created[:10],
        "in the box": (run.folder / "shipped").is_dir(),
    }


def thumbnail(run: Run) -> str | None:
    epochs = run.preview_epochs()
    return _thumbnail(str(run.folder), epochs[-1]) if epochs else None


@st.cache_data(show_spinner=False, max_entries=500)
def _thumbnail(folder: str, epoch: int) -> str | None:
    try:
        shown = Run.open(Path(folder)).previews(epoch).reconstructions[:THUMBNAILS]
    except StoreError:
        return None
    return data_uri(sheet(shown, len(shown)))


def curves(runs: list[Run], group: Group) -> go.Figure:
    """Validation error by epoch; several runs of a family differ in their dash."""
    figure = go.Figure()
    seen: dict[str, int] = {}
    for run in runs:
        dash = ("solid", "dot", "dash", "dashdot")[seen.setdefault(run.record.family, 0) % 4]
        seen[run.record.family] += 1
        epochs = run.metrics()
        figure.add_scatter(
            x=[one["epoch"] for one in epochs],
            y=[one["validation"].get("mse") for one in epochs],
            name=label(run, group),
            mode="lines",
            line=dict(color=colour(run.record.family), dash=dash),
        )
    figure.update_yaxes(type="log", title="MSE of validation pictures")
    figure.update_xaxes(title="epoch")
    figure.update_layout(height=360, margin=dict(l=10, r=10, t=20, b=10))
    return figure


def pictures(run: Run, group: Group) -> None:
    epochs = run.preview_epochs()
    if not epochs:
        return
    try:
        shown = run.previews(epochs[-1])
    except StoreError as error:
        st.warning(str(error), icon=":material/broken_image:")
        return
    back = strip(shown.reconstructions, (f"picture {i + 1} rebuilt" for i in range(SHOWN)), SHOWN)
    new = strip(shown.samples[:SHOWN], (f"new picture {i + 1}" for i in range(SHOWN)), SHOWN)
    words, strips = st.columns([1, 3], vertical_alignment="center")
    words.markdown(f"**{as_written(label(run, group))}**")
    words.caption(f"{family(run.record.family).idea}")
    strips.html(block(back, new))


# --- one run ----------------------------------------------------------------------------------------------------


def manage(store: Store, run: Run) -> None:
    with st.container(border=True):
        name, tags, save = st.columns([3, 3, 1], vertical_alignment="bottom")
        called = name.text_input("Name", run.record.name, max_chars=80, key=f"name-{run.id}")
        tagged = tags.text_input(
            "Tags, separated by commas", ", ".join(run.record.tags), key=f"tags-{run.id}"
        )
        save.button("Save", width="stretch", on_click=rename, args=[store, run.id, called, tagged])
        st.code(shlex.join(run.record.command()), language="bash", wrap_lines=True)
        with st.container(horizontal=True):
            st.page_link(
                shell.to("build/train.py"),
                label="Curves and film",
                icon=":material/movie:",
                query_params={"watch": run.id},
            )
            if run.has_weights:
                st.download_button(
                    "Export", lambda: transfer.export(run), f"{run.id}.zip", "application/zip",
                    icon=":material/download:", on_click="ignore",
                )  # fmt: skip
            st.button(
                "Delete",
                icon=":material/delete:",
                on_click=delete,
                args=[store, run.id],
                key=f"delete-{run.id}",
            )


def rename(store: Store, id: str, name: str, tags: str) -> None:
    attempt(lambda: store.run(id).update(name=one_line(name, MAX_NAME), tags=clean_tags(tags.split(","))))


def delete(store: Store, id: str) -> None:
    if attempt(lambda: store.delete(id)):
        st.session_state["deleted"] = next((one.key for one in store.deleted() if one.id == id), None)


def attempt(act: Callable[[], object]) -> bool:
    """Whether it went well; what stood in the way is said."""
    try:
        act()
    except Explained as error:
        st.toast(str(error), icon=":material/error:")
        return False
    return True


# --- in, and back -----------------------------------------------------------------------------------------------


def tell_deleted(store: Store) -> None:
    key = st.session_state.get("deleted")
    if key and any(one.key == key for one in store.deleted()):
        words, undo = st.columns([4, 1], vertical_alignment="center")
        words.info(f"{key.rpartition('.')[2]} is deleted.", icon=":material/delete:")
        undo.button("Undo", icon=":material/undo:", on_click=bring_back, args=[store, key])


def bring_back(store: Store, key: str) -> None:
    attempt(lambda: store.restore(key))


def damaged(store: Store, one: Damaged) -> None:
    words, button = st.columns([5, 1], vertical_alignment="center")
    words.warning(one.reason, icon=":material/broken_image:")
    button.button(
        "Delete", key=f"delete-{one.id}", icon=":material/delete:", on_click=delete, args=[store, one.id]
    )


def take_in(store: Store) -> None:
    with (
        st.expander("Import a run", icon=":material/upload:"),
        st.form("import", clear_on_submit=True, border=False),
    ):
        file = st.file_uploader(
            "A zip that was exported", type=["zip"], max_upload_size=MOST_MEGABYTES, key="import-zip"
        )
        if st.form_submit_button("Import") and file is not None:
            try:
                run = transfer.receive(BytesIO(file.getvalue()), store)
            except Explained as error:
                st.warning(str(error), icon=":material/block:")
            else:
                st.toast(f"{run.id} has come in.", icon=":material/check:")
                st.rerun()


def put_away(store: Store) -> None:
    deleted = store.deleted()
    if not deleted:
        return
    with st.expander(f"Deleted runs · {len(deleted)}", icon=":material/delete:"):
        for one in deleted:
            words, back, gone = st.columns([4, 1, 1], vertical_alignment="center")
            words.text(one.id)
            back.button("Restore", key=f"back-{one.key}", on_click=bring_back, args=[store, one.key])
            gone.button("Erase", key=f"gone-{one.key}", on_click=erase, args=[store, one.key])


def erase(store: Store, key: str) -> None:
    attempt(lambda: store.erase(key))


main()
