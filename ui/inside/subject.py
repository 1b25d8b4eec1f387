"""What the page is about: a VAE, a picture, and what is known of both."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import streamlit as st
import torch
from torch import Tensor

from core import elbo, objectives
from core.families.vae import VAE
from core.store import Run
from ui import runs
from ui.inputs import Input
from ui.theme import colour
from ui.words import command

TINT = colour(VAE.key)
CHARTED = 24  # numbers of the code


@dataclass(frozen=True, eq=False)
class Subject:
    """A VAE and the picture that is put into it."""

    run: Run
    model: VAE
    group: runs.Group
    picture: Input
    x: Tensor  # (1,C,H,W)

    @cached_property
    def posterior(self) -> tuple[Tensor, Tensor]:
        """mu and sigma, each (Z,)."""
        with torch.inference_mode():
            mu, log_var = self.model.posterior(self.x)
        return mu[0], (0.5 * log_var[0]).exp()

    @cached_property
    def kl(self) -> Tensor:
        """(Z,) of this picture."""
        mu, sigma = self.posterior
        return objectives.gaussian_kl(mu[None], 2 * sigma[None].log())[0]

    @property
    def survey(self) -> elbo.Survey | None:
        return runs.survey(self.run)

    @cached_property
    def order(self) -> list[int]:
        """The numbers of the code, those that say most first: over the test pictures where they were measured."""
        told = self.survey.kl_by_dimension if self.survey else self.kl
        return told.argsort(descending=True).tolist()

    def active(self, number: int) -> bool:
        return self.survey is None or bool(self.survey.active[number])

    @cached_property
    def fingerprint(self) -> str:
        """Of model and picture."""
        digest = hashlib.sha256(self.x.numpy().tobytes() + f"{self.run.id}/{runs.stamp(self.run)}".encode())
        return digest.hexdigest()[:16]


def numbers(run: Run) -> int:
    """How long the code of a run is."""
    return int(run.record.settings().latent_dim)  # type: ignore[attr-defined]


# --- what chapters share ----------------------------------------------------------------------------------------


def equation(text: str, words: str) -> None:
    """An equation that is folded until it is asked for."""
    with st.popover("Equation", icon=":material/function:", type="tertiary"):
        st.latex(text)
        st.markdown(words)


def told_of_measuring(run: Run) -> None:
    """Why a number is missing, and how it comes about."""
    st.caption(
        f"The test pictures have not been measured for this run. {command('evaluate', run.id, '--keep')} does it."
    )


def subscript(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
