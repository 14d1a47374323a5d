"""Messages sent in parts: each is held until all have come, then read as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from device_profiles.codecs.contract import Context, Held, SpecError, Values
from device_profiles.codecs.grammar import Path, mapping, nearest, sequence, text, whole
from gateway_core.errors import PayloadError

WITHIN_NS = 600_000_000_000
"""How long after its latest part an unfinished message is waited for."""

MOST_PARTS = 1_024
MOST_BYTES = 1 << 20
LONGEST_PART = 32 * 1024

_KEYS = ("key", "index", "total", "first")


@dataclass(frozen=True, slots=True)
class Part:
    """What a header says of one part.

    Attributes:
        key: What all parts of one message have in common, and no other message has.
        number: Which part, counted from 0.
        total: How many there are.
    """

    key: str
    number: int
    total: int


Find = Callable[[Values], "Part | None"]
"""From the values of the headers so far to the part; None for a message that is whole."""


def joined(data: bytes, part: Part, context: Context) -> bytes:
    """Return the whole message once its last part is here; until then hold the part.

    Args:
        data: Of this part.
        part: Which it is.
        context: Its memory holds the other parts.

    Raises:
        PayloadError: ``fragmented``: the part is held (`Held`), or there is no memory to hold it;
            ``bad_fragment``: what it says of itself cannot be.
    """
    if not 0 <= part.number < part.total <= MOST_PARTS:
        raise PayloadError("bad_fragment", f"part {part.number + 1} of {part.total}")
    if len(data) > LONGEST_PART:
        raise PayloadError("bad_fragment", f"{len(data)} bytes in a part, at most {LONGEST_PART}")
    memory = context.memory
    said = f"part {part.number + 1} of {part.total}"
    if memory is None:
        raise PayloadError("fragmented", f"{said} of a longer message")
    key = f"fragments/{context.owner}/{part.total}/{part.key}"
    parts = {**memory.parts(key), part.number: data}
    if sum(map(len, parts.values())) > MOST_BYTES:
        raise PayloadError("bad_fragment", f"the parts are longer than {MOST_BYTES} bytes")
    if len(parts) < part.total:
        memory.hold(key, part.number, data, WITHIN_NS)
        raise Held("fragmented", f"{said}, held until the others come")
    memory.put(key, None)
    return b"".join(parts[number] for number in range(part.total))


def compile_fragments(spec: object, names: Sequence[str], path: Path) -> Find:
    """Compile ``fragments: {key, index, total, first}``.

    ``key`` lists the values of the frames before it that name one message, ``index`` and ``total``
    are such values too, ``first`` is the index of the first part (1).

    Raises:
        SpecError: The specification is wrong.
    """
    found = mapping(spec, path, _KEYS, "key")
    for needed in ("index", "total"):
        mapping(spec, path, _KEYS, needed)
    keys = [
        _known(text(name, (*path, "key", at)), names, (*path, "key", at))
        for at, name in enumerate(sequence(found["key"], (*path, "key")))
    ]
    index = _known(text(found["index"], (*path, "index")), names, (*path, "index"))
    total = _known(text(found["total"], (*path, "total")), names, (*path, "total"))
    first = whole(found.get("first", 1), (*path, "first"), 0, 1)

    def find(values: Values) -> Part | None:
        number, of = values.get(index), values.get(total)
        if type(number) is not int or type(of) is not int:
            raise PayloadError("bad_fragment", f"{index} and {total} are not whole numbers")
        if of <= 1:
            return None
        return Part("/".join(str(values.get(key)) for key in keys), number - first, of)

    return find


def _known(name: str, names: Sequence[str], path: Path) -> str:
    if name not in names:
        raise SpecError(path, f"no frame before gives {name!r}{nearest(name, names)}")
    return name
