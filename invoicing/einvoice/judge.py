"""The published rules, applied: XSD, EN 16931, and XRechnung where a document claims to keep it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Final

from lxml import etree

from invoicing.einvoice import terms
from invoicing.einvoice.schematron import stylesheet_of

RULES: Final = Path(__file__).resolve().parent / "rules"
VERSION: Final = "EN 16931 1.3.16, XRechnung 3.0.2"
SCHEMATRA: Final = {
    ("EN 16931", "CrossIndustryInvoice"): "en16931/EN16931-CII.sch",
    ("EN 16931", "Invoice"): "en16931/EN16931-UBL.sch",
    ("EN 16931", "CreditNote"): "en16931/EN16931-UBL.sch",
    ("XRechnung", "CrossIndustryInvoice"): "xrechnung/cii/XRechnung-CII-validation.sch",
    ("XRechnung", "Invoice"): "xrechnung/ubl/XRechnung-UBL-validation.sch",
    ("XRechnung", "CreditNote"): "xrechnung/ubl/XRechnung-UBL-validation.sch",
}
SCHEMAS: Final = {
    "CrossIndustryInvoice": "xsd/cii-d16b/data/standard/CrossIndustryInvoice_100pD16B.xsd",
    "Invoice": "xsd/ubl-2.1/maindoc/UBL-Invoice-2.1.xsd",
    "CreditNote": "xsd/ubl-2.1/maindoc/UBL-CreditNote-2.1.xsd",
}
# Rules that the official validator of XRechnung takes more or less strictly than the rule files do (its scenarios.xml).
STRICTER: Final = {"CII-SR-452", "CII-SR-453", "CII-SR-454", "UBL-CR-646"}
MILDER: Final = {"BR-CL-21", "BR-CL-23"}
PATIENCE: Final = 600  # seconds for the documents of one call
ONE_AT_A_TIME: Final = Lock()  # a Saxon processor belongs to one thread at a time


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that a document breaks: its name, the place in the XML, and what it says."""

    rule: str
    place: str
    text: str


class NotJudged(Exception):
    """The rules could not be applied: no word about the document, and no excuse to let it pass."""


def findings(document: bytes) -> list[Finding]:
    """What is wrong with an e-invoice, in CII or UBL; nothing, if it keeps all the rules. Warnings do not count.

    Raises ``NotJudged`` for what is neither, or if the rules cannot be run.
    """
    root = etree.fromstring(document, etree.XMLParser(resolve_entities=False, no_network=True))
    form = etree.QName(root).localname
    if form not in SCHEMAS:
        raise NotJudged(f"{form} is no e-invoice")
    with ONE_AT_A_TIME:
        found = list(_against_schema(form, root))
        if not found:  # the rules read what the schema promises
            is_xrechnung = terms.XRECHNUNG in document.decode()
            text = etree.tostring(root, encoding="unicode")
            for family in ("EN 16931", "XRechnung") if is_xrechnung else ("EN 16931",):
                found += _against_rules(family, form, text, strictly=is_xrechnung)
    return found


def findings_apart(documents: Sequence[bytes]) -> list[list[Finding]]:
    """As ``findings``, for many documents in a process of their own: what the rules take of memory goes with it.

    Raises ``NotJudged`` with what the process said, if it broke off.
    """
    if not documents:
        return []
    asked = json.dumps([document.decode() for document in documents])
    done = subprocess.run(
        [sys.executable, "-m", "invoicing.einvoice.judge"],
        input=asked,
        capture_output=True,
        text=True,
        cwd=RULES.parents[2],
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        raise NotJudged(done.stderr.strip()[-2000:])
    return [[Finding(*entry) for entry in found] for found in json.loads(done.stdout)]


def main() -> None:
    """Documents come as a JSON list on standard input, and so do the findings leave."""
    asked = json.load(sys.stdin)
    json.dump([[astuple(one) for one in findings(document.encode())] for document in asked], sys.stdout)


def _against_schema(form: str, root: Any) -> Iterable[Finding]:
    schema = _schema(form)
    schema.validate(root)
    return (Finding("XSD", f"line {entry.line}", entry.message) for entry in schema.error_log)


@cache
def _schema(form: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(RULES / SCHEMAS[form]))


def _against_rules(family: str, form: str, text: str, *, strictly: bool) -> list[Finding]:
    processor = _processor()
    report = _compiled(SCHEMATRA[family, form]).transform_to_string(xdm_node=processor.parse_xml(xml_text=text))
    if not report:
        raise NotJudged(f"the rules of {family} said nothing")
    listed = etree.fromstring(report.encode())
    if listed.find("applied") is None:
        raise NotJudged(f"no rule of {family} applied")
    return [
        Finding(entry.get("rule", ""), _readable(entry.get("place", "")), " ".join("".join(entry.itertext()).split()))
        for entry in listed.iterfind("broken")
        if _counts(entry.get("rule", ""), entry.get("level", ""), strictly=strictly)
    ]


def _counts(rule: str, level: str, *, strictly: bool) -> bool:
    if strictly and rule in STRICTER:
        return True
    return level in ("fatal", "error") and not (strictly and rule in MILDER)


def _readable(path: str) -> str:
    return re.sub(r"Q\{[^}]*\}", "", path)


@cache
def _processor() -> Any:
    from saxonche import PySaxonProcessor  # here: it takes long to load, and only workers ask

    return PySaxonProcessor(license=False)


@cache
def _compiled(path: str) -> Any:
    return _processor().new_xslt30_processor().compile_stylesheet(stylesheet_text=stylesheet_of(RULES / path))


if __name__ == "__main__":
    main()
