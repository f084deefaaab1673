"""Schematron (ISO 19757-3) -> XSLT 3.0: as much of it as the rule files of EN 16931 and XRechnung use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

SCHEMATRON = "{http://purl.oclc.org/dsdl/schematron}"
XSL_URI = "http://www.w3.org/1999/XSL/Transform"
XSL = f"{{{XSL_URI}}}"
TYPES = {"xs": "http://www.w3.org/2001/XMLSchema"}  # which the rules name without declaring it everywhere
LEVELS = ("fatal", "error", "warning", "information")


def stylesheet_of(path: Path) -> str:
    """A stylesheet that lists the broken rules of a document as ``broken`` elements, and each rule that was applied
    as ``applied``, below one ``report``."""
    schema = included(path)
    prefixes = {prefix: uri for prefix, uri in schema.nsmap.items() if prefix and f"{{{uri}}}" != SCHEMATRON}
    prefixes |= {ns.get("prefix"): ns.get("uri") for ns in schema.iterfind(f"{SCHEMATRON}ns")}
    sheet = etree.Element(f"{XSL}stylesheet", {"version": "3.0"}, nsmap={**TYPES, **prefixes, "xsl": XSL_URI})
    sheet.extend(etree.fromstring(etree.tostring(function)) for function in schema.iter(f"{XSL}function"))
    for let in [*schema.iterfind(f"{SCHEMATRON}let"), *schema.iterfind(f"{SCHEMATRON}pattern/{SCHEMATRON}let")]:
        sheet.append(variable(let))
    start = etree.SubElement(sheet, f"{XSL}template", match="/")
    report = etree.SubElement(start, "report")
    for place, pattern in enumerate(schema.iterfind(f"{SCHEMATRON}pattern")):
        mode = f"pattern{place}"
        etree.SubElement(report, f"{XSL}apply-templates", select=".", mode=mode)
        sheet.extend(templates(pattern, mode))
    return etree.tostring(sheet, encoding="unicode")


def included(path: Path) -> etree._Element:
    """The schema, the files that it includes in their places."""
    parser = etree.XMLParser(remove_comments=True, remove_pis=True, no_network=True)
    schema = etree.parse(path, parser).getroot()
    for include in schema.findall(f"{SCHEMATRON}include"):
        schema.replace(include, included(path.parent / include.get("href", "")))
    return schema


def templates(pattern: etree._Element, mode: str) -> Iterator[etree._Element]:
    """A template per rule, the first that matches a node being the only one, and one that walks the document."""
    rules = pattern.findall(f"{SCHEMATRON}rule")
    for place, rule in enumerate(rules):
        matched = etree.Element(
            f"{XSL}template", match=rule.get("context", ""), mode=mode, priority=str(len(rules) - place)
        )
        etree.SubElement(matched, "applied")
        for child in rule:
            if child.tag == f"{SCHEMATRON}let":
                matched.append(variable(child))
            elif child.tag in (f"{SCHEMATRON}assert", f"{SCHEMATRON}report"):
                matched.append(check(child))
        walk_on(matched, mode)
        yield matched
    others = etree.Element(f"{XSL}template", match="document-node() | node() | @*", mode=mode, priority="-1")
    walk_on(others, mode)
    yield others


def walk_on(template: etree._Element, mode: str) -> None:
    etree.SubElement(template, f"{XSL}apply-templates", select="@* | node()", mode=mode)


def variable(let: etree._Element) -> etree._Element:
    return etree.Element(f"{XSL}variable", name=let.get("name", ""), select=let.get("value", ""))


def check(rule: etree._Element) -> etree._Element:
    """What an assertion or report says, where it is to be said."""
    test = rule.get("test", "")
    said = etree.Element(f"{XSL}if", test=f"not({test})" if rule.tag == f"{SCHEMATRON}assert" else test)
    level = rule.get("flag") or rule.get("role") or "fatal"
    broken = etree.SubElement(said, "broken", rule=rule.get("id", ""), level=level if level in LEVELS else "fatal")
    place = etree.SubElement(broken, f"{XSL}attribute", name="place")
    etree.SubElement(place, f"{XSL}sequence", select="path(.)")
    texts = [(rule.text, None), *((child.tail, child) for child in rule)]
    for tail, child in texts:
        if child is not None and child.tag == f"{SCHEMATRON}value-of":
            etree.SubElement(broken, f"{XSL}value-of", select=child.get("select", ""))
        if tail and tail.strip():
            etree.SubElement(broken, f"{XSL}text").text = re.sub(r"\s+", " ", tail)
    return said
