"""What the product refuses, in words for the person who asked."""


class OperatorError(Exception):
    """An expected refusal: nothing was changed, and the message says in the user's language where and why.

    Subclasses stand beside the function that raises them.
    """
