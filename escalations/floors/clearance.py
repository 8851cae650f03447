"""Which clearance reads which detail. What is no money and no secret is an identity."""

from escalations.states import Sensitive

from .sensitive import Span, spans

KINDS: dict[str, Sensitive] = {
    "a payment card number": Sensitive.FINANCIAL,
    "a bank account number (IBAN)": Sensitive.FINANCIAL,
    "a bank routing number": Sensitive.FINANCIAL,
    "a secret key": Sensitive.SECRET,
    "a password": Sensitive.SECRET,
}


def kind_of(span: Span) -> Sensitive:
    """Return which clearance reads a detail."""
    return KINDS.get(span.name, Sensitive.IDENTITY)


def needed_for(text: str) -> frozenset[Sensitive]:
    """Return every clearance it takes to read a text whole. Linear in the text."""
    return frozenset(kind_of(span) for span in spans(text))
