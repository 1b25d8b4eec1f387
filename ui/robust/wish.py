"""What a visitor wants to have measured, and what has been."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.files import written
from core.findings import Entry
from core.lab import CLASSICAL, Lab
from core.robustness import Protocol, baseline_file
from core.store import Run, Store
from ui.runs import Group

PICTURES = (100, 300, 1_000, 3_000, 10_000)
SEEDS = (1, 3, 5, 10)
USUAL = Protocol()


@dataclass(frozen=True, eq=False)
class Wish:
    """Runs, and how they are to be measured."""

    group: Group
    runs: tuple[Run, ...]
    protocol: Protocol
    classical: bool
    search: bool

    def entries(self) -> tuple[list[Entry], list[str]]:
        """What has been measured, and the titles of what has not."""
        ids = tuple(run.id for run in self.runs)
        kin = tuple(run.id for run in self.group.runs)
        stamp = self.stamp()
        return _entries(str(Store().root), ids, kin, self.protocol, self.classical, self.search, stamp)

    def stamp(self) -> tuple[int, ...]:
        """Changes when something was measured, trained anew or renamed."""
        root = Store().root
        places = [root / ".baselines", *(run.weights_file for run in self.group.runs)]
        places += [
            run.folder / place for run in self.group.runs for place in ("cache", "shipped", "run.json")
        ]
        return tuple(map(written, places))


def ask(group: Group, runs: Sequence[Run]) -> Wish:
    """Draw how it is to be measured, folded: most visitors never need it."""
    known = runs[0].record.metrics.get("test", {}).get("n")
    count = known if isinstance(known, int) and known > 0 else USUAL.pictures
    most = min(count, PICTURES[-1])
    sizes = [size for size in PICTURES if size < most] + [most]
    with st.expander("How it is measured", icon=":material/science:"):
        st.markdown(
            "Test pictures are damaged at five published levels, each picture with noise of its own for "
            "every noise seed, the same for all methods. What comes back is compared with the **clean** "
            "picture. Intervals hold 95% and treat pictures as the units; who is better is decided by "
            "paired differences. Of PSNR, a picture that comes back as it was counts 58.9 dB, as if 8 bits had rounded it."
        )
        row = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
        usual = min(count, USUAL.pictures)
        pictures = row.selectbox(
            "Test pictures",
            sizes,
            sizes.index(usual),
            format_func="{:,}".format,
            key=f"pictures-{group.key}",
            bind="query-params",
            width=160,
        )
        seeds = row.selectbox(
            "Noise seeds", SEEDS, SEEDS.index(USUAL.seeds), key="noise-seeds", bind="query-params", width=160
        )
        classical = row.toggle(
            "Classical denoisers",
            value=are_there(runs[0], Protocol(int(pictures), int(seeds))),
            key="classical",
            bind="query-params",
            help="NL-means, total variation and wavelets of scikit-image, on 100 pictures: they are slow.",
        )
        search = row.toggle(
            "Codes by search", value=False, key="search", bind="query-params",
            help="Beside each encoder's code the best that a descent finds: inversion, for the GAN above all. On 100 pictures.",
        )  # fmt: skip
    return Wish(group, tuple(runs), Protocol(int(pictures), int(seeds)), bool(classical), bool(search))


def are_there(run: Run, protocol: Protocol) -> bool:
    """Whether the slow denoisers have been measured: then they come at no cost."""
    root, data = Store().root, run.record.dataset
    return all(baseline_file(root, key, data, protocol).exists() for key in CLASSICAL)


@st.cache_resource(max_entries=8, show_spinner="Reading what was measured…")
def _entries(
    root: str,
    ids: tuple[str, ...],
    kin: tuple[str, ...],
    protocol: Protocol,
    classical: bool,
    search: bool,
    stamp: tuple[int, ...],
) -> tuple[list[Entry], list[str]]:
    store = Store(Path(root))
    runs = tuple(store.run(id) for id in ids)
    lab = Lab(store, runs, protocol, classical, search)
    return lab.entries(runs[0].record.dataset, [store.run(id) for id in kin])
