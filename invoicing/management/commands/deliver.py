"""Print what has no PDF, write the mails that are due, and send what waits: `deliver`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from django.utils.translation import gettext as _

from invoicing import delivery, pdf, section_copies, statements
from invoicing.models import Invoice
from tenants import messages
from tenants.models import Intent, Message
from tenants.terminal import progress_bar

BATCH = 20


class Command(BaseCommand):
    help = "Make missing PDFs, deliver them by e-mail to whoever wants that, and send what waits. May be run again."

    def handle(self, *args: Any, **options: Any) -> None:
        made = sent = 0
        with progress_bar(self.stderr, Invoice.objects.issued().unprinted().count(), _("PDFs")) as advance:
            while some := pdf.render_pending(BATCH):
                made += some
                advance(some)
        decided = delivery.deliver_pending()
        collected = statements.collect_pending()
        statements.print_pending()
        copies = section_copies.print_pending()
        messages.expire(now=timezone.now())
        waiting = Message.objects.claimable(timezone.now()).count()
        with progress_bar(self.stderr, waiting, _("mails")) as advance:
            while some := messages.send_pending(now=timezone.now()):
                sent += some
                advance(some)
        self.stdout.write(
            _("%(made)s PDFs made; %(mails)s mails written, %(sent)s sent; %(unwanted)s documents stay without mail.")
            % {"made": made, "mails": decided.mails, "sent": sent, "unwanted": decided.not_wanted}
        )
        if collected or copies:
            self.stdout.write(
                _("%(statements)s collective statements and %(copies)s copies of sections made.")
                % {"statements": collected, "copies": copies}
            )
        for document in delivery.without_address().select_related("recipient"):
            self.stdout.write(
                _("%(document)s: %(account)s has no e-mail address.")
                % {"document": document, "account": document.recipient}
            )
        for message in Message.objects.filter(state__in=[Intent.State.UNKNOWN, Intent.State.PARKED]):
            self.stdout.write(f"{message.subject}: {message.get_state_display()}: {message.reason}")
