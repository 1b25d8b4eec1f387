"""Library: all runs, side by side; their names, and the ways in, out and back."""

from __future__ import annotations

import shlex
import zlib
from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from core import transfer
from core.doctor import in_words
from core.errors import Explained, one_line
from core.families import family
from core.files import StoreError
from core.record import MAX_NAME, clean_tags
from core.store import Damaged, Deleted, Run, Store
from ui import charts, comparison, doctor, library, report, shell
from ui.datasets import MOST_MEGABYTES
from ui.downloads import download
from ui.runs import Group, groups, has_codes
from ui.words import as_written, unlike

MOST = 24  # runs side by side
LATEST = 12  # of the deleted runs that are listed
ROW = 46  # pixels
ROWS = 9.5  # that are seen without scrolling; half a one says that there are more


def main() -> None:
    st.title("Library")
    st.markdown("Every run on this machine: what came back, how it learnt, and what it scored.")
    store = Store()
    just_deleted = st.session_state.pop("just deleted", False)
    tell_what_happened(store)
    try:
        found = store.list()
    except StoreError as error:
        st.error(as_written(str(error)), icon=":material/folder_off:")
        return
    shelves = groups((one for one in found if isinstance(one, Run)), usable=False)
    if shelves:
        shelf(store, library.in_order(pick(shelves)), just_deleted)
    else:
        st.info("There are no runs yet.", icon=":material/model_training:")
        shell.offer_training("Train the first")
    list_damaged(store, [one for one in found if isinstance(one, Damaged)])
    st.divider()
    take_in(store, open_at_once=not shelves)
    list_deleted(store)


def pick(shelves: list[Group]) -> Group:
    """The choice of data, which opens on those of a run that the address names."""
    by_key = {group.key: group for group in shelves}
    by_run = {run.id: group.key for group in shelves for run in group.runs}
    titles = unlike({group.key: group.title for group in shelves})
    start: str | None = shelves[0].key
    if (came := st.session_state.pop("came in", None)) in by_run:
        st.session_state["on"], start = by_run[came], None
        st.query_params["run"] = came
    elif "on" not in st.query_params:
        start = by_run.get(st.query_params.get("run", ""), start)
    key = st.segmented_control(
        "Trained on",
        list(by_key),
        format_func=lambda key: as_written(titles[key]),
        default=start,
        required=True,
        key="on",
        bind="query-params",
    )
    return by_key[key or shelves[0].key]  # an address may name none


# --- the runs of one dataset ------------------------------------------------------------------------------------


def shelf(store: Store, group: Group, just_deleted: bool) -> None:
    wanted = ask_for(group)
    runs = [run for run in group.runs if wanted.passes(run)]
    if runs:
        chosen = choose(runs, group, just_deleted)
        one_run(store, chosen, group)
        if len(chosen) > MOST:
            st.info(f"The first {MOST} of {len(chosen)} runs stand side by side.", icon=":material/info:")
        side_by_side(chosen[:MOST], group)
    else:
        st.info("No run is like that. Clear a filter.", icon=":material/filter_alt_off:")
    if autoencoders := list(filter(has_codes, group.runs)):
        st.subheader("Families compared", anchor=False)
        comparison.show(autoencoders)


def ask_for(group: Group) -> library.Filter:
    """Draw the filters; tags only where there are any."""
    keys = list(dict.fromkeys(run.record.family for run in group.runs))
    known = list(dict.fromkeys(tag for run in group.runs for tag in library.tags(run)))
    cells = st.columns(3 if known else 2, gap="small")
    families = cells[0].multiselect(
        "Families", keys, format_func=lambda key: family(key).title, placeholder="All", key="families", bind="query-params"
    )  # fmt: skip
    tags = (
        cells[1].multiselect("Tags", known, placeholder="Any", key="tags", bind="query-params")
        if known
        else []
    )
    words = cells[-1].text_input(
        "Search", placeholder="Name, family, status, tag", max_chars=80, key="find", bind="query-params"
    )
    return library.Filter(tuple(families), tuple(tags), words or "")


def choose(runs: list[Run], group: Group, just_deleted: bool) -> list[Run]:
    """Draw the table and give the runs that are ticked, which stand in the address where they are not those it opens on.

    Where one was just deleted none is ticked: a second click must not meet the next run's button.
    """
    ids = [run.id for run in runs]
    usual = [run.id for run in replace(group, runs=tuple(runs)).proposed]
    asked = [id for id in st.query_params.get_all("run") if id in ids] or usual
    if just_deleted:
        asked = []
    frame = library.table(runs, group)
    st.caption(  # above the table, where its toolbar would else cover the search
        "Tick runs to see them side by side. One alone can be named, tagged, exported, made again and deleted."
    )
    ticked = st.dataframe(
        frame,
        column_config=library.COLUMNS,
        hide_index=True,
        row_height=ROW,
        height=round(ROW * min(len(runs), ROWS)) + 38,
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [ids.index(id) for id in asked]}},
        key=f"table-{zlib.crc32(' '.join(ids).encode())}",  # ticks belong to rows: other rows, other ticks
    )
    chosen = [runs[place] for place in sorted(ticked["selection"]["rows"]) if place < len(runs)]
    names = [run.id for run in chosen]
    if set(names) == set(usual):
        st.query_params.pop("run", None)
    else:
        st.query_params["run"] = names
    with st.container(horizontal=True, horizontal_alignment="right"):
        download("Table", lambda: library.csv(frame), "runs.csv", "text/csv", "table", quiet=True)
    return chosen


def side_by_side(runs: list[Run], group: Group) -> None:
    if not runs:
        return
    beside = replace(group, runs=tuple(runs))  # titles tell apart what is shown
    names = library.titles(runs, beside)
    icon = f":material/{family(runs[0].record.family).symbol}:"
    st.subheader("Side by side" if len(runs) > 1 else f"{icon} {as_written(names[0])}", anchor=False)
    if terms := library.terms(runs):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            term = st.selectbox(
                "Curve of", terms, format_func=in_words, key="term", bind="query-params", width=320
            )  # fmt: skip
            log = library.positive(runs, term) and st.toggle(
                "Logarithmic", value=True, key="log", bind="query-params"
            )
        st.plotly_chart(
            library.curves(runs, beside, term, log),
            config=charts.CONFIG,
            alt=f"{in_words(term)} by epoch, a line for each run",
        )
    elif any(map(library.history, runs)):
        st.caption("These runs have no validation number in common, so there are no curves to show.")
    else:
        st.caption("No epoch has ended yet, so there are no curves.")
    if pictures := library.pictures(runs, beside):
        st.html(pictures)
    if len(runs) > 1:
        with st.expander("Settings that differ", icon=":material/tune:"):
            unlike = library.unlike(runs, beside)
            if unlike.empty:
                st.caption("None: these runs were made alike.")
            else:
                st.dataframe(unlike)


# --- one run ----------------------------------------------------------------------------------------------------


def one_run(store: Store, chosen: list[Run], group: Group) -> None:
    """What can be done with one; with several, which of them has to be said first."""
    if not chosen:
        st.info("Tick a run in the table.", icon=":material/check_box:")
        return
    run = chosen[0]
    with st.container(border=True):
        if len(chosen) > 1:
            names = dict(zip([one.id for one in chosen], library.titles(chosen, group), strict=True))
            id = st.selectbox(
                "Name, export, make again or delete",
                list(names),
                index=None,
                format_func=names.__getitem__,
                placeholder="one of the ticked runs",
                key=f"one-of-{zlib.crc32(' '.join(names).encode())}",
            )
            if id is None:
                return
            run = next(one for one in chosen if one.id == id)
        manage(store, run, group)
        doctor.show(run)
        report.show(run)


def manage(store: Store, run: Run, group: Group) -> None:
    (title,) = library.titles([run], group)
    id = "" if run.id in title else f" · {as_written(run.id)}"
    st.caption(f"**{as_written(title)}**{id}")
    known = {tag for other in group.runs for tag in other.record.tags} | set(run.record.tags)
    fill_in(run)
    with st.form(f"form-{run.id}", border=False):
        name, tags, save = st.columns([4, 4, 1], vertical_alignment="bottom")
        name.text_input("Name", max_chars=MAX_NAME, placeholder=run.id, key=f"name-{run.id}")
        tags.multiselect(
            "Tags", sorted(known), accept_new_options=True, placeholder="Add some", key=f"tags-{run.id}"
        )
        save.form_submit_button("Save", width="stretch", on_click=rename, args=[store, run])
    if run.record.origin != run.id:  # a run that went on from itself took several
        st.caption("The command line that makes this run")
        st.code(shlex.join(run.record.command()), language="bash", wrap_lines=True)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            shell.to("build/train.py"), label="Curves and film", icon=":material/movie:", query_params={"watch": run.id}
        )  # fmt: skip
        if run.has_weights:
            st.download_button(
                "Export", lambda: transfer.export(run), f"{run.id}.zip", "application/zip",
                icon=":material/download:", on_click="ignore", help="Weights, history and pictures as one zip",
            )  # fmt: skip
        st.button(
            "Delete", icon=":material/delete:", on_click=delete, args=[store, run.id], key=f"delete-{run.id}"
        )


def fill_in(run: Run) -> None:
    """The form, with what the record says; anew where somebody else has changed that."""
    stands = run.record.name, run.record.tags
    stood, name, tags = (f"{what}-{run.id}" for what in ("stood", "name", "tags"))
    if name not in st.session_state or st.session_state.get(stood) != stands:
        st.session_state[stood] = stands
        st.session_state[name], st.session_state[tags] = run.record.name, list(run.record.tags)


def rename(store: Store, shown: Run) -> None:
    """Only what was changed here: somebody else may have changed the rest since it was shown."""
    asked = {
        "name": one_line(st.session_state[f"name-{shown.id}"], MAX_NAME),
        "tags": clean_tags(st.session_state[f"tags-{shown.id}"]),
    }
    changes = {key: value for key, value in asked.items() if value != getattr(shown.record, key)}
    attempt(lambda: store.run(shown.id).update(**changes))


def delete(store: Store, id: str) -> None:
    if attempt(lambda: st.session_state.update(deleted=store.delete(id) or None)):
        st.session_state["just deleted"] = True
        undo = " Undo is at the top of this page." if st.session_state["deleted"] else ""
        st.toast(f"{as_written(id)} is deleted.{undo}", icon=":material/delete:")


# --- what happened ----------------------------------------------------------------------------------------------


def attempt(act: Callable[[], object]) -> bool:
    """Whether it went well; else the page says what stood in the way."""
    try:
        act()
    except Explained as error:
        st.session_state["refused"] = str(error)
        return False
    return True


def tell_what_happened(store: Store) -> None:
    if refused := st.session_state.pop("refused", None):
        st.error(as_written(refused), icon=":material/block:")
    key = st.session_state.get("deleted")
    for one in store.deleted():
        if one.key == key:
            with st.container(border=True, horizontal=True, vertical_alignment="center"):
                st.markdown(f":material/delete: **{as_written(one.id)}** is deleted.", width="stretch")
                st.button("Undo", icon=":material/undo:", on_click=bring_back, args=[store, key])


def bring_back(store: Store, key: str) -> None:
    def act() -> None:
        st.session_state["came in"] = store.restore(key)

    attempt(act)


# --- in, and back -----------------------------------------------------------------------------------------------


def take_in(store: Store, open_at_once: bool) -> None:
    with (
        st.expander("Import a run", icon=":material/upload:", expanded=open_at_once),
        st.form("import", clear_on_submit=True, border=False),
    ):
        file = st.file_uploader(
            "The zip of a run that was exported here or elsewhere", type=["zip"], max_upload_size=MOST_MEGABYTES, key="import-zip"
        )  # fmt: skip
        if not st.form_submit_button("Import", icon=":material/upload:"):
            return
        if file is None:
            st.warning("Choose a zip first.", icon=":material/upload_file:")
            return
        try:
            with st.spinner("Checking what is in it…"):
                run = transfer.receive(file, store)
        except Explained as error:
            st.warning(as_written(str(error)), icon=":material/block:")
        else:
            st.toast(f"{as_written(run.id)} has come in.", icon=":material/check:")
            st.session_state["came in"] = run.id
            st.rerun()


def list_damaged(store: Store, damaged: list[Damaged]) -> None:
    if not damaged:
        return
    st.subheader(f"Damaged · {len(damaged)}", anchor=False)
    for one in damaged:
        words, button = st.columns([5, 1], vertical_alignment="center")
        words.warning(as_written(one.reason), icon=":material/broken_image:")
        button.button(
            "Delete", key=f"delete-{one.id}", icon=":material/delete:", on_click=delete, args=[store, one.id], width="stretch"
        )  # fmt: skip


def list_deleted(store: Store) -> None:
    deleted = store.deleted()
    if not deleted:
        return
    with st.expander(f"Deleted runs · {len(deleted)}", icon=":material/delete:"):
        for one in deleted[:LATEST]:
            words, buttons = st.columns([2, 1], vertical_alignment="center")
            words.markdown(as_written(one.id))
            with buttons.container(horizontal=True, horizontal_alignment="right"):
                st.button(
                    "Restore", key=f"back-{one.key}", icon=":material/undo:", on_click=bring_back, args=[store, one.key]
                )  # fmt: skip
                erase(store, one)
        if len(deleted) > LATEST:
            st.caption(f"And {len(deleted) - LATEST} more. Erase some of these to see them.")


def erase(store: Store, one: Deleted) -> None:
    """Asks once more: this cannot be taken back."""

    def gone() -> None:
        attempt(lambda: store.erase(one.key))

    with st.popover("Erase", icon=":material/delete_forever:"):
        st.markdown(f"**{as_written(one.id)}** would be gone for good.")
        st.button("Erase for good", key=f"gone-{one.key}", on_click=gone)


main()
