"""What the server keeps of large things, so that looking back costs nothing.

Of all visitors together: what a closed tab has left in its session stays there until somebody else goes, and nothing would
bound the sum. Keys tell contents, so nobody gets what they do not have, and two who bring the same share it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_memory: defaultdict[str, dict[object, Any]] = defaultdict(dict)
_changing = threading.Lock()


def remembered(name: str, key: object, make: Callable[[], T], size: Callable[[T], int], most: int) -> T:
    """What is kept of this name under `key`, else what `make` gives. The latest stay, up to `most` bytes; the last one always."""
    with _changing:
        found: list[T] = [_memory[name][key]] if key in _memory[name] else []
    value = found[0] if found else make()
    with _changing:
        memory = _memory[name]
        memory.pop(key, None)
        memory[key] = value
        while len(memory) > 1 and sum(map(size, memory.values())) > most:
            del memory[next(iter(memory))]
    return value


def kept(name: str) -> Mapping[object, Any]:
    """All that is kept of this name, the latest last."""
    with _changing:
        return dict(_memory[name])
