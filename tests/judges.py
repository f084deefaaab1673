"""The independent judges of e-invoices and PDF/A (../shared/validators/einvoice), if they are here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from invoicing.einvoice.judge import RULES

JUDGES = RULES.parents[3] / "shared" / "validators" / "einvoice"
needs_judges = pytest.mark.skipif(
    not JUDGES.exists(),
    reason=f"NOT JUDGED: {JUDGES} is not here, so nobody but ourselves has looked at the e-invoices",
)


SEPA = JUDGES.parent / "sepa" / "sepa_check.py"
needs_sepa_judge = pytest.mark.skipif(
    not SEPA.exists(), reason=f"NOT JUDGED: {SEPA} is not here, so nobody but ourselves has looked at the SEPA files"
)


def sepa_findings(file: Path, today: str) -> list[str]:
    """What the independent judge of SEPA files finds: schema, sums, check digits, characters, days of TARGET."""
    done = subprocess.run([sys.executable, SEPA, file, "--today", today], capture_output=True, text=True, check=False)
    verdict, *findings = done.stdout.splitlines()
    assert verdict.startswith(("PASS", "FAIL")), done.stdout + done.stderr
    return findings


def fatal_findings(*files: Path) -> dict[str, list[str]]:
    """By name of file, the rules that the independent judge says it breaks; a file it cannot judge fails the test."""
    done = subprocess.run(
        [sys.executable, JUDGES / "einvoice_check.py", "--json", *files], capture_output=True, text=True, check=False
    )
    reports: list[dict[str, Any]] = json.loads(done.stdout)
    assert [report for report in reports if report.get("error")] == []
    return {
        Path(report["file"]).name: [f["rule"] for f in report["findings"] if f["level"] in ("fatal", "error")]
        for report in reports
    }


def pdfa_complaints(*files: Path) -> str:
    """What the independent check of PDF/A-3 with Factur-X says against the files; empty if nothing."""
    done = subprocess.run(
        [sys.executable, JUDGES / "pdfa3_check.py", "--facturx", *files], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
