"""Bill runs in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from invoicing.models import Outcome
from tests.stories.conftest import DAY

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120  # seconds after which something hangs


def start_bill(environment: dict[str, str], *, chunk: int) -> subprocess.Popen[str]:
    """`bill` over the sample book, as an operator would call it."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "bill", "--through", DAY, "--issue-on", DAY, "--chunk", str(chunk)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def settled() -> int:
    """How many payers are done, as committed."""
    return Outcome.objects.exclude(state="pending").count()


def wait_until(condition: Callable[[], bool], *, while_running: Sequence[subprocess.Popen[str]] = ()) -> None:
    """Fails if it takes too long, or one of the processes ends before, with what it said."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it hangs"
        for process in while_running:
            assert process.poll() is None or condition(), process.communicate()[0]
        time.sleep(0.002)
