"""The model doctor: what is wrong with a run, by the numbers that show it, and what to change.

    history   metrics.jsonl: always there          report   core.report: once the run was evaluated; sees more

Each illness is a function with its criterion and why the threshold lies where it does: between what well trained models were
seen to do and what models did that had been made ill on purpose. "The box" are the runs that come with the app. A number that is
missing accuses nobody, and neither does a run that is still being trained.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from core.errors import one_line

if TYPE_CHECKING:
    from core.run import Run

LONGEST_NAME = 40  # of a class
LATE = 5  # the last fifth of the epochs


# Settings, and "epochs" or "seconds", as a new run would have them; empty where what is advised is no setting.
Remedy = Mapping[str, Any]
NO_SETTING: Remedy = MappingProxyType({})


class Finding(NamedTuple):
    """One illness of one run, in words for people."""

    key: str
    title: str
    evidence: str  # with the numbers that were measured
    advice: str  # which setting to change, from what to what
    remedy: Remedy = NO_SETTING


class Advice(NamedTuple):
    words: str
    remedy: Remedy = NO_SETTING

    def within(self, sentence: str) -> Advice:
        return self._replace(words=sentence.format(self.words))


@dataclass(frozen=True)
class Patient:
    """What the doctor looks at. Settings, terms and measures may be missing; what is no finite number counts as missing."""

    family: str
    config: Mapping[str, Any]
    plan: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]  # as `Run.metrics` gives it
    report: Mapping[str, Mapping[str, Any]] | None = None  # as `core.report.kept` gives it
    status: str = "completed"
    headline: str = ""  # the validation number that training is to lower
    samples: str = "mixture"  # the section of the report on pictures drawn as this family draws them
    pixels: int = 0  # numbers in a picture
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # of settings and plans
    classes: Sequence[str] = ()  # their names

    def setting(self, name: str) -> float | None:
        return number(self.config.get(name))

    def measured(self, section: str, name: str) -> float | None:
        return number((self.report or {}).get(section, {}).get(name))

    def shares(self, section: str) -> list[float]:
        """Of each class among the pictures of a section; none where one is missing."""
        found = (self.report or {}).get(section, {}).get("classes")
        numbers = [number(share) for share in found] if isinstance(found, list) else []
        return [] if None in numbers else [share for share in numbers if share is not None]

    def course(self, *terms: tuple[str, str]) -> list[tuple[float, ...]]:
        """Of terms such as ("train", "kl"), by epoch; epochs that lack one of them are left out."""
        rows = [[number(row[side].get(name)) for side, name in terms] for row in self.history]
        return [tuple(value for value in row if value is not None) for row in rows if None not in row]

    def epoch(self, place: int) -> int:
        """Of a line of the history, which leaves some out where there are thousands."""
        return int(number(self.history[place].get("epoch")) or place + 1)

    @property
    def epochs(self) -> int:
        return self.epoch(len(self.history) - 1) if self.history else 0

    def late(self, side: str, name: str) -> float | None:
        """The mean of a term over the last fifth of the epochs."""
        values = [value for (value,) in self.course((side, name))]
        return mean(latest(values)) if values else None


def number(value: Any) -> float | None:
    """As a float; None where it is no finite one."""
    try:
        return float(value) if type(value) in (int, float) and math.isfinite(value) else None
    except OverflowError:
        return None


def latest(values: Sequence[Any]) -> Sequence[Any]:
    """The last fifth, but at least one."""
    return values[-math.ceil(len(values) / LATE) :]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def patient(run: Run) -> Patient:
    """A run as the doctor sees it."""
    from core.families import family
    from core.report import kept, own_samples
    from core.training import LIMITS

    kind = family(run.record.family)
    limits: dict[str, tuple[float, float]] = {name: (low, high) for name, (_, low, high) in LIMITS.items()}
    config = run.record.settings().to_json()
    for one in (each.beside(config) for each in kind.Config.settings()):
        if one.low is not None and one.high is not None:
            limits[one.name] = (one.low, one.high)
    return Patient(
        family=kind.key,
        config=config,
        plan=run.record.plan,
        history=evened(run.metrics()),
        report=kept(run),
        status=run.status,
        headline=lowered(kind.headline, config),
        samples=own_samples(kind),
        pixels=math.prod(run.record.shape),
        limits=limits,
        classes=run.record.dataset.get("class_names", ()),
    )


def lowered(headline: str, config: Mapping[str, Any]) -> str:
    """The validation number that training lowers: where beta is near 0 not the ELBO's, in which the KL counts in full."""
    beta = number(config.get("beta"))
    return headline if beta is None or beta >= NO_PRIOR else "reconstruction"


def evened(history: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Lines as far apart as the furthest: where thousands of epochs leave some out, they leave out more towards the end, and the
    last fifth of the lines is to be that of the epochs. Shorter ones may lack a broken line, which is no reason to lose others.
    """
    from core.run import EPOCHS_KEPT

    if not history or history[-1]["epoch"] <= EPOCHS_KEPT:
        return [*history]
    apart = max((after["epoch"] - before["epoch"] for before, after in pairwise(history)), default=1)
    kept: list[Mapping[str, Any]] = []
    for line in reversed(history):  # the last one is what a run is judged by
        if not kept or kept[-1]["epoch"] - line["epoch"] >= apart:
            kept.append(line)
    return kept[::-1]


def diagnose(patient: Patient) -> list[Finding]:
    """Everything that is wrong, what explains the most first; nothing of a run that has not ended. Never raises."""
    if patient.status in ("created", "running"):
        return []
    return [found for illness in ILLNESSES if (found := illness(patient)) is not None]


# --- how it ended -----------------------------------------------------------------------------------------------


def diverged(patient: Patient) -> Finding | None:
    """The record says so: a loss or a weight stopped being finite."""
    if patient.status != "diverged":
        return None
    return Finding(
        "diverged",
        "Training broke down",
        f"A number stopped being finite after {epochs(patient.epochs)}; the model is the last one before that.",
        *change(patient, "lr", 1 / 3).within("Train a new run with smaller steps: {}."),
    )


NEARLY = 0.9  # of the plan


def unfinished(patient: Patient) -> Finding | None:
    """Stopped or interrupted before the end of its plan: the learning rate, which falls along a cosine, was still high.

    In the box the second half of training, with the rate below half its peak, took 2 to 20 % off the error, and 2 % at most off
    a negative ELBO. From nine tenths of the plan on the rate is below 3 % of its peak, and little is left to gain.
    """
    if patient.status not in ("stopped", "interrupted"):
        return None
    planned, seconds = number(patient.plan.get("epochs")), number(patient.plan.get("seconds"))
    done = patient.epochs
    spent = (number(patient.history[-1].get("seconds")) if done else None) or 0.0
    if planned is not None and done < NEARLY * planned:
        evidence = f"It has done {done} of {epochs(planned)}."
    elif seconds is not None and spent < NEARLY * seconds:
        evidence = f"Its last whole epoch ended after {spent:.0f} of {seconds:.0f} seconds."
    else:
        return None
    return Finding(
        "unfinished",
        "Training was stopped early",
        f"{evidence} The learning rate had not come down yet.",
        "Resume it: much is gained while the learning rate falls to 0.",
    )


# --- variational autoencoders -----------------------------------------------------------------------------------

LEAST_KL = 0.5  # nats
FEW_NUMBERS = 4  # of which one alone may be all that is needed
BURDA = 1 / 3  # of the numbers: their own healthy nets used 19 of 50
KL_PER_NUMBER = 0.25, 4.5  # nats
NO_PRIOR = 0.5  # beta below which the prior shapes little
STRONG_BETA = 2.0


def posterior_collapse(patient: Patient) -> Finding | None:
    """The KL is below 0.5 nats, or at most one number of four or more is active (Burda et al. 2016, sec. 5.1).

    The KL bounds what a code tells of its picture (Hoffman & Johnson 2016, "ELBO surgery"): with 0.5 nats 1.6 pictures can be
    told apart. In the box it is 2.2 nats or more, digits with beta 1 have 2.6 or more; beta 4, 10 and 100 left 0.03 or less.
    """
    kl, active, numbers = code(patient)
    empty = kl is not None and kl < LEAST_KL
    lone = active is not None and active <= 1 and numbers is not None and numbers >= FEW_NUMBERS
    if not empty and not lone:
        return None
    counted = "" if active is None else f" Active numbers: {active:.0f} of {numbers or 0:.0f}."
    held = "" if kl is None else f"The code tells {told(kl)} nats of a picture."
    return Finding(
        "posterior-collapse",
        "The code is hardly used",
        f"{held}{counted}{' The decoder draws about the same picture whatever the code.' if empty else ''}".strip(),
        *less_pressure(patient),
    )


def strong_kl(patient: Patient) -> Finding | None:
    """beta is at least 2, and what is kept is little: no more than PCA keeps, or fewer than a third of the numbers are active.

    Without a report: less than 0.25 nats per number, for an active one was seen to hold 0.6 to 3.4. In the box beta 1 uses 38 to
    80 %, beta 4 uses 4 of 16, beta 10 one or two of them. Digits have 5 of 32 and no less error than PCA with beta 1, which is
    what the data ask for: a beta between 1 and 2 is not to blame for what 1 would leave as it is.
    """
    beta = patient.setting("beta")
    if beta is None or beta < STRONG_BETA or posterior_collapse(patient) is not None:
        return None
    kl, active, numbers = code(patient)
    sse, pca = patient.measured("reconstruction", "sse"), patient.measured("reconstruction", "pca_sse")
    signs = []
    if sse is not None and pca is not None and sse >= pca:
        signs.append(f"the error of a picture is {told(sse)}, that of PCA with as many numbers {told(pca)}")
    if active is not None and numbers is not None and active < BURDA * numbers:
        signs.append(f"{active:.0f} of {numbers:.0f} numbers are active")
    if not signs and kl is not None and numbers is not None and kl < KL_PER_NUMBER[0] * numbers:
        signs.append(f"all {numbers:.0f} numbers together hold {told(kl)} nats")
    if not signs:
        return None
    return Finding(
        "strong-kl",
        "The KL term weighs too much",
        f"beta is {beta:g}, and {', and '.join(signs)}.",
        *less_pressure(patient),
    )


def weak_kl(patient: Patient) -> Finding | None:
    """beta is below 0.5 and a number of the code holds more than 4.5 nats: codes are points, with gaps between them.

    In the box beta 0 ends at 8.2 to 9.2 nats per number, beta 0.5 and more at 3.8 or less; digits with beta 0 at 5.1.
    """
    beta = patient.setting("beta")
    kl, _, numbers = code(patient)
    if beta is None or beta >= NO_PRIOR or kl is None or not numbers or kl / numbers <= KL_PER_NUMBER[1]:
        return None
    prior, mixture = patient.measured("gaussian", "frechet"), patient.measured("mixture", "frechet")
    seen = ""
    if prior is not None and mixture is not None:
        seen = f" Pictures drawn from the prior lie {told(prior)} from the data, from a mixture over codes {told(mixture)}."
    return Finding(
        "weak-kl",
        "New pictures come from where no code lies",
        f"beta is {beta:g}, and the KL is {told(kl)} nats, {told(kl / numbers)} for each number of the code.{seen}",
        f"To draw new pictures, raise beta from {beta:g} to 1. For reconstructions it may stay.",
        {"beta": 1.0},
    )


def code(patient: Patient) -> tuple[float | None, float | None, float | None]:
    """Of a VAE: KL in nats, active numbers, and all numbers; the report's where there is one."""
    kl, numbers = patient.measured("vae", "kl"), patient.measured("vae", "numbers")
    return (
        patient.late("validation", "kl_nats") if kl is None else kl,
        patient.measured("vae", "active"),
        patient.setting("latent_dim") if numbers is None else numbers,
    )


def less_pressure(patient: Patient) -> Advice:
    """Lower beta to 1, else let it rise slowly, else lower it further."""
    beta, warmup = patient.setting("beta"), patient.setting("warmup")
    if (patient.setting("importance_samples") or 1) > 1:  # which allow beta 1 and no warm-up alone
        return change(patient, "lr", 1 / 3).within("Train with smaller steps: {}.")
    if beta is not None and beta > 1:
        words = f"Lower beta from {beta:g} to 1; if beta has to be high, set warmup to 0.5, so that it rises slowly."
        return Advice(words, {"beta": 1.0})
    if not warmup:
        return Advice("Let beta rise slowly: set warmup from 0 to 0.5.", {"warmup": 0.5})
    return change(patient, "beta", 0.5).within("Make beta smaller: {}.")


# --- sparse autoencoders ----------------------------------------------------------------------------------------

DEAD = 0.1  # of the units, beside what chance leaves silent
FIXED = 0.5  # of those that speak
ENOUGH = 50  # pictures, before anything is said of what all of them share


def dead_units(patient: Patient) -> Finding | None:
    """More than a tenth of the units speak for no test picture, beside those that chance leaves silent.

    A unit that speaks for its share p = L0 / units of all pictures is silent for n of them with probability (1 - p)^n: over 20
    pictures that is 27 % of the units where 32 of 512 speak. In the box the TopK code of digits has 4 % dead units, of
    Fashion-MNIST 18 %, of MNIST 40 %: well trained, and yet it is true, for what is dead was paid for and does nothing.
    """
    dead, units = patient.measured("sparse", "dead"), patient.measured("sparse", "units")
    if dead is None or dead <= DEAD + silent_by_chance(patient):
        return None
    counted = "" if units is None else f", {dead * units:.0f} of {units:.0f}"
    return Finding(
        "dead-units",
        "Many units never speak",
        f"{dead:.0%} of the units{counted}, are silent for every test picture.",
        *more_speech(patient).within(
            f"Offer fewer units{fewer(units, dead)}, or let more of them speak: {{}}."
        ),
    )


def silent_by_chance(patient: Patient) -> float:
    """The share of healthy units that would speak for no test picture."""
    spoken, units, n = (patient.measured("sparse", name) for name in ("l0", "units", "n"))
    if spoken is None or not units or n is None or not 0 <= spoken <= units:
        return 0.0
    return float((1 - spoken / units) ** max(0.0, n))


def fixed_units(patient: Patient) -> Finding | None:
    """Units that speak for every test picture make up half of all that speaks: the code says the same of everything.

    In the box no unit always speaks, and after a short training with an L1 penalty one of 11 did; with ten times
    the penalty one of one did.
    """
    always, units = patient.measured("sparse", "always_on"), patient.measured("sparse", "units")
    spoken, n = patient.measured("sparse", "l0"), patient.measured("sparse", "n")
    if always is None or units is None or spoken is None or (n is not None and n < ENOUGH):
        return None
    if not 0 < FIXED * spoken <= always * units:
        return None
    return Finding(
        "fixed-units",
        "The same units speak for every picture",
        f"{always * units:.0f} units speak for every test picture, of {told(spoken)} that speak for one.",
        *more_speech(patient).within("Let more units speak: {}."),
    )


def fewer(units: float | None, dead: float) -> str:
    alive = 0 if units is None else units * (1 - dead)
    return f": latent_dim from {units:.0f} to {alive:.0f}" if units is not None and alive >= 1 else ""


def more_speech(patient: Patient) -> Advice:
    topk = patient.config.get("sparsity") == "topk"
    return change(patient, "k", 2) if topk else change(patient, "weight", 1 / 3)


# --- new pictures -----------------------------------------------------------------------------------------------

UNVARIED = 0.7  # of the data's diversity
ABSENT = 0.1  # of the share that a class has
SEEN_AT_ALL = 0.02  # share of pictures,
COUNTED = 10  # and their number, below which chance may leave out a class
SURE = 0.8  # share of pictures of which the judge has to be sure before classes are counted
STRONG_GAMMA = 1.0  # with 10, digits varied 0.62 times as much as the data, with 1000 0.28 times


def mode_collapse(patient: Patient) -> Finding | None:
    """New pictures vary less than 0.7 times as much as the data, or hardly any are of a class that a judge is sure to see.

    In the box they vary 0.91 to 1.0 times as much, after short or rough training 0.84; where the critic was held back 0.28 to
    0.62. Recall is told but accuses nobody: with two numbers per code it is 0.05, for a sheet passes few points of a space.
    A class is left out where it has a tenth of its share among test pictures; in the box it has a third or more, but
    with beta 0.
    """
    diversity, recall = (patient.measured(patient.samples, name) for name in ("diversity", "recall"))
    signs = []
    n = patient.measured("judge", "n")
    if diversity is not None and diversity < UNVARIED and (n is None or n >= ENOUGH):
        near = "" if recall is None else f" ({recall:.0%} of the test pictures have one like them)"
        signs.append(f"they vary {diversity:.2f} times as much as the data{near}")
    if lost := absent(patient):
        signs.append(f"hardly any show {', '.join(lost[:5])}")
    if not signs:
        return None
    return Finding(
        "mode-collapse",
        "New pictures are too much alike",
        f"Of pictures that the model draws: {', and '.join(signs)}.",
        *more_variety(patient),
    )


def absent(patient: Patient) -> list[str]:
    """The classes that are left out, by name."""
    sure = patient.measured(patient.samples, "sure")
    if sure is None or sure < SURE:
        return []
    drawn, usual = patient.shares(patient.samples), patient.shares("judge")
    n = patient.measured("judge", "n") or 0.0
    counted = [f"class {place}" for place, _ in enumerate(usual, 1)]
    named = patient.classes if len(patient.classes) == len(usual) else counted
    return [
        one_line(name, LONGEST_NAME)
        for name, share, expected in zip(named, drawn, usual, strict=False)
        if expected >= SEEN_AT_ALL and expected * n >= COUNTED and share < ABSENT * expected
    ]


def more_variety(patient: Patient) -> Advice:
    if "game" not in patient.config:
        return Advice(
            "Cure first what else is found here; if nothing is, train longer or with a larger latent_dim."
        )
    if patient.config["game"] == "non-saturating" and (patient.setting("gamma") or 0.0) > STRONG_GAMMA:
        return change(patient, "gamma", 0.1).within("The penalty holds the critic down: {}.")
    return steadied(patient)


# --- the game of a GAN ------------------------------------------------------------------------------------------

SATURATED = 0.3  # nats, where 2 ln 2 = 1.39 is a tie
UNBELIEVED = 2.0  # nats
TIE = 0.1  # difference of scores below which a ratio of differences is noise
BY_HEART = 0.6


def saturated_critic(patient: Patient) -> Finding | None:
    """The non-saturating game: over the last fifth the critic's loss is below 0.3 and the generator's above 2.

    A critic that tells all apart gives the generator noise to follow (Arjovsky & Bottou 2017, arXiv:1701.04862). In the box its
    loss is 0.96 to 1.30, without a penalty 1.18; against a generator that stands still it is 0.02. Not asked of WGAN-GP,
    where the loss is a distance: large is no illness there, and its unit is unknown.
    """
    if patient.config.get("game") != "non-saturating":
        return None
    critic, generator = patient.late("train", "critic"), patient.late("train", "generator")
    real, fake = patient.late("train", "real_score"), patient.late("train", "fake_score")
    if critic is None or generator is None or critic >= SATURATED or generator <= UNBELIEVED:
        return None
    scores = ""
    if real is not None and fake is not None:
        scores = f" It gives {told(real)} to real and {told(fake)} to new pictures."
    return Finding(
        "saturated-critic",
        "The critic cannot be fooled any more",
        f"Its loss is {told(critic)} where 1.39 is a tie, the generator's is {told(generator)}.{scores}",
        *steadied(patient),
    )


def critic_by_heart(patient: Patient) -> Finding | None:
    """The critic scores validation pictures more like new ones than like training pictures: r > 0.6 over the last fifth.

    r = (D(train) - D(validation)) / (D(train) - D(new)), eq. 1 of Karras et al. 2020 (arXiv:2006.06676), who aim at 0.6 with its
    companion. It is 0.4 at most in the box, but 0.9 for the GAN that saw 1,297 digits three hundred times.
    """
    real, fake = patient.late("train", "real_score"), patient.late("train", "fake_score")
    unseen = patient.late("validation", "real_score")
    if real is None or fake is None or unseen is None or real - fake < TIE:
        return None
    ratio = (real - unseen) / (real - fake)
    if not ratio > BY_HEART:
        return None
    advice = (
        Advice("set augment from false to true", {"augment": True})
        if patient.config.get("augment") is False
        else Advice("train on a larger dataset, or for fewer epochs")
    )
    return Finding(
        "critic-by-heart",
        "The critic knows the training pictures by heart",
        f"It gives {told(real)} to training, {told(unseen)} to validation and {told(fake)} to new pictures: "
        f"{ratio:.0%} of the way from known to false.",
        *advice.within("Show it more pictures: {}."),
    )


def steadied(patient: Patient) -> Advice:
    """A smoother critic, and smaller steps."""
    steps = change(patient, "lr", 1 / 3)
    if patient.config["game"] != "non-saturating":
        return steps.within("Steady the game: {}.")
    gamma = patient.setting("gamma") or 0.0
    more = within_limits(patient, "gamma", max(0.1, 10 * gamma))
    words = f"Steady the game: gamma from {gamma:g} to {more:g}, {steps.words}."
    return Advice(words, {"gamma": more, **steps.remedy})


# --- too little, too much ---------------------------------------------------------------------------------------

LEAST_STEPS = 500
STILL_FALLING = 0.05
WIDE = 4  # from a code of a quarter of the pixels on PCA loses next to nothing
RISEN = 0.05
EPOCHS_TO_RISE = 10
KNOWN_BETTER = 3.0


def undertrained(patient: Patient) -> Finding | None:
    """It was at its best when it ended, after under 500 steps, one epoch, or 5 % gained in the last fifth; or PCA is better.

    Digits took 800 steps to their best; 100 steps left three times the error, 400 steps 16 % more. In the box the last fifth
    brings 3.8 % at most, as the rate comes down. PCA is asked only of families that are after the plain error, with codes much
    smaller than a picture, and against training pictures: who beats it there has learnt enough, if not in general. Where a
    penalty is asked for too, that may be what holds the error up: `strong_penalty`.
    """
    if patient.status != "completed":
        return None
    signs = []
    values = [value for (value,) in patient.course(("validation", patient.headline))]
    steps = number(patient.history[-1].get("step")) if patient.history else None
    improving = bool(values) and min(values) == min(latest(values))
    if improving and steps is not None and (steps < LEAST_STEPS or len(values) == 1):
        signs.append(f"it ended after {steps:.0f} steps, in {epochs(patient.epochs)}")
    if improving and (fallen := late_fall(patient, values)) > STILL_FALLING:
        amount = f"{fallen:.2f} nats a pixel" if is_density(patient) else f"{fallen:.0%}"
        signs.append(
            f"the {in_words(patient.headline)} still fell by {amount} in the last fifth of the epochs"
        )
    if (behind := worse_than_pca(patient)) and not penalty(patient):
        signs.append(behind)
    if not signs:
        return None
    return Finding("under-training", "It has not learnt enough yet", f"{sentence(signs)}.", *longer(patient))


def strong_penalty(patient: Patient) -> Finding | None:
    """PCA has less error, though training had come to its end: the family's own penalty weighs more than the picture.

    Contractive codes of digits were behind it from a weight of 300 on, with an error that the last fifth lowered by 3 %. In the
    box no run with a penalty is behind PCA.
    """
    behind = worse_than_pca(patient)
    if (
        patient.status != "completed"
        or not behind
        or not penalty(patient)
        or undertrained(patient) is not None
    ):
        return None
    return Finding(
        "strong-penalty",
        "The penalty weighs more than the picture",
        f"The weight is {penalty(patient):g}, and {behind}, though training had come to its end.",
        *change(patient, "weight", 1 / 3).within("Let the picture count for more: {}."),
    )


def penalty(patient: Patient) -> float:
    """The weight of what is asked for beside the picture; 0 where nothing is."""
    return 0.0 if patient.config.get("sparsity") == "topk" else patient.setting("weight") or 0.0


def late_fall(patient: Patient, values: Sequence[float]) -> float:
    """By what share the headline fell over the last fifth; 0 where it is measured on drawn pictures, which is noise of 5 %."""
    before = values[: len(values) - len(latest(values))]
    if not before or patient.headline == "sample_distance":
        return 0.0
    return share_of(patient, before[-1] - values[-1], before[-1])


def share_of(patient: Patient, change: float, headline: float) -> float:
    """Of the headline's size; of a density, whose zero hangs on the unit of intensity, the nats of one pixel and channel.

    There 0.05 nats are 5 % of the deviation of a Gaussian.
    """
    if is_density(patient):
        return change / max(1, patient.pixels)
    return change / abs(headline) if headline else 0.0


def is_density(patient: Patient) -> bool:
    of_a_vae = patient.headline in ("negative_elbo", "reconstruction")
    return of_a_vae and patient.config.get("likelihood") == "gaussian"


def worse_than_pca(patient: Patient) -> str:
    pca, numbers = (patient.measured("reconstruction", name) for name in ("pca_train_sse", "pca_numbers"))
    error = patient.measured("reconstruction", "train_sse")
    if patient.headline != "mse" or pca is None or numbers is None or error is None:
        return ""
    if error < pca or WIDE * numbers > patient.pixels:
        return ""
    return f"the error of a training picture is {told(error)}, and PCA with {numbers:.0f} numbers has {told(pca)}"


def longer(patient: Patient) -> Advice:
    planned, seconds = number(patient.plan.get("epochs")), number(patient.plan.get("seconds"))
    for name, now in (("epochs", planned), ("seconds", seconds)):
        if now is not None and (more := within_limits(patient, name, 4 * now)) > now:
            words = f"Train longer: a new run with {more:.0f} {name} instead of {now:.0f}."
            return Advice(words, {name: more})
    return Advice("Train longer.")


def memorising(patient: Patient) -> Finding | None:
    """Validation got worse while training got better; or an unseen picture has three times the error of a training picture.

    Worse: for the last fifth of at least ten epochs the headline was 5 % above its lowest (`share_of`), and what training lowers
    fell since. In the box it rises by 0.2 % at most where there are 45,000 pictures or more, and by 6 to 66 % on emoji and
    digits. The ratio of errors is 1.3 at most, 1.6 for digits denoised, and 6 to 120 for those digits whose validation rose.
    """
    signs = []
    best = turning_point(patient)
    if best is not None:
        place, lowest, now = best
        signs.append(
            f"on validation pictures the {in_words(patient.headline)} was lowest, {told(lowest)}, after {epochs(place)} "
            f"and rose to {told(now)}, while training pictures got better"
        )
    seen, unseen = (patient.measured("reconstruction", name) for name in ("train_sse", "sse"))
    if seen is not None and unseen is not None and unseen > KNOWN_BETTER * seen:
        signs.append(
            f"the error is {told(unseen)} for a test picture and {told(seen)} for a training picture"
        )
    if not signs:
        return None
    shorter = f": {best[0]} epochs instead of {patient.epochs}" if best else ""
    return Finding(
        "memorising",
        "It learns the training pictures by heart",
        f"{sentence(signs)}.",
        f"Train for less long{shorter}, or on more pictures, or with a smaller net.",
        {"epochs": best[0]} if best else {},
    )


def turning_point(patient: Patient) -> tuple[int, float, float] | None:
    """The epoch from which on validation got worse and training better, and the headline then and now; None if it did not."""
    found = patient.course(("validation", patient.headline), ("train", like_for_like(patient)))
    if len(found) < EPOCHS_TO_RISE:
        return None
    validation, training = zip(*found, strict=True)
    lowest = min(validation)
    place = validation.index(lowest)
    if share_of(patient, min(latest(validation)) - lowest, lowest) <= RISEN:
        return None
    # an epoch's training mean is of weights before its validation: those of the lowest lie between two of them
    return (patient.epoch(place), lowest, validation[-1]) if training[-1] < training[place + 1] else None


def like_for_like(patient: Patient) -> str:
    """The training term beside the headline: its own name, or the reconstruction that lowers it."""
    terms = patient.history[-1]["train"] if patient.history else {}
    return patient.headline if patient.headline in terms else "reconstruction"


# --- words ------------------------------------------------------------------------------------------------------


def told(value: float) -> str:
    """Three figures, and no powers of ten where that can be avoided."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def change(patient: Patient, name: str, factor: float) -> Advice:
    """A setting from its value to that many times as much."""
    value = patient.setting(name)
    other = within_limits(patient, name, float(f"{factor * value:.2g}")) if value else value
    if not value or other is None or other == value:
        return Advice(f"a {'smaller' if factor < 1 else 'larger'} {name}")
    return Advice(f"{name} from {value:g} to {other:g}", {name: other})


def within_limits(patient: Patient, name: str, value: float) -> float:
    """As near to `value` as a new run may have it."""
    low, high = patient.limits.get(name, (-math.inf, math.inf))
    units = patient.setting("latent_dim") if name == "k" else None
    return max(low, min(value, high, units or math.inf))


def in_words(term: str) -> str:
    """The name of a term of an objective as people read it: "negative ELBO"."""
    return re.sub(r"\b(mse|kl|elbo)\b", lambda found: found[0].upper(), term.replace("_", " "))


def epochs(count: float) -> str:
    return f"{count:.0f} epoch{'' if count == 1 else 's'}"


def sentence(signs: Sequence[str]) -> str:
    joined = "; and ".join(signs)
    return joined[:1].upper() + joined[1:]


ILLNESSES: tuple[Callable[[Patient], Finding | None], ...] = (
    diverged,
    unfinished,
    posterior_collapse,
    strong_kl,
    weak_kl,
    dead_units,
    fixed_units,
    mode_collapse,
    saturated_critic,
    critic_by_heart,
    undertrained,
    strong_penalty,
    memorising,
)
