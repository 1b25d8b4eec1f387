"""What can be typed after `python -m core`: each file of verbs declares its own, with the flags they take."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

from core.verbs.console import BadInput


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} (see `{self.prog} --help`)")


class Verbs:
    """Those of a program, in the order of its help."""

    def __init__(self, program: Parser) -> None:
        add_store(program)
        self.parsers = program.add_subparsers(required=True, metavar="VERB", parser_class=Parser)

    def add(
        self,
        run: Callable[[argparse.Namespace], None],
        help: str,
        *,
        name: str = "",
        job: bool = False,
        json: bool = False,
    ) -> Parser:
        """The verb that `run` carries out, called as `run` is where it has no `name` of its own."""
        one = self.parsers.add_parser(name or run.__name__, help=help, description=help)
        one.set_defaults(verb=run, job=job)
        add_store(one, default=argparse.SUPPRESS)  # before the verb or after it
        if json:
            one.add_argument("--json", action="store_true", help="print JSON")
        return one


def add_store(one: Parser, default: str | None = None) -> None:
    what = "the runs; default BOTTLENECK_STORE, else models_store/"
    one.add_argument("--store", default=default, metavar="FOLDER", help=what)
