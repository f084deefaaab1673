from django.urls import path

from config.portal import ahead, asking, booked, entering, pages, paying, people

app_name = "portal"
urlpatterns = [
    path("", pages.overview, name="overview"),
    path("sign-in/", entering.sign_in_page, name="sign_in"),
    path("sign-in/link/", entering.link_page, name="link"),
    path("sign-in/link/<str:token>/", entering.redeem_page, name="redeem"),
    path("sign-out/", entering.sign_out, name="sign_out"),
    path("security/", entering.security, name="security"),
    path("documents/", pages.documents, name="documents"),
    path("documents/<int:key>/<slug:kind>/", pages.document_file, name="document_file"),
    path("sections/<int:key>/", pages.section, name="section"),
    path("payments/", pages.payments, name="payments"),
    path("payments/pay/", paying.page, name="pay"),
    path("payments/account/", booked.page, name="account_statement"),
    path("payments/statements/<int:key>/", pages.statement_file, name="statement_file"),
    path("payments/reminders/<int:key>/", pages.letter_file, name="letter_file"),
    path("calendar/", ahead.page, name="calendar"),
    path("contracts/", pages.contracts, name="contracts"),
    path("contracts/<int:key>/change/", asking.change, name="change"),
    path("contracts/<int:key>/cancel/", asking.cancel, name="cancel"),
    path("contacts/", people.contacts, name="contacts"),
    path("contacts/<int:key>/", people.contact, name="contact"),
]
