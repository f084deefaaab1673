"""A document as plain facts, and the electronic forms made from them."""
