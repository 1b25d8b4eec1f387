"""The whole contract: what a family is, and what the loop, the store, the command line and the pages rely on.

A family is one file in `core/families/` that reads like its paper: a frozen `Config` and a module with `loss`,
`encode`, `decode` and `sample`. Everything else is derived: forms, flags and JSON from the config, optimisers from
`players()`, pictures from the three methods. Classes are abstract or final; callers ask `issubclass`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from functools import cache, partial
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Self, get_type_hints

import torch
from torch import Tensor, nn

from core.mixture import Mixture

Shape = tuple[int, int, int]  # (channels, height, width)


# --- settings: a default, one line of help, a range -------------------------------------------------------------


MOST_NUMBERS = 16  # in a list; more would be a hostile file


class Span(NamedTuple):
    """Default, range and unit of a setting where they follow from another one."""

    default: float
    low: float
    high: float
    unit: str


class Setting(NamedTuple):
    """One field of a config, as forms and flags need it."""

    name: str
    kind: Any  # int, float, bool, str or tuple[int, ...]
    default: Any
    help: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    when: Mapping[str, tuple[str, ...]]  # the setting acts only where the config has one of these values
    by: tuple[str, Mapping[str, Span]] | None  # the setting that decides on default and range, and how

    def beside(self, others: Mapping[str, Any]) -> Setting:
        """This setting with the default and range that it has beside the values of others."""
        name, spans = self.by or ("", {})
        span = spans.get(str(others.get(name)))
        if span is None:
            return self
        help = f"{self.help}: {span.unit}"
        return self._replace(default=span.default, low=span.low, high=span.high, help=help)

    def acts(self, others: Mapping[str, Any]) -> bool:
        """Whether it makes a difference beside these values."""
        return all(others[name] in values for name, values in self.when.items())

    def check(self, value: Any) -> Any:
        """`value` in this setting's type. Raises ValueError in words where it does not fit."""
        if self.kind == tuple[int, ...]:
            if not isinstance(value, list | tuple) or not all(type(v) is int and v > 0 for v in value):
                raise ValueError(
                    f"{self.name} takes positive whole numbers separated by commas, not {value!r}"
                )
            if len(value) > MOST_NUMBERS:
                raise ValueError(f"{self.name} takes at most {MOST_NUMBERS} numbers, not {len(value)}")
            if self.low is not None and value and min(value) < self.low:
                raise ValueError(f"{self.name} takes numbers from {self.low} on, not {min(value)}")
            if self.high is not None and max(value, default=0) > self.high:
                raise ValueError(f"{self.name} takes numbers up to {self.high}, not {max(value)}")
            return tuple(value)
        if self.kind is float and type(value) is int:
            with suppress(OverflowError):
                value = float(value)
        if type(value) is not self.kind:
            raise ValueError(f"{self.name} takes {self.kind.__name__}, not {value!r}")
        if self.choices and value not in self.choices:
            raise ValueError(f"{self.name} is one of {', '.join(self.choices)}, not {value!r}")
        if self.kind is float and not math.isfinite(value):
            raise ValueError(f"{self.name} has to be finite, not {value!r}")
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            raise ValueError(f"{self.name} lies between {self.low} and {self.high}, not {value!r}")
        return value

    def text(self, value: Any) -> str:
        """What `parse` takes for `value`."""
        if isinstance(value, tuple):
            return ",".join(map(str, value))
        return str(value).lower() if isinstance(value, bool) else str(value)

    def parse(self, text: str) -> Any:
        """The value that `text` (a flag, a form) writes down."""
        try:
            if self.kind == tuple[int, ...]:
                return self.check([int(part) for part in text.split(",") if part.strip()])
            if self.kind is bool:
                return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
                    text.lower()
                ]
            return self.check(self.kind(text))
        except (KeyError, ValueError) as error:
            if isinstance(error, ValueError) and str(error).startswith(self.name):
                raise
            kind = "numbers separated by commas" if self.kind == tuple[int, ...] else self.kind.__name__
            raise ValueError(f"{self.name} takes {kind}, not {text!r}") from None


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    when: Mapping[str, tuple[str, ...]] | None = None,
    by: tuple[str, Mapping[str, Span]] | None = None,
) -> Any:
    """A config field that explains itself.

    `when` names the values of other settings under which it acts, `by` the one on which its default and range depend.
    """
    words = dict(help=help, low=low, high=high, choices=choices, when=when or {}, by=by)
    return field(default=default, metadata=words)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of a family, validated at construction. A number is a setting; other mathematics is another family."""

    def __post_init__(self) -> None:
        for one in self.settings():
            checked = one.beside(vars(self)).check(getattr(self, one.name))
            object.__setattr__(self, one.name, checked)

    @classmethod
    @cache
    def settings(cls) -> tuple[Setting, ...]:
        hints = get_type_hints(cls)
        return tuple(Setting(f.name, hints[f.name], f.default, **f.metadata) for f in fields(cls))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """A missing setting takes its default; an unknown one is an error that names it."""
        known = {one.name for one in cls.settings()}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return cls(**cls.completed(values))

    @classmethod
    def parse(cls, assignments: Iterable[str]) -> Self:
        """A config from `name=value` texts."""
        by_name = {one.name: one for one in cls.settings()}
        values = {}
        for assignment in assignments:
            name, equals, text = assignment.partition("=")
            if not equals or name not in by_name:
                raise ValueError(f"{assignment!r} is not name=value with a name of {', '.join(by_name)}")
            values[name] = by_name[name].parse(text)
        return cls(**cls.completed(values))

    @classmethod
    def completed(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """With the defaults of what is missing, in the order of the fields: what others depend on comes first."""
        full: dict[str, Any] = {}
        for one in cls.settings():
            full[one.name] = values.get(one.name, one.beside(full).default)
        return full

    def to_json(self) -> dict[str, Any]:
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }


# --- one step of training ---------------------------------------------------------------------------------------


class Loss(NamedTuple):
    """Named terms, each a scalar in units per picture: the gradient sees the sum of `minimise`, `watch` is only shown."""

    minimise: dict[str, Tensor]
    watch: Mapping[str, Tensor] = MappingProxyType({})

    @property
    def total(self) -> Tensor:
        return torch.stack(list(self.minimise.values())).sum()


@dataclass(frozen=True)
class Turn:
    """Whose step it is, how far training has come, and the only source of randomness."""

    rng: torch.Generator
    player: str = "model"
    step: int = 0
    progress: float = 0.0  # 0 at the first step, 1 at the end


class Player(NamedTuple):
    """A part of the model with an optimiser of its own, taking its turn at every `every`-th step."""

    name: str
    module: nn.Module
    optimiser: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    every: int = 1


def adam(lr: float, betas: tuple[float, float] = (0.9, 0.999)) -> Callable[..., torch.optim.Optimizer]:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980) in its fused form."""
    return partial(torch.optim.Adam, lr=lr, betas=betas, fused=True)


def noise_like(t: Tensor, rng: torch.Generator) -> Tensor:
    """Standard normal noise in the shape of `t`, drawn where the generator lives."""
    return torch.randn(t.shape, generator=rng, device=rng.device, dtype=t.dtype).to(t.device)


# --- families ---------------------------------------------------------------------------------------------------


class Family(nn.Module, ABC):
    """A model with its objective. Subclasses are abstract or final."""

    key: ClassVar[str]  # in file names, URLs and flags
    title: ClassVar[str]
    paper: ClassVar[str]
    idea: ClassVar[str]  # one sentence
    choose: ClassVar[str]  # "Choose this one when …"
    objective: ClassVar[str]  # LaTeX
    symbol: ClassVar[str]  # name of a Material symbol
    headline: ClassVar[str]  # the validation number that training is to lower
    sampling: ClassVar[str]  # how the further pictures of `preview` come about
    Config: ClassVar[type[Config]]

    def __init__(self, config: Any, shape: Shape) -> None:
        super().__init__()
        self.config, self.shape = config, shape

    @property
    def device(self) -> torch.device:
        """Of its parameters, which lie together."""
        return next(self.parameters()).device

    def initialise(self, rng: torch.Generator) -> None:
        """Draw fresh weights: He et al. 2015 (arXiv:1502.01852), eq. 10. PyTorch's default ends worse than PCA here.

        Biases are drawn, too: with zeros a black picture is all zeros at every layer, and each normalisation would then
        multiply its gradient by 1/sqrt(eps). One black picture in twenty was seen to ruin a GAN.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=rng)
                bound = module.weight[0].numel() ** -0.5
                if module.bias is not None:
                    nn.init.uniform_(module.bias, -bound, bound, generator=rng)

    @abstractmethod
    def loss(self, x: Tensor, turn: Turn) -> Loss:
        """What the player whose turn it is minimises on x (B,C,H,W) in [0,1]. Works under `torch.no_grad`, too."""

    @abstractmethod
    def reconstruct(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C,H,W), both in [0,1]."""

    @abstractmethod
    def preview(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Two rows for whoever watches: what becomes of pictures x (n,C,H,W), and further pictures (m,C,H,W)."""

    def players(self) -> tuple[Player, ...]:
        return (Player("model", self, adam(self.config.lr)),)

    def after_step(self, turn: Turn) -> None:
        """Called after each player's step: weight averages, unit norms."""


class Autoencoder(Family):
    """Picture to code and back, and new pictures from drawn codes."""

    sampling = "drawn from a Gaussian mixture over training codes"
    from_prior: ClassVar[bool] = False  # whether it samples from N(0, I)

    def __init__(self, config: Any, shape: Shape) -> None:
        super().__init__(config, shape)
        self.mixture = Mixture(config.latent_dim)

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """(B,C,H,W) in [0,1] -> (B,Z), without noise: a VAE gives the mean."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """(B,Z) -> (B,C,H,W) in [0,1]."""

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def preview(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Reconstructions, and twice as many new pictures."""
        return self.reconstruct(x), self.sample(2 * len(x), rng)

    def fit(self, codes: Tensor, rng: torch.Generator) -> None:
        """Learn from training codes (N,Z) what `sample` needs; kept in buffers, so it travels with the weights."""
        self.mixture.fit(codes, rng)

    def draw_codes(self, n: int, rng: torch.Generator) -> Tensor:
        """The codes (n,Z) that `sample` decodes; how they are drawn stands in `sampling`."""
        if self.from_prior:
            return noise_like(torch.empty(n, self.config.latent_dim, device=self.device), rng)
        return self.mixture.draw(n, rng)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """-> (n,C,H,W) in [0,1]."""
        return self.decode(self.draw_codes(n, rng))

    def code_numbers(self) -> int:
        """How many numbers a code keeps of a picture: its length, unless most of it is zero by construction."""
        return self.config.latent_dim

    def code_bits(self) -> float:
        """Bits of a code at 32 a number, with the indices that a sparse code has to name."""
        return 32.0 * self.code_numbers()


class Restorer(Family):
    """A photograph to a better one, of any height and width. Learns on crops of pieces of `shape`."""

    sampling = "as they came in"

    @abstractmethod
    def restore(self, x: Tensor, sigma: float | Tensor | None = None) -> Tensor:
        """(B,3,H,W) -> (B,3,H,W), unclipped around [0,1]; `sigma` (B,), in the same units, is estimated where it is not told."""

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.restore(x).clamp(0, 1)
