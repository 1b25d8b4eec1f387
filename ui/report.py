"""What can be quoted of a run, in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import streamlit as st

from core import report
from core.corruption import LEVELS, NOISES
from core.data import is_offered
from core.families import family
from core.family import Family
from core.store import Run
from ui import datasets, jobs
from ui.downloads import download
from ui.html import block
from ui.meanings import listed
from ui.runs import has_codes
from ui.words import signed

Section = Mapping[str, Any]
SOURCES = {
    "gaussian": "from one Gaussian over codes",
    "mixture": "from a mixture over codes",
    "reconstructions": "reconstructions",
    "interpolations": "halfway between two pictures",
}
STYLE = """<style>
.bn .facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.2rem, 1fr)); gap: 0.7rem 1.1rem; }
.bn .facts .label { margin: 0; }
.bn .facts .sum { margin: 0; font-weight: 600; }
.bn .part { font-weight: 600; margin: 1.1rem 0 0.4rem; border-bottom: 1px solid #8884; padding-bottom: 0.2rem; }
.bn .drawn { border-collapse: collapse; width: 100%; font-size: 0.88rem; }
.bn .drawn th { font-weight: 400; opacity: 0.72; text-align: right; padding: 0.25rem 0.6rem; vertical-align: bottom; }
.bn .drawn td { text-align: right; padding: 0.25rem 0.6rem; border-top: 1px solid #8883; }
.bn .drawn th:first-child, .bn .drawn td:first-child { text-align: left; padding-left: 0; }
.bn .bars { display: inline-flex; align-items: flex-end; gap: 1px; height: 1.4rem; }
.bn .bars i { width: 0.45rem; background: currentColor; opacity: 0.55; min-height: 1px; }
</style>"""


def show(run: Run) -> None:
    """The report of an autoencoder, or the way to it."""
    if not has_codes(run):
        return
    found = report.kept(run)
    examination(run, found)
    if found:
        learnt_on = str(getattr(run.record.settings(), "noise", ""))
        classes = run.record.dataset.get("class_names", [])
        st.html(block(STYLE, *parts(found, family(run.record.family), learnt_on, classes)))
        with st.container(horizontal=True):
            told = json.dumps(found, indent=1)
            download(
                "Scores", lambda: told, f"{run.id}-scores.json", "application/json", "data_object", quiet=True
            )
            if "judge" in found:
                with st.popover("How new pictures are measured", icon=":material/help:", type="tertiary"):
                    st.markdown(listed("Classifier-Fréchet", "Precision", "Recall", "Sure", "Diversity"))


def examination(run: Run, found: report.Report | None) -> None:
    """A button that has it examined, or how far that is."""
    examining = ["evaluate", run.id, "--keep"]
    if found or not run.weights_file.exists() or jobs.at_work(jobs.latest(examining)):
        return
    name = run.record.dataset["name"]
    if not is_offered(name):
        st.caption(f"Not examined yet, which takes the pictures. {datasets.where_from(name)}")
        return
    words, button = st.columns([4, 1], vertical_alignment="center")
    words.caption(
        "Not examined yet: what its codes tell, how good its new pictures are, and what its family is asked for. A minute or two."
    )
    if button.button("Examine", icon=":material/lab_profile:", width="stretch", key=f"examine-{run.id}"):
        jobs.start((examining, f"Scores of {run.title}"))


# --- in words ---------------------------------------------------------------------------------------------------


class Fact(NamedTuple):
    label: str
    value: str
    note: str = ""


def parts(found: report.Report, kind: type[Family], learnt_on: str, classes: Sequence[str]) -> list[str]:
    """HTML of every section that is there and whole; a denoiser has learnt on one kind of noise."""
    plain = [part(title, section(found)) for title, section in TOLD.items()]
    prior = {"gaussian": "from the prior"} if report.own_samples(kind) == "gaussian" else {}
    return [
        *filter(None, plain),
        gains(found.get("denoising", {}), learnt_on),
        generated(found, SOURCES | prior, classes),
    ]


def part(title: str, facts: Sequence[Fact]) -> str:
    cells = "".join(
        f'<div><div class="label">{escape(label)}</div><div class="sum">{escape(value)}</div><small>{escape(note)}</small></div>'
        for label, value, note in facts
    )
    return f'<div class="part">{escape(title)}</div><div class="facts">{cells}</div>' if cells else ""


def told(*facts: Callable[[Section], Fact]) -> Callable[[Section], list[Fact]]:
    """Those facts whose numbers are there: what lies in a store may lack any of them."""

    def of(section: Section) -> list[Fact]:
        found = []
        for fact in facts:
            try:
                found.append(fact(section))
            except (KeyError, TypeError, ValueError):
                continue
        return found

    return of


RECONSTRUCTION = told(
    lambda s: Fact("SSE ↓", f"{s['sse']:.2f}", f"PCA with {s['pca_numbers']:.0f} numbers: {s['pca_sse']:.2f}")
    if "pca_sse" in s else Fact("SSE ↓", f"{s['sse']:.2f}"),
    lambda s: Fact("PSNR ↑", f"{s['psnr']:.2f} dB" if "psnr" in s else "∞ dB", f"of {s['n']:,.0f} test pictures"),
    lambda s: Fact("SSIM ↑", f"{s['ssim']:.4f}", f"of {s['ssim_n']:,.0f} of them"),
    lambda s: Fact("SSE of training pictures", f"{s['train_sse']:.2f}", "far below: learnt by heart"),
)  # fmt: skip
CODES = told(
    lambda s: Fact("Linear probe, error ↓", f"{s['probe_error']:.2%}", f"from {s['n']:,.0f} training codes"),
    lambda s: Fact(
        "k-NN, accuracy ↑", f"{s['knn_accuracy']:.2%}", f"{s['voters']:.0f} nearest of the same codes"
    ),
    lambda s: Fact(
        "Trustworthiness ↑",
        f"{s['trustworthiness']:.3f}",
        f"{s['neighbours']:.0f} neighbours, {s['trustworthiness_n']:,.0f} pictures",
    ),
)
CONTRACTION = told(
    lambda s: Fact("Mean ‖J‖", f"{s['jacobian']:.3g}", f"exact, {s['n']:,.0f} pictures"),
    lambda s: Fact(
        "‖J‖ / spread of codes ↓", f"{s['relative_jacobian']:.3g}", "the same however codes are scaled"
    ),
    lambda s: Fact("Saturated numbers", f"{s['saturation']:.1%}", "below 0.05 or above 0.95"),
)
LIKELIHOOD = told(
    lambda s: Fact(
        "NLL ↓",
        f"{s['nll']:.2f} ± {s['nll_error']:.2f}",
        f"nats, ± standard error; k = {s['importance_samples']:,.0f}, {seen(s, 'nll_n')}",
    ),
    lambda s: Fact("−ELBO ↓", f"{s['negative_elbo']:.2f}", f"nats, {seen(s, 'n')}"),
    lambda s: Fact("KL", f"{s['kl']:.2f}", "nats, of the code"),
    lambda s: Fact(
        "Active numbers", f"{s['active']:.0f} of {s['numbers']:.0f}", "variance of the mean above 0.01"
    ),
)
SPARSITY = told(
    lambda s: Fact("L0", f"{s['l0']:.1f}", f"units at work of {s['units']:,.0f}"),
    lambda s: Fact("Dead", f"{s['dead']:.1%}", "never at work on a test picture"),
    lambda s: Fact("Always on", f"{s['always_on']:.1%}", "at work on every one"),
    lambda s: Fact("Explained variance ↑", f"{s['explained_variance']:.1%}"),
)


def seen(section: Section, count: str) -> str:
    """How many pictures, and whether they were made black and white: other pixels have other likelihoods."""
    return f"{section[count]:,.0f} pictures{', binarised at random' if section['binarised'] else ''}"


TOLD: Mapping[str, Callable[[report.Report], list[Fact]]] = {
    "What comes back": lambda found: RECONSTRUCTION(found.get("reconstruction", {})),
    "Likelihood": lambda found: LIKELIHOOD(found.get("vae", {})),
    "Units at work": lambda found: SPARSITY(found.get("sparse", {})),
    "What the codes tell": lambda found: CODES(found.get("codes", {})),
    "How far a code moves with its picture": lambda found: CONTRACTION(found.get("contraction", {})),
}


def gains(section: Section, learnt_on: str) -> str:
    """A table of noises by level."""
    measured = [one for one in NOISES if isinstance(section.get(one.name), list)]
    if not measured or "n" not in section:
        return ""
    rows = []
    for one in measured:
        title = f"{one.title}, learnt on" if one.name == learnt_on else one.title
        cells = "".join(f"<td>{'+' * (gain > 0)}{signed(gain)} dB</td>" for gain in section[one.name])
        rows.append(f"<tr><td>{escape(title)}</td>{cells}</tr>")
    heads = "".join(f"<th>level {level}</th>" for level in LEVELS)
    return (
        '<div class="part">Gained over leaving the noise</div><div class="scroll"><table class="drawn">'
        f"<tr><th></th>{heads}</tr>{''.join(rows)}</table></div>"
        f"<small>PSNR, {section['n']:,.0f} pictures, at the published levels of each noise.</small>"
    )


def generated(found: report.Report, sources: Mapping[str, str], classes: Sequence[str]) -> str:
    """A table of the sources of pictures in the eyes of the judge."""
    judge = found.get("judge", {})
    rows = [row(title, found[key], classes) for key, title in sources.items() if key in found]
    if "classes" in judge:
        rows.append(row("test pictures", {"classes": judge["classes"]}, classes))
    if not rows or not {"accuracy", "floor", "n"} <= set(judge):
        return ""
    heads = ("", "classifier-Fréchet ↓", "precision ↑", "recall ↑", "sure ↑", "diversity", "classes")
    note = (
        f"{judge['n']:,.0f} pictures each, in the features of a small classifier that is right on {judge['accuracy']:.2%} of the "
        f"test pictures. As many training pictures lie {judge['floor']:.2f} from them: nothing drawn can come closer."
    )
    table = f"<tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{''.join(rows)}"
    return (
        f'<div class="part">New pictures</div><div class="scroll"><table class="drawn">{table}</table></div>'
        f"<small>{escape(note)}</small>"
    )


def row(title: str, section: Section, classes: Sequence[str]) -> str:
    forms = {
        "frechet": "{:.2f}",
        "precision": "{:.3f}",
        "recall": "{:.3f}",
        "sure": "{:.1%}",
        "diversity": "{:.2f}",
    }
    cells = [
        form.format(section[name]) if isinstance(section.get(name), int | float) else "–"
        for name, form in forms.items()
    ]
    shares = section.get("classes")
    cells.append(bars(shares, classes) if isinstance(shares, list) and shares else "–")
    return f"<tr><td>{escape(title)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def bars(shares: Sequence[float], names: Sequence[str]) -> str:
    most = max(max(shares), 1e-9)
    drawn = "".join(
        f'<i style="height: {max(0.0, share) / most:.0%}" title="{escape(str(name))}: {share:.1%}"></i>'
        for name, share in zip(names, shares, strict=False)
    )
    return f'<span class="bars">{drawn}</span>'
