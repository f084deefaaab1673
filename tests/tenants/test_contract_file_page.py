"""docs/contract-file.md names every column of the files, and none that is not read."""

import re
from pathlib import Path

import pytest

from billing import catalog_import, contract_import
from tenants import issuer_import, tenant_import

PAGE = (Path(__file__).parents[2] / "docs" / "contract-file.md").read_text()


@pytest.mark.parametrize(
    ("heading", "recipe"),
    [
        ("Contracts", contract_import.RECIPE),
        ("Accounts", tenant_import.RECIPE),
        ("Catalog", catalog_import.RECIPE),
        ("Issuers", issuer_import.RECIPE),
    ],
)
def test_the_page_names_the_columns(heading, recipe):
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    first_cells = "\n".join(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)) or section
    named = list(re.findall(r"`([a-z_]+)`", first_cells))
    assert sorted(named) == sorted(column.name for column in recipe.columns)
