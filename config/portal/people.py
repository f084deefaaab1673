"""Contact data that customers keep themselves: who is written to, and how to reach them."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext

from config.portal.doors import for_customers
from tenants.models import Contact
from tenants.transactions import acting


class ContactForm(forms.ModelForm):
    """What a person is for stays with staff; how he is reached does not."""

    class Meta:
        model = Contact
        fields = ["name", "email", "phone", "language"]


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
