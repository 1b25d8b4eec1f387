"""`python -m core <verb>`: what the app can do, without a browser. Progress goes to stderr, results to stdout."""

from __future__ import annotations

import argparse
import errno
import gc
import os
import sys
from collections.abc import Sequence

from core.errors import ERROR, INTERRUPTED, Explained, one_line
from core.verbs.console import BadInput, say

EXIT_BAD_INPUT = 2
FULL = (errno.ENOSPC, errno.EDQUOT)


def main(arguments: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    try:
        options = parser().parse_args(words)
        perform(options, words)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough
        close_stdout()
    except KeyboardInterrupt:
        return INTERRUPTED
    except Explained as error:
        say(f"{ERROR}{one_line(str(error), 2_000)}")
        return EXIT_BAD_INPUT
    except OSError as error:
        if error.errno not in FULL:
            raise
        close_stdout()
        say(f"{ERROR}the results cannot be written: {error.strerror}. Make room, or write them elsewhere.")
        return EXIT_BAD_INPUT
    return 0


def close_stdout() -> None:
    """Nothing more can be written there, of which Python would complain when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def perform(options: argparse.Namespace, words: Sequence[str]) -> None:
    """Run the verb: as a job, which others can follow and stop, where it takes its time."""
    if not options.job:
        options.verb(options)
        return
    check_runs(options)
    from core.jobs import at_work

    with at_work(options.store, words, f"{options.verb.__name__} in a terminal") as options.work:
        options.verb(options)


def check_runs(options: argparse.Namespace) -> None:
    """Raises BadInput for a run that is not there: who has mistyped one should not wait for a turn to be told."""
    from core.glance import is_there

    named = (getattr(options, name, None) for name in ("run", "resume", "origin"))
    for ids in named:
        for id in [ids] if isinstance(ids, str) else ids or []:
            if not is_there(options.store, id):
                raise BadInput(
                    f"There is no run {one_line(id, 60)!r}: `python -m core runs` lists those that are there"
                )


def parser() -> argparse.ArgumentParser:
    # here, so that an interrupt of what takes a second is heard by `main`
    from core.verbs import denoising, keeping, listing, training, using
    from core.verbs.declaring import Parser, Verbs

    top = Parser(prog="python -m core", description=__doc__)
    verbs = Verbs(top)
    for part in (listing, training, using, denoising, keeping):  # in this order in the help
        part.declare(verbs)
    return top


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        gc.freeze()  # else Python looks through all of torch once more before it ends, for a second or two
