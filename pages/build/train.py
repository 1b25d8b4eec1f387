"""Train: choose pictures, a family and a budget, and watch what it learns to keep."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from html import escape

import streamlit as st

from core.families import FAMILIES
from core.family import Autoencoder, Config
from core.files import StoreError
from core.glance import card_of
from core.jobs import Jobs
from core.record import described, planned
from core.training import BUDGETS, LIMITS, Plan, device_named, epochs_for
from ui import datasets, estimates, forms, losses, shell, together, watch
from ui.choices import choice
from ui.html import block
from ui.jobs import just_started
from ui.theme import colour
from ui.words import as_written, paper

OWN = ("epochs", "minutes")
SEEDS = (1, 3)
NUMBER, NAME = 96, 116  # pixels of fields: with all of them in one row beside the menu of a small laptop
KEYS = {one.key for one in FAMILIES}
DECIDED = {"dataset", "size", "gray", "family", "budget", *OWN, "batch", "seed"}  # by links from other pages


def main() -> None:
    st.title("Train")
    st.markdown(
        "Pick pictures and a family, and watch it learn what to keep. Training runs on when you close this page."
    )
    together.at_work()
    if id := st.query_params.get("watch", ""):
        watched(id, watch.watch)
    elif id := st.query_params.get("group", ""):
        watched(id, together.group)
    else:
        set_up()


def watched(id: str, draw: Callable[[str], None]) -> None:
    with st.container(border=True):
        draw(id)
    if st.button("Set up another training", icon=":material/add:"):
        st.switch_page(shell.to("build/train.py"))


# --- setting up -------------------------------------------------------------------------------------------------


def set_up() -> None:
    shell.forget_if_set_up(lambda key: key in DECIDED or key.partition(".")[0] in KEYS)
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("1 · Pictures", anchor=False)
        look = datasets.pick()
        with st.expander("Your own pictures", icon=":material/folder_zip:"):
            datasets.keep_own()
    with right:
        st.subheader("2 · Family", anchor=False)
        Family = pick_family()
    st.subheader("3 · How", anchor=False)
    pictures = look.counts[0] if look else 0
    plan, name, device = budget(pictures)
    with st.expander(f"Settings of {Family.title}", icon=":material/tune:"):
        config = forms.settings(Family)
    with st.expander("Read the loss", icon=":material/function:"):
        read_the_loss(Family)
    if look and plan and config:
        start(Family, config, plan, look, name, device)
    together.lately()


def pick_family() -> type[Autoencoder]:
    by_key = {one.key: one for one in FAMILIES}
    key = st.radio(
        "Family",
        list(by_key),
        format_func=lambda key: by_key[key].title,
        captions=[f":material/{one.symbol}: {one.idea}" for one in FAMILIES],
        label_visibility="collapsed",
        key="family",
        bind="query-params",
    )
    return by_key[key]


def budget(pictures: int) -> tuple[Plan | None, str, str]:
    """Plan, name and device; no plan where what was entered makes none."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        chosen = choice(
            "Budget", (*BUDGETS, *OWN), "quick", format_func=str.capitalize,
            key="budget", help="Quick is for a first look, balanced for a good model, best trains four times as long.",
        )  # fmt: skip
        epochs: int | None = None
        seconds: float | None = None
        if chosen == "minutes":
            fewest, most = (limit / 60 for limit in LIMITS["seconds"][1:])
            minutes = st.number_input(
                "Minutes", fewest, most, 2.0, step=0.5, format="%g", key="minutes", bind="query-params", width=NUMBER
            )  # fmt: skip
            seconds = round(minutes * 60, 3)
        elif chosen == "epochs":
            epochs = st.number_input(
                "Epochs", *LIMITS["epochs"][1:], 20, key="epochs", bind="query-params", width=NUMBER
            )
        else:
            epochs = epochs_for(chosen, pictures)
            st.metric("Epochs", f"{epochs:,}", width=NUMBER)
        _, first, last = LIMITS["seed"]
        batch = st.number_input(
            "Pictures a step", *LIMITS["batch_size"][1:], 64, key="batch", bind="query-params", width=NUMBER
        )
        seed = st.number_input(
            "Seed", first, last - max(SEEDS) + 1, 0, key="seed", bind="query-params", width=NUMBER,
            help="The same seed gives the same run.",
        )  # fmt: skip
        name = st.text_input("Name", placeholder="if you like", max_chars=80, width=NAME)
    try:
        return Plan(epochs=epochs, seconds=seconds, batch_size=batch, seed=seed), name, pick_device()
    except ValueError as error:
        st.error(f"This budget cannot be used: {error}.", icon=":material/event_busy:")
        return None, name, "cpu"


def pick_device() -> str:
    """Asked only where there is a choice."""
    best = device_named("auto").type
    if best == "cpu":
        return best
    return choice("Device", (best, "cpu"), best, key="device")


def read_the_loss(Family: type[Autoencoder]) -> None:
    card = card_of(Family)
    st.html(block(f'<div class="head" style="border-color: {colour(card.key)}"></div>'))
    equation, diagram = st.columns(2, gap="large", vertical_alignment="center")
    equation.latex(card.objective)
    diagram.html(block(f'<pre class="diagram">{escape(card.diagram)}</pre>'))
    st.code(losses.source(Family), language="python")
    st.caption(f"{paper(card.paper)}. What is shown is what runs. Choose {card.title} when {card.choose}.")


def start(
    Family: type[Autoencoder], config: Config, plan: Plan, look: datasets.Look, name: str, device: str
) -> None:
    model, data = described(Family.key, config), planned(plan, look.name, device)
    estimates.tell(model, plan, look.name, device)
    named = [f"--name={name}"] if name.strip() else []
    with st.container(horizontal=True, vertical_alignment="bottom"):
        alone = st.button(f"Train {Family.title}", type="primary", icon=":material/play_arrow:")
        everyone = st.button(
            f"Train all {len(FAMILIES)}", icon=":material/apps:", help="Each family with its defaults and this budget."
        )  # fmt: skip
        count = choice(
            "Seeds of each", SEEDS, 1, key="seeds",
            help="With three, the table at the end can tell families apart from luck.",
        )  # fmt: skip
    if alone:
        title = f"{Family.title} on {look.title}"
        begin([["train", *model, *data, *named]], [title], device)
    if everyone:
        plans = [
            (each, Plan(**{**vars(plan), "seed": plan.seed + offset}))
            for offset in range(count)
            for each in FAMILIES
        ]
        begin(
            [
                ["train", "--family", each.key, *planned(its, look.name, device), *named]
                for each, its in plans
            ],
            [
                f"{each.title} on {look.title}" + (f", seed {its.seed}" if count > 1 else "")
                for each, its in plans
            ],
            device,
        )


def begin(commands: list[list[str]], titles: list[str], device: str) -> None:
    """Start the jobs, and open what shows them."""
    if same := just_started(commands[0], grouped=len(commands) > 1):
        watch.go_to(*(("group", same.group) if same.group else ("watch", same.id)))
    group = secrets.token_hex(4) if len(commands) > 1 else ""
    try:
        started = [
            Jobs().start(command, title, lane=f"train-{device}", group=group)
            for command, title in zip(commands, titles, strict=True)
        ]
    except StoreError as error:
        st.error(as_written(str(error)), icon=":material/folder_off:")
        return
    if group:
        watch.go_to("group", group)
    watch.go_to("watch", started[0].id)


main()
