"""Contact data that customers keep themselves: who is written to, and how to reach them."""

from __future__ import annotations

import re
from typing import Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext

from config.portal.doors import for_customers
from tenants.models import Contact
from tenants.transactions import acting

BREAKS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class ContactForm(forms.ModelForm):
    """What a person is for stays with staff; how he is reached does not."""

    class Meta:
        model = Contact
        fields = ["name", "email", "phone", "language"]

    def clean_name(self) -> str:
        return in_one_line(self.cleaned_data["name"])

    def clean_phone(self) -> str:
        return in_one_line(self.cleaned_data["phone"])


def in_one_line(text: str) -> str:
    """Names and numbers go into heads of mails and lines of letters, where a break would begin something else."""
    if BREAKS.search(text):
        raise forms.ValidationError(gettext("Please enter this in one line, without line breaks or tabs."))
    return text


@for_customers("changes_contacts")
def contacts(request: HttpRequest) -> HttpResponse:
    found = Contact.objects.visible_to(request.user).select_related("tenant").order_by("tenant__sort_name", "name")
    return render(request, "portal/contacts.html", {"contacts": found[:500]})


@for_customers("changes_contacts")
def contact(request: HttpRequest, key: int) -> HttpResponse:
    person = get_object_or_404(Contact.objects.visible_to(request.user).select_related("tenant"), pk=key)
    form = ContactForm(request.POST or None, instance=person)
    if request.method == "POST" and form.is_valid():
        with acting(actor=request.user.get_username(), channel="portal"):
            form.save()
        messages.success(request, gettext("The contact data are saved."))
        return redirect("portal:contacts")
    return render(request, "portal/contact.html", {"form": form, "person": person})
