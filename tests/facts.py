"""Facts of invented documents and letters, for the tests of everything that is drawn or written from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import count
from zoneinfo import ZoneInfo

from invoicing.einvoice.facts import (
    Collection,
    ContractFacts,
    DocumentFacts,
    Kind,
    LineFacts,
    OriginalFacts,
    PartyFacts,
    SectionFacts,
    UsageFacts,
    VatShareFacts,
)
from invoicing.kernel.printing import Explanation, Part, Step, StepKind
from payments.letter import OverdueFacts, ReminderFacts

D = Decimal

SELLER = PartyFacts(
    name="Beispiel Telefonie GmbH",
    street="Hauptstraße 1",
    postcode="88326",
    city="Aulendorf",
    country="DE",
    vat_id="DE812415868",
    tax_number="77/123/45678",
    register_entry="Amtsgericht Ulm, HRB 123456",
    managing_directors="Geschäftsführung: Änne Öztürk",
    contact="Buchhaltung",
    email="rechnung@example.com",
    phone="+49 7525 000000",
    iban="DE74291417776317066907",
    bic="SOLADES1XXX",
)
BUYER = PartyFacts(
    name="Café Zentral GmbH",
    street="Rue de l'Étoile 110",
    postcode="80331",
    city="München",
    country="DE",
    reference="T0100001",
    vat_id="DE489068288",
)


def at(price: str | Fraction, full: str | None = None, *steps: Step) -> Explanation:
    """So much per unit."""
    unit_price = D(price) if isinstance(price, str) else price
    return Explanation(unit_price=unit_price, full=D(full) if full else None, steps=steps)


def make_line(**facts) -> LineFacts:
    """44 seats for February at 12.90."""
    return LineFacts(
        **{
            "position": 1,
            "text": "Telefonie-Connector, Arbeitsplatz",
            "quantity": D(44),
            "unit": "C62",
            "explanation": at("12.90"),
            "net": D("567.60"),
            "starts_on": date(2026, 2, 1),
            "last_day": date(2026, 2, 28),
            "contract": "V01-00001",
            "vat_rate": D(19),
            **facts,
        }
    )


def varied_lines() -> tuple[LineFacts, ...]:
    """One line of each way to be reckoned."""
    lines = [
        make_line(),
        make_line(
            net=D("280.14"),
            explanation=at(
                "12.90",
                "567.60",
                Step(StepKind.SHARE, Fraction(17, 31), (17, 31)),
                Step(StepKind.PERCENT, Fraction(10), reason="Treuerabatt"),
            ),
            starts_on=date(2026, 1, 15),
            last_day=date(2026, 1, 31),
            contract="V01-00002",
        ),
        make_line(
            text="Speicherplatz in GB",
            quantity=D(25),
            unit="E34",
            net=D("60.50"),
            explanation=Explanation(
                full=D("60.50"),
                parts=(
                    Part(D(10), D("2.50"), D("25.00")),
                    Part(D(10), D("2.40"), D("24.00")),
                    Part(D(5), D("2.30"), D("11.50")),
                ),
            ),
            contract="V01-00003",
        ),
        make_line(
            text="Gesprächsarchiv, Nutzer",
            net=D("199.00"),
            explanation=Explanation(full=D(199), parts=(Part(D(44), None, D(199)),)),
            contract="V01-00004",
        ),
        make_line(
            text="Nachrichtenpaket",
            quantity=D(2001),
            net=D("3.75"),
            explanation=Explanation(full=D("3.75"), parts=(Part(D(3), D("1.25"), D("3.75"), D(1000)),)),
        ),
        make_line(text="Eigenes Branding", quantity=D(5), net=D("49.00"), explanation=Explanation(full=D(49))),
        make_line(text="User licence, January", quantity=D(3), explanation=at(Fraction(850, 3)), net=D("850.00")),
        make_line(text="Umfrage-Transaktionen", quantity=D(25), explanation=at("0.952"), net=D("23.80")),
        make_line(text="Treuepunkte eingelöst", quantity=D(-2), explanation=at("5.00"), net=D("-10.00")),
    ]
    return tuple(replace(line, position=number) for number, line in enumerate(lines, start=1))


def make_section(*lines: LineFacts, name: str = BUYER.name, reference: str = BUYER.reference) -> SectionFacts:
    return SectionFacts(name, reference, lines, sum((line.net for line in lines), D(0)))


def make_contract(**facts) -> ContractFacts:
    return ContractFacts(
        **{
            "reference": "V01-00001",
            "text": "Telefonie-Connector, Arbeitsplatz",
            "tenant_name": BUYER.name,
            "starts_on": date(2026, 1, 1),
            "licences": D(44),
            "term_months": 12,
            "renewal_months": 12,
            "next_renewal_on": date(2027, 1, 1),
            "notice_by": date(2026, 10, 2),
            **facts,
        }
    )


def make_document(*sections: SectionFacts, rate: str = "19", category: str = "S", notice: str = "", **facts):
    """An invoice over 44 seats, or over ``sections``, with one VAT share reckoned from them."""
    sections = sections or (make_section(make_line()),)
    net = sum((section.net for section in sections), D(0))
    vat = (net * D(rate) / 100).quantize(D("0.01"), "ROUND_HALF_UP")
    return DocumentFacts(
        **{
            "kind": Kind.INVOICE,
            "number": "R2026-000001",
            "issued_on": date(2026, 2, 1),
            "due_on": date(2026, 2, 15),
            "payment_days": 14,
            "currency": "EUR",
            "places": 2,
            "language": "de",
            "seller": SELLER,
            "buyer": BUYER,
            "sections": sections,
            "contracts": (make_contract(),),
            "vat": (VatShareFacts(category, D(rate), net, vat, notice),),
            "net": net,
            "vat_total": vat,
            "gross": net + vat,
            **facts,
        }
    )


def consolidated(sections: int, lines: int, **facts) -> DocumentFacts:
    """An invoice to one company for the accounts below it."""
    number = count(1)
    parts = [
        make_section(
            *(
                make_line(position=next(number), contract=f"V01-{section:05}", quantity=D(q), net=D("12.90") * q)
                for q in range(1, lines + 1)
            ),
            name=f"Euro€Haus {section} GmbH – Niederlassung „Süd“",
            reference=f"T{section:07}",
        )
        for section in range(1, sections + 1)
    ]
    contracts = tuple(
        make_contract(reference=f"V01-{n:05}", tenant_name=f"Euro€Haus {n} GmbH") for n in range(1, sections + 1)
    )
    return make_document(*parts, contracts=contracts, **facts)


def credit_note(**facts) -> DocumentFacts:
    """The unused days of a month, given back."""
    line = make_line(
        quantity=D(1),
        text="Premium-Support",
        explanation=Explanation(
            full=D(500),
            steps=(Step(StepKind.SHARE, Fraction(5, 30), (5, 30)), Step(StepKind.BOOKED, Fraction(500))),
        ),
        net=D("-416.67"),
        starts_on=date(2026, 9, 6),
        last_day=date(2026, 9, 30),
        corrects=OriginalFacts("R2026-000007", date(2026, 9, 1)),
    )
    return make_document(
        make_section(line),
        **{
            "kind": Kind.CREDIT_NOTE,
            "number": "K2026-000001",
            "original": OriginalFacts("R2026-000007", date(2026, 9, 1)),
            "issued_on": date(2026, 10, 1),
            "due_on": None,
            **facts,
        },
    )


def cancellation(**facts) -> DocumentFacts:
    """The invoice of 44 seats, taken back whole."""
    return make_document(
        make_section(make_line(quantity=D(-44), net=D("-567.60"))),
        **{
            "kind": Kind.CANCELLATION,
            "number": "S2026-000001",
            "original": OriginalFacts("R2026-000001", date(2026, 2, 1)),
            "issued_on": date(2026, 2, 3),
            "due_on": None,
            "contracts": (),
            **facts,
        },
    )


def reverse_charge(**facts) -> DocumentFacts:
    buyer = PartyFacts(
        name="L'Aurore SARL",
        street="Rue de l'Étoile 46",
        postcode="75001",
        city="Paris",
        country="FR",
        reference="T0100300",
        vat_id="FR40303265045",
    )
    return make_document(
        make_section(make_line(vat_category="AE", vat_rate=D(0)), name=buyer.name, reference=buyer.reference),
        rate="0",
        category="AE",
        **{"buyer": buyer, "language": "en", **facts},
    )


def third_country(**facts) -> DocumentFacts:
    buyer = PartyFacts(
        name="Smith & Sons <Telephony> Inc.",
        street="500 Main Street",
        postcode="94105",
        city="San Francisco, CA",
        country="US",
        reference="T0100052",
    )
    line = make_line(
        text="Telephony connector, seat", explanation=at("14.19"), quantity=D(1250), net=D("17737.50"), vat_category="O"
    )
    return make_document(
        make_section(line, name=buyer.name, reference=buyer.reference),
        rate="0",
        category="O",
        **{"buyer": buyer, "language": "en", "currency": "USD", "collection": Collection.CARD, **facts},
    )


def make_reminder(**facts) -> ReminderFacts:
    """Two invoices overdue, on level 1."""
    return ReminderFacts(
        **{
            "level": 1,
            "is_last": False,
            "written_on": date(2026, 3, 10),
            "pay_by": date(2026, 3, 20),
            "currency": "EUR",
            "places": 2,
            "language": "de",
            "seller": SELLER,
            "payer": BUYER,
            "items": (
                OverdueFacts("R2026-000001", date(2026, 1, 1), date(2026, 1, 15), 54, D("9980.89"), D("9706.31")),
                OverdueFacts("R2026-000077", date(2026, 2, 1), date(2026, 2, 15), 23, D("675.44"), D("675.44")),
            ),
            "fee": D("5.00"),
            **facts,
        }
    )


def usage(**facts) -> UsageFacts:
    """Calls counted on the first of May."""
    return UsageFacts(
        **{
            "account": replace(BUYER, email="technik@example.com"),
            "application": "Telefonanlage",
            "meter": "calls",
            "way": "count",
            "property": "",
            "events": 1200,
            "quantity": D(1200),
            "counted_at": datetime(2026, 5, 1, 2, 5, tzinfo=ZoneInfo("Europe/Berlin")),
        }
        | facts
    )


def used_lines() -> list[LineFacts]:
    """Usage in two tiers, capped, in packages, free in part, at least so much; and some that came late."""
    april = {"starts_on": date(2026, 4, 1), "last_day": date(2026, 4, 30), "contract": "N01-0001"}
    return [
        make_line(
            position=1,
            text="Anrufe",
            quantity=D(1200),
            net=D("53.00"),
            explanation=Explanation(
                full=D("53.00"),
                parts=(Part(D(1000), D("0.05"), D("50.00")), Part(D(200), D("0.015"), D("3.000"))),
            ),
            usage=usage(),
            **april,
        ),
        make_line(
            position=2,
            text="Umfragen",
            quantity=D(500),
            net=D("300.00"),
            explanation=Explanation(
                full=D("495.00"),
                parts=(Part(D(495), D(1), D(495)),),
                free=D(5),
                steps=(Step(StepKind.CAP, Fraction(300)),),
            ),
            usage=usage(meter="surveys", events=500, quantity=D(500), quota=D(5)),
            **april,
        ),
        make_line(
            position=3,
            text="SMS",
            quantity=D(120),
            net=D("4.00"),
            explanation=Explanation(
                full=D("1.25"),
                parts=(Part(D(1), D("1.25"), D("1.25"), D(100)),),
                free=D(20),
                steps=(Step(StepKind.MINIMUM, Fraction(4)),),
            ),
            usage=usage(meter="sms", way="sum", property="parts", events=96, quantity=D(120), quota=D(20)),
            **april,
        ),
        make_line(
            position=4,
            text="Leitungen",
            quantity=D(2),
            net=D("16.00"),
            explanation=Explanation(
                full=D("72.00"),
                parts=(Part(D(9), D(8), D(72)),),
                steps=(Step(StepKind.BOOKED, Fraction(56)),),
            ),
            usage=usage(meter="lines", way="maximum", property="lines", events=31, quantity=D(9), before=D(7)),
            **april | {"starts_on": date(2026, 3, 1), "last_day": date(2026, 3, 31)},
        ),
    ]
