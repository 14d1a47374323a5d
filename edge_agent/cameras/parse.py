"""XML as cameras really send it: repaired where that is safe, and honest about what was lost.

Nothing is ever expanded or fetched: a document type or an entity declaration is refused, every
entity reference beyond the five of XML 1.0 becomes plain text, and lxml gets no network. Reading
takes time in proportion to the length of an answer, whatever is in it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from gateway_core.errors import PayloadError

MAX_BYTES = 1024 * 1024
"""The largest answer seen from a 64-channel NVR is about a third of it."""

MAX_TAGS = 100_000
"""Start and end tags in one answer; 512 profiles with all their configurations have 60,000."""
MAX_ATTRIBUTES = 50_000
MAX_DEPTH = 64
"""Levels; the schemas of ONVIF have about 20."""

_ENVELOPE_START = re.compile(r"<(?:\?xml\s|(?:[\w.-]{1,64}:)?Envelope[\s>/])")
_ENVELOPE_END = re.compile(r"</(?:[\w.-]{1,64}:)?Envelope\s{0,64}>")
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BARE_AMPERSAND = re.compile(
    r"&(?!(?:amp|lt|gt|quot|apos);|#(?:[1-9][0-9]{0,6}|x[0-9a-fA-F]{1,6});)"
)
_CDATA, _CDATA_END = "<![CDATA[", "]]>"
_DECLARATION = re.compile(r"<\?xml[^>]*\?>")
_DOCTYPE = re.compile(r"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)


class Element:
    """One element; names are matched without namespace or prefix, as cameras mix them up."""

    __slots__ = ("_node",)

    def __init__(self, node: etree._Element) -> None:
        self._node = node

    @property
    def name(self) -> str:
        """The local name."""
        return _local(self._node.tag)

    @property
    def namespace(self) -> str:
        """The namespace; empty when there is none, or nobody declared its prefix."""
        tag = str(self._node.tag)
        return tag[1:].partition("}")[0] if tag.startswith("{") else ""

    @property
    def text(self) -> str:
        """The stripped text before the first child; empty when there is none."""
        return (self._node.text or "").strip()

    def children(self) -> Iterator[Element]:
        """Yield the child elements."""
        return (Element(node) for node in self._node.iterchildren("*"))

    def every(self, name: str) -> Iterator[Element]:
        """Yield the descendants of a local name, in document order; none within another."""
        walk = etree.iterwalk(self._node, events=("start",), tag="*")
        for _, node in walk:
            if node is not self._node and _local(node.tag) == name:
                yield Element(node)
                walk.skip_subtree()

    def find(self, *path: str) -> Element | None:
        """Return the first descendant down a path of local names; steps may skip levels."""
        here: etree._Element | None = self._node
        for name in path:
            if here is None:
                return None
            here = next(here.iterdescendants("{*}" + name), None)
        return Element(here) if here is not None else None

    def value(self, *path: str) -> str:
        """Return the text at a path; empty when there is no such element."""
        found = self.find(*path)
        return found.text if found is not None else ""

    def attribute(self, name: str) -> str:
        """Return an attribute by its local name; empty when it is missing."""
        for key, value in self._node.attrib.items():
            if _local(key) == name:
                return str(value).strip()
        return ""


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed answer.

    Attributes:
        root: The document element.
        complete: False when something of it was lost: cut short, tags crossed, bytes unreadable.
    """

    root: Element
    complete: bool


def read_document(data: bytes) -> Document:
    """Read one SOAP envelope.

    Args:
        data: As it came; UTF-8, UTF-16 with a byte order mark, or GB 18030, whatever is declared.

    Raises:
        PayloadError: ``xml_too_large``, ``xml_doctype``, ``xml_too_deep`` or ``not_xml``.
    """
    if len(data) > MAX_BYTES:
        raise PayloadError("xml_too_large", f"{len(data)} bytes; at most {MAX_BYTES}")
    text, complete = _decode(data)
    text = _FORBIDDEN.sub("", text)
    if _DOCTYPE.search(text):
        raise PayloadError("xml_doctype", "document types and entities are not read")
    start = _ENVELOPE_START.search(text)  # past the heads of a multipart answer, line ends, junk
    first = start.start() if start is not None else text.find("<")
    if first < 0:
        raise PayloadError("not_xml", "there is no element in the answer")
    declaration = _DECLARATION.match(text, first)
    text = text[declaration.end() if declaration is not None else first :]
    end = _ENVELOPE_END.search(text)
    if end is not None:
        text = text[: end.end()]  # a second document glued on, NULs, stray line ends
    if text.count("<") > MAX_TAGS or text.count("=") > MAX_ATTRIBUTES:
        raise PayloadError("xml_too_large", f"over {MAX_TAGS} tags or {MAX_ATTRIBUTES} attributes")
    root, clean = _parse(_escaped(text))
    if _local(root.tag) != "Envelope":
        raise PayloadError("not_xml", f"expected a SOAP envelope, found <{_local(root.tag)[:40]}>")
    return Document(Element(root), complete and clean and end is not None)


def _decode(data: bytes) -> tuple[str, bool]:
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    # The declared charset is wrong so often that only the bytes are believed.
    encodings = ("utf-16",) if wide else ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            return data.decode(encoding), True
        except UnicodeDecodeError:
            continue
    # A text that was cut, or has a broken byte, is in the encoding that fits the most of it.
    texts = [data.decode(encoding, "replace") for encoding in encodings]
    return min(texts, key=lambda text: text.count("\ufffd")), False


def _escaped(text: str) -> str:
    """Return the text with its bare ampersands escaped, CDATA sections left alone."""
    parts: list[str] = []
    at = 0
    while True:
        start = text.find(_CDATA, at)
        end = text.find(_CDATA_END, start) if start >= 0 else -1
        parts.append(_BARE_AMPERSAND.sub("&amp;", text[at : start if end >= 0 else len(text)]))
        if end < 0:
            return "".join(parts)
        at = end + len(_CDATA_END)
        parts.append(text[start:at])


def _parse(text: str) -> tuple[etree._Element, bool]:
    parser = etree.XMLParser(
        encoding="utf-8",
        recover=True,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise PayloadError("not_xml", str(exc)[:120]) from exc
    if root is None:
        raise PayloadError("not_xml", "nothing in the answer can be read as XML")
    log = list(parser.error_log)
    # A prefix that nobody declared loses nothing: names are matched without it.
    lost = [entry for entry in log if entry.domain != etree.ErrorDomains.NAMESPACE]
    too_deep = any("depth" in entry.message.lower() for entry in lost)
    if too_deep or (text.count("<") > MAX_DEPTH and _deep(root)):
        raise PayloadError("xml_too_deep", f"elements nested more than {MAX_DEPTH} deep")
    if log:
        _drop_prefixes(root)
    return root, not lost


def _deep(root: etree._Element) -> bool:
    level = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        level += 1 if event == "start" else -1
        if level > MAX_DEPTH:
            return True
    return False


def _drop_prefixes(root: etree._Element) -> None:
    """Take prefixes that nobody declared off the names, as `Element.find` looks for them."""
    for node in root.iter("*"):
        namespace, brace, name = str(node.tag).rpartition("}")
        if ":" in name:
            with contextlib.suppress(ValueError):  # what is left is no name: nobody asks for it
                node.tag = f"{namespace}{brace}{name.rpartition(':')[2]}"


def _local(tag: object) -> str:
    name = str(tag)
    return name.rpartition("}")[2].rpartition(":")[2]
