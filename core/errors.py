"""What goes wrong for reasons that lie outside the program, and how it is said."""

ERROR = "error: "  # how the command line begins to say why it ends
INTERRUPTED = 130  # what it ends with then, as shells do


class Explained(Exception):
    """The message is for people: what happened, why, what to do next."""


def is_text(name: str) -> bool:
    """A file system may hold names that are none."""
    return printable(name) == name


def printable(name: str) -> str:
    """As text, with a question mark for each byte that is none."""
    return name.encode("utf-8", "replace").decode()


def escaped(name: str) -> str:
    """As text that is another for every name."""
    return name.encode("utf-8", "backslashreplace").decode()


def one_line(text: str, most: int) -> str:
    """`text` as it may stand on a terminal or in a title: without control characters and line breaks, cut to `most`."""
    words = "".join(c if c.isprintable() else " " for c in text).split()
    line = " ".join(words)
    return line if len(line) <= most else line[: most - 1] + "…"
