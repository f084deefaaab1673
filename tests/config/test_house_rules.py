"""Rules of the house that neither the linter nor the contracts of imports see: the sources are read, not run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
APPS = ("tenants", "billing", "invoicing", "payments", "config")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        pytest.param(
            r"\.move_to\(|\binsert_node\(|order_insertion_by"
            r"|\bupdate tenants_tenant|\binto tenants_tenant|\bTenant\.objects\.(bulk_|update\()",
            {"tenants/tree.py", "tenants/tree_numbers.py"},
            id="the tree is written under its lock, by mptt or by its numbering",
        ),
        pytest.param(r"\bfloat\(", set(), id="money is never a float"),
        pytest.param(
            r"\.quantize\(|\bround\(",
            # the one place; whether a discount has a third decimal, for its name; comparisons in SQL
            {
                "billing/kernel/money.py",
                "billing/contract_import/writing.py",
                "config/books/rules/amounts.py",
                "config/books/rules/charged.py",
            },
            id="one place rounds",
        ),
        pytest.param(r"\b(post|pre)_(save|delete)\b|@receiver\(|m2m_changed", set(), id="no signals"),
        pytest.param(
            r"def save\(self",
            {"tenants/models/tenant.py", "invoicing/pdf/paper.py"},  # the locked tree; a canvas of the PDF maker
            id="no model saves in a way of its own",
        ),
        pytest.param(r"\b(TODO|FIXME|XXX)\b", set(), id="nothing is left to do"),
    ],
)
def test_the_sources_keep_to(pattern, allowed):
    found = {
        f"{path.relative_to(ROOT)}:{number}"
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if "migrations" not in path.parts and str(path.relative_to(ROOT)) not in allowed
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line)
    }
    assert found == set()


def test_links_of_the_documents_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    dead = {
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in LINK.findall(page.read_text())
        if not (page.parent / target).exists()
    }
    assert len(pages) > 25
    assert dead == set()
