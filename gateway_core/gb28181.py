"""The 20-digit codes of GB/T 28181: what they are made of, and which can be a video feed's. Pure.

Eight digits name the administrative division (GB/T 2260, and two for the base unit), two the
industry, three the type of device, one the network, six the serial number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PROVINCES = {
    *range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66),
    71, 81, 82,
}  # fmt: skip
_OTHER = {
    111: "a DVR", 112: "a video server", 113: "an encoder", 114: "a decoder",
    115: "a video matrix", 116: "an audio matrix", 117: "an alarm controller", 118: "an NVR",
    133: "a display", 134: "an alarm input", 135: "an alarm output", 136: "a voice input",
    137: "a voice output",
}  # fmt: skip
_FRONT_END = range(111, 131)
_PLATFORM = range(200, 300)


@dataclass(frozen=True, slots=True)
class GbCode:
    """A code, taken apart.

    Attributes:
        division: Eight digits; the first six are a county's code of GB/T 2260.
        industry: Two digits.
        type: 131 a camera, 132 a network camera.
        network: One digit.
        serial: Six digits.
    """

    division: str
    industry: str
    type: int
    network: int
    serial: str


def parse_feed_code(text: str) -> GbCode:
    """Take the code of a video feed apart.

    Raises:
        ValueError: It is no such code; the message says what was expected and what is wrong.
    """
    if re.fullmatch(r"[0-9]\.[0-9]+[eE]\+?[0-9]+", text):
        raise ValueError(
            "the spreadsheet made a number of it and lost digits; format the column as text and"
            " enter the code again"
        )
    if not re.fullmatch("[0-9]{20}", text):
        raise ValueError(f"expected 20 digits, found {len(text)} characters")
    kind = int(text[10:13])
    if int(text[:2]) not in _PROVINCES:
        raise ValueError(f"no province begins with {text[:2]} (GB/T 2260)")
    what = _OTHER.get(kind)
    if what is None and kind in _FRONT_END:
        what = "a device in front of cameras"
    if what is None and kind in _PLATFORM:
        what = "a platform or a group"
    if what is not None or kind < _FRONT_END.start:
        raise ValueError(
            f"digits 11 to 13 are {text[10:13]}, {what or 'no type of device'}; a camera's are 131"
            " or 132"
        )
    return GbCode(text[:8], text[8:10], kind, int(text[13]), text[14:])
