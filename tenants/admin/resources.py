"""Accounts and issuers as sheets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models import prefetch_related_objects

from tenants import issuer_import, tenant_import
from tenants.admin.sheets import SheetResource
from tenants.models import Issuer, Tenant


class IssuerSheet(SheetResource):
    recipe = issuer_import.RECIPE

    def lines(self, records: Sequence[Issuer]) -> Iterator[Mapping[str, Any]]:
        for issuer in records:
            yield {"issuer": issuer.reference, **issuer_import.stored_cells(issuer)}


class TenantSheet(SheetResource):
    recipe = tenant_import.RECIPE

    def lines(self, records: Sequence[Tenant]) -> Iterator[Mapping[str, Any]]:
        prefetch_related_objects(records, *tenant_import.REFERENCES)
        for tenant in records:
            yield {"tenant": tenant.reference, **tenant_import.stored_cells(tenant)}
