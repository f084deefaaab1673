"""Bank files made by others (../shared/samples/bank) and the judge of camt files, if they are here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[4] / "shared"
BANK = SHARED / "samples" / "bank"
needs_samples = pytest.mark.skipif(not BANK.exists(), reason=f"NOT READ: {BANK} is not here")


def camt_findings(*files: Path) -> str:
    """What the independent judge says against camt files; empty if nothing."""
    judge = SHARED / "validators" / "sepa" / "sepa_check.py"
    done = subprocess.run([sys.executable, judge, *files], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
