"""Accounts from a file: any order, the whole tree or nothing, and only references that make sense."""

import io

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import translation

from tenants import staging, tenant_import, tree_numbers
from tenants.models import Activity, ImportBatch, Tenant, VatCheck
from tests.builders import make_issuer, make_tenant

pytestmark = pytest.mark.django_db

HEADER = "tenant;tenant_name;kind;parent;contracting_party;invoice_to;pay_by;country;vat_id;currency;price_class"


@pytest.fixture(autouse=True)
def kept_apart(settings, tmp_path):
    settings.FILES_ROOT = tmp_path
    with translation.override("en"):
        yield


def offer(*rows, header=HEADER, skip_bad=False):
    text = "\r\n".join([header, *rows, ""])
    return staging.offer(tenant_import.RECIPE, io.BytesIO(text.encode()), file_name="tenants.csv", skip_bad=skip_bad)


def apply(batch):
    staging.apply(tenant_import.RECIPE, batch, actor="clerk", channel="import")


def errors(batch):
    return [str(error) for row in batch.rows.filter(state="error") for error in staging.errors_of(row)]


def warnings(batch):
    return [str(warning) for row in batch.rows.all() for warning in tenant_import.import_rows.warnings_of(row)]


def tree():
    """Reference -> (numbers of the tree columns), and what mptt itself would give, tree ids counted from 1."""

    def numbers():
        nodes = Tenant._base_manager.order_by("tree_id", "lft").values_list(
            "reference", "level", "lft", "rght", "tree_id"
        )
        trees = {tree_id: place for place, tree_id in enumerate(sorted({node[4] for node in nodes}))}
        return {reference: (trees[tree_id], *rest) for reference, *rest, tree_id in nodes}

    ours = numbers()
    Tenant.objects.rebuild()
    return ours, numbers()


def test_eu_customers_without_a_vat_id_are_named():
    """None are while no issuer is known: then nobody knows what is abroad."""
    rows = [
        "A;Ohne;company;;;;;AT;;EUR;1",
        "B;Zweig;branch;A;;A;A;AT;;EUR;1",
        "C;Inland;company;;;;;DE;;EUR;1",
        "D;Drittland;company;;;;;CH;;EUR;1",
    ]
    assert warnings(offer(*rows)) == []
    make_issuer()
    assert warnings(offer(*rows, "E;Mit;company;;;;;AT;ATU13585627;EUR;1")) == [
        "Row 2, column vat_id: EU customer without a VAT id: VAT is charged"
    ]


def test_a_leitweg_id_is_checked_by_form_and_check_digits():
    header = "tenant;tenant_name;country;currency;leitweg_id"
    rows = [
        "A;Amt;DE;EUR;04011000-1234512345-06",
        "B;Amt;DE;EUR;992-90009-96",
        "C;Amt;DE;EUR;04011000-1234512345-07",
        "D;X;DE;EUR;",
    ]
    batch = offer(*rows, header=header, skip_bad=True)
    assert errors(batch) == [
        "Row 4, column leitweg_id: “04011000-1234512345-07” is no Leitweg-ID: its form or its check digits are wrong"
        " (example: 04011000-1234512345-06)."
    ]


def test_children_may_come_before_their_parents():
    batch = offer(
        "C;Enkel;department;B;;A;A;;;;",
        "B;Kind;department;A;;;A;DE;;;",
        "A;Wurzel;company;;;;;DE;DE812415868;EUR;2",
        "Z;Zweite;;;;;;AT;ATU00000000;EUR;1",
    )
    assert batch.counts == {"rows": 4, "warnings": 1, "new": 4, "changed": 0, "unchanged": 0, "error": 0}
    assert warnings(batch) == [
        "Row 5, column vat_id: the check digits of the VAT id are wrong (ATU00000000); it counts as none"
    ]
    assert Tenant.objects.count() == 0
    apply(batch)
    a, b, c, z = (Tenant.objects.get(reference=reference) for reference in "ABCZ")
    assert (c.parent, b.parent, a.parent) == (b, a, None)
    assert (c.invoice_to, c.pay_by, b.pay_by, b.invoice_to) == (a, a, a, None)
    assert (a.vat_id_valid, z.vat_id_valid, z.kind) == (True, False, "company")
    assert list(VatCheck.objects.order_by("vat_id").values_list("vat_id", "is_valid", "method", "answer")) == [
        ("ATU00000000", False, "check_digits", "the check digits of the VAT id are wrong"),
        ("DE812415868", True, "check_digits", ""),
    ]
    assert [str(node) for node in a.get_descendants()] == ["B Kind", "C Enkel"]
    ours, mptts = tree()
    assert ours == mptts
    assert set(Activity.objects.filter(table="tenants_tenant").values_list("actor", "channel", "reason", "action")) == {
        ("clerk", "import", "tenants.csv", "insert")
    }


def test_a_second_import_changes_nothing_and_references_to_oneself_are_empty_ones():
    rows = ["A;Wurzel;company;;A;A;A;DE;DE812415868;EUR;2", "B;Kind;department;A;;;;DE;;EUR;2"]
    apply(offer(*rows))
    before = (Activity.objects.count(), VatCheck.objects.count())
    again = offer(*rows)
    assert (again.counts["unchanged"], again.counts["changed"]) == (2, 0)
    apply(again)
    assert (Activity.objects.count(), VatCheck.objects.count()) == before


def test_a_changed_row_shows_old_and_new_and_columns_left_out_stay():
    apply(offer("A;Wurzel;company;;;;;DE;DE812415868;EUR;2"))
    batch = offer("A;Wurzel AG;5", header="tenant;tenant_name;price_class")
    assert batch.rows.get().difference == {"tenant_name": ["Wurzel", "Wurzel AG"], "price_class": ["2", "5"]}
    apply(batch)
    tenant = Tenant.objects.get()
    assert (tenant.name, tenant.price_class, tenant.vat_id, tenant.vat_id_valid, tenant.currency) == (
        "Wurzel AG",
        5,
        "DE812415868",
        True,
        "EUR",
    )
    apply(offer("A;Wurzel AG;", header="tenant;tenant_name;vat_id"))
    tenant = Tenant.objects.get()
    assert (tenant.vat_id, tenant.vat_id_valid) == ("", False)


def test_accounts_move_with_all_below_them_and_every_tree_is_numbered_as_mptt_would():
    apply(
        offer(
            *("A;A;;;;;;DE;;;", "A1;A1;;A;;;;;;;", "A2;A2;;A;;;;;;;", "A2x;A2x;;A2;;;;;;;"),
            *("B;B;;;;;;DE;;;", "B1;B1;;B;;;;;;;", "C;C;;;;;;DE;;;"),
        )
    )
    batch = offer("A2;A2;;B1;;;;;;;", "B1;B1;;;;;;DE;;;", "C;C;;A1;;;;;;;", "A3;A3;;A;;;;;;;")
    assert batch.counts["changed"] == 3
    assert "the account moves within the tree, with all below it" in warnings(batch)[0]
    apply(batch)
    parents = dict(Tenant.objects.values_list("reference", "parent__reference"))
    assert parents == {
        **{"A": None, "A1": "A", "C": "A1", "A3": "A"},
        **{"B": None, "B1": None, "A2": "B1", "A2x": "A2"},
    }
    ours, mptts = tree()
    assert ours == mptts


def test_numbering_leaves_other_trees_alone():
    root, other = make_tenant(), make_tenant()
    child = make_tenant(parent=other)
    before = list(Tenant.objects.filter(pk__in=[other.pk, child.pk]).values_list("tree_id", "lft", "rght", "level"))
    tree_numbers.number_trees([root.pk])
    assert (
        list(Tenant.objects.filter(pk__in=[other.pk, child.pk]).values_list("tree_id", "lft", "rght", "level"))
        == before
    )


@pytest.mark.parametrize(
    ("rows", "sentences"),
    [
        (["A;A;;X;;;;DE;;;"], ["Row 2, column parent: there is no account “X”"]),
        (["A;A;;;;;;;;;"], ["Row 2, column country: an account without a parent needs a country"]),
        (["A;A;;;;;;UK;;;"], ["Row 2, column country: “UK” is no ISO code of a country, such as DE"]),
        (["A;A;;;;;;DE;;EUX;"], ["Row 2, column currency: “EUX” is no ISO code of a currency, such as EUR"]),
        (["A;A;;;;;;DE;;EUR;0"], ["Row 2, column price_class: “0” must be at least 1"]),
        (["A;A;shop;;;;;DE;;;"], ["Row 2, column kind: “shop” is none of: company, branch, department, end_customer"]),
        (
            ["A;A;;;;;;DE;;;", "B;B;;;;A;;DE;;;"],
            ["Row 3, column invoice_to: “A” is neither the account itself nor one above it"],
        ),
        (
            ["A;A;;;;;;DE;;;", "A;B;;;;;;DE;;;", ";C;;;;;;DE;;;"],
            ["Row 3, column tenant: stands in row 2 already", "Row 4, column tenant: must not be empty"],
        ),
        (
            ["A;A;;B;;;;DE;;;", "B;B;;A;;;;DE;;;", "C;C;;A;;;;DE;;;"],
            [
                "Row 2, column parent: the accounts stand above one another in a circle, or more than 50 deep",
                "Row 3, column parent: the accounts stand above one another in a circle, or more than 50 deep",
                "Row 4, column parent: the accounts stand above one another in a circle, or more than 50 deep",
            ],
        ),
        (
            ["C;C;;B;;;A;;;;", "B;B;;A;;;;;;;", "A;A;;;;;;DE;;;x", "D;D;;C;;;;;;;"],
            [
                "Row 5, column parent: the account “C” in row 2 cannot be taken",
                "Row 2, column pay_by: the account “A” in row 4 cannot be taken",
                "Row 3, column parent: the account “A” in row 4 cannot be taken",
                "Row 4, column price_class: “x” is not a whole number",
            ],
        ),
    ],
)
def test_a_bad_row_names_row_column_and_reason_and_nothing_is_taken(rows, sentences):
    batch = offer(*rows)
    assert sorted(errors(batch)) == sorted(sentences)
    with pytest.raises(staging.RowsRefused):
        apply(batch)
    assert Tenant.objects.count() == 0
    batch.refresh_from_db()
    assert batch.state == ImportBatch.State.REFUSED


def test_skip_bad_takes_the_rest():
    batch = offer("A;A;;;;;;DE;;;", "B;B;;X;;;;;;;", "C;C;;B;;;;;;;", "D;D;;A;;;;;;;", skip_bad=True)
    apply(batch)
    assert sorted(Tenant.objects.values_list("reference", flat=True)) == ["A", "D"]


def test_what_changed_since_the_difference_was_shown_is_not_overwritten():
    apply(offer("A;A;;;;;;DE;;;"))
    batch = offer("A;B;;;;;;DE;;;")
    Tenant.objects.update(name="C")
    with pytest.raises(staging.Outdated, match=r"^Row 2 would no longer do what was shown"):
        apply(batch)
    assert Tenant.objects.get().name == "C"


def test_a_batch_is_applied_once():
    batch = offer("A;A;;;;;;DE;;;")
    apply(batch)
    Tenant.objects.update(name="renamed since")
    apply(batch)
    assert Tenant.objects.get().name == "renamed since"


def test_the_sample_tenants(sample_book, capsys):
    call_command("import_tenants", sample_book / "tenants.csv", language="en")
    output = capsys.readouterr().out.splitlines()
    assert output[0] == (
        "tenants.csv: read as encoding Windows-1252, delimiter “;”, decimal sign “,”, dates yyyy-mm-dd"
    )
    assert output[-2:] == ["804 new, 0 changed, 0 unchanged, 0 in error", "804 rows were taken in."]
    assert len([line for line in output if line.startswith("Warning: ")]) == 14
    tenant = Tenant.objects.get(reference="T0100002")
    assert (tenant.name, tenant.street, tenant.city, tenant.kind) == (
        "Euro€Haus 2 GmbH",
        "Hafenstraße 24",
        "Hamburg",
        "end_customer",
    )
    assert tenant.parent == tenant.contracting_party == tenant.invoice_to == tenant.pay_by
    assert str(tenant.parent) == "T0100001 Café Zentral 1 GmbH"
    assert Tenant.objects.get(reference="T0100003").name == '"Zitat" 3 GmbH'
    assert Tenant.objects.filter(parent=None).count() == 684
    assert (Tenant.objects.filter(vat_id_valid=True).count(), VatCheck.objects.count()) == (490, 504)
    ours, mptts = tree()
    assert ours == mptts
    call_command("import_tenants", sample_book / "tenants.csv", language="de")
    assert capsys.readouterr().out.splitlines()[-2] == "0 neu, 0 geändert, 804 unverändert, 0 fehlerhaft"


def test_a_dry_run_shows_the_difference_and_leaves_nothing(tmp_path, settings, capsys):
    file = tmp_path / "t.csv"
    file.write_text(f"{HEADER};colour\nA;Wurzel;;;;;;DE;;EUR;2;red\n")
    call_command("import_tenants", file, dry_run=True, language="en")
    assert capsys.readouterr().out.splitlines() == [
        "t.csv: read as encoding UTF-8, delimiter “;”, decimal sign “,”, dates yyyy-mm-dd",
        "Columns that are not known and not read: colour",
        "Row 2: new A (tenant_name Wurzel, country DE, currency EUR, price_class 2)",
        "1 new, 0 changed, 0 unchanged, 0 in error",
        "Dry run: nothing was changed.",
    ]
    assert (Tenant.objects.count(), ImportBatch.objects.count()) == (0, 0)
    assert list((settings.FILES_ROOT / "imports").iterdir()) == []


@pytest.mark.parametrize(
    ("language", "error", "refusal"),
    [
        (
            "de",
            "Fehler: Zeile 3, Spalte price_class: „x“ ist keine ganze Zahl",
            "1 Zeile kann nicht übernommen werden, deshalb wurde nichts aus der Datei übernommen.",
        ),
        (
            "en",
            "Error: Row 3, column price_class: “x” is not a whole number",
            "1 row cannot be taken, so nothing of the file was.",
        ),
    ],
)
def test_the_command_refuses_in_the_users_language(language, error, refusal, tmp_path, capsys):
    file = tmp_path / "t.csv"
    file.write_text(f"{HEADER}\nA;Wurzel;;;;;;DE;;EUR;2\nB;Kind;;A;;;;DE;;EUR;x\n")
    with pytest.raises(CommandError) as stopped:
        call_command("import_tenants", file, language=language)
    assert str(stopped.value).splitlines()[0] == refusal
    assert error in capsys.readouterr().out.splitlines()
    assert Tenant.objects.count() == 0
