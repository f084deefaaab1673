"""XML that grows element by element and never holds an empty one (PEPPOL-EN16931-R008)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lxml import etree


class Tree:
    """A document under way: elements are written in their order, with the prefixes of ``namespaces``."""

    def __init__(self, root: str, namespaces: Mapping[str | None, str]) -> None:
        self._namespaces = namespaces
        self._here = etree.Element(self._name(root), nsmap=dict(namespaces))

    def _name(self, name: str) -> str:
        prefix, _colon, local = name.rpartition(":")
        return f"{{{self._namespaces[prefix or None]}}}{local}"

    @contextmanager
    def within(self, name: str, *, keep: bool = False) -> Iterator[None]:
        """What is written inside stands in this element; if nothing is, it is left out, unless the schema wants it."""
        outside, inside = self._here, etree.Element(self._name(name))
        self._here = inside
        try:
            yield
        finally:
            self._here = outside
        if len(inside) or keep:
            outside.append(inside)

    def put(self, name: str, text: str, /, **attributes: str) -> None:
        """An element of this text; none if there is no text."""
        if text:
            element = etree.SubElement(self._here, self._name(name))
            element.text = " ".join(text.split())
            for attribute, value in attributes.items():
                element.set(attribute, value)

    def serialized(self) -> bytes:
        return bytes(etree.tostring(self._here, xml_declaration=True, encoding="UTF-8", pretty_print=True))
