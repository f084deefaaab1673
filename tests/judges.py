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
