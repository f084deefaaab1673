"""The standard rates of the member states and both German rates, as of autumn 2026; staff keep them up to date.

A rate without a known first day holds from the start of the One-Stop Shop.
"""

from datetime import date
from decimal import Decimal

from django.db import migrations

OSS_STARTED = date(2021, 7, 1)  # Directive (EU) 2017/2455
UNCHANGED = {
    "AT": "20", "BE": "21", "BG": "20", "CY": "19", "CZ": "21", "DK": "25", "ES": "21", "FR": "20", "GR": "24",
    "HR": "25", "HU": "27", "IE": "23", "IT": "22", "LT": "21", "LV": "21", "MT": "18", "NL": "21", "PL": "23",
    "PT": "23", "SE": "25", "SI": "22",
}  # fmt: skip
CHANGED = {
    ("EE", "standard"): [(OSS_STARTED, "20"), (date(2024, 1, 1), "22"), (date(2025, 7, 1), "24")],
    ("FI", "standard"): [(OSS_STARTED, "24"), (date(2024, 9, 1), "25.5")],
    ("LU", "standard"): [(OSS_STARTED, "17"), (date(2023, 1, 1), "16"), (date(2024, 1, 1), "17")],
    ("RO", "standard"): [(OSS_STARTED, "19"), (date(2025, 8, 1), "21")],
    ("SK", "standard"): [(OSS_STARTED, "20"), (date(2025, 1, 1), "23")],
    ("DE", "standard"): [(date(2007, 1, 1), "19"), (date(2020, 7, 1), "16"), (date(2021, 1, 1), "19")],
    ("DE", "reduced"): [(date(1983, 7, 1), "7"), (date(2020, 7, 1), "5"), (date(2021, 1, 1), "7")],
}
SOURCES = {"DE": "§ 12, § 28 (1), (2) UStG"}


def enter(apps, schema_editor):
    TaxRate = apps.get_model("invoicing", "TaxRate")
    rates = {(country, "standard"): [(OSS_STARTED, percent)] for country, percent in UNCHANGED.items()} | CHANGED
    TaxRate.objects.using(schema_editor.connection.alias).bulk_create(
        [
            TaxRate(
                country=country,
                kind=kind,
                percent=Decimal(percent),
                starts_on=starts_on,
                ends_before=following,
                source=SOURCES.get(country, "EU TEDB"),
            )
            for (country, kind), steps in sorted(rates.items())
            for (starts_on, percent), following in zip(steps, [*(step[0] for step in steps[1:]), None], strict=True)
        ]
    )


class Migration(migrations.Migration):
    dependencies = [("invoicing", "0020_allowances_of_documents")]

    operations = [migrations.RunPython(enter, migrations.RunPython.noop)]
