"""The engine `learned`: what is known of an incident at ingest as numbers, and a linear model of what people decided. docs/learned.md.

Nothing here reads or writes the database: `features` turns one incident into a vector, `fitting` turns labelled vectors into a model,
`model` keeps one as bytes that are data and never code, and says what it thinks of vectors.
Only `fitting` and what it is made of load scikit-learn, so they are imported by who trains and by nobody else.
"""

from .cases import Case
from .features import SPEC, of
from .model import Model, Said

__all__ = ["SPEC", "Case", "Model", "Said", "of"]
