"""Servers that tests talk to: each is a module run as a process of its own, which prints its port first."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def serving(module: str, folder: Path) -> Iterator[int]:
    """The port of ``python -m module folder``; the process is killed in the end, whatever it is doing."""
    process = subprocess.Popen([sys.executable, "-m", module, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def tell(folder: Path, mode: str) -> None:
    """Say what the server does from now on; it reads either what it was told before or this, never a part of it."""
    draft = folder / "mode.draft"
    draft.write_text(mode)
    draft.replace(folder / "mode")
