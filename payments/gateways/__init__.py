"""Owns: the forms in which banks and providers speak. Does not own: what their words change in the books."""
