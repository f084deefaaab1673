"""The account tree, as ``check_trees`` sees it."""

from __future__ import annotations

from collections.abc import Iterator

from config.books.breach import Breach
from tenants import tree


def trees_hold() -> Iterator[Breach]:
    for fault in tree.faults():
        yield Breach("tree", fault.account, fault.reason)
