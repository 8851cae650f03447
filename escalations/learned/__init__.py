"""The engine `learned`: what is known of an incident at ingest as numbers, and a linear model of what people decided. docs/learned.md.

Nothing here reads or writes the database: `features` turns one incident into a vector, `fitting` turns labelled vectors into a model,
`model` keeps one as bytes that are data and never code, and says what it thinks of vectors.
"""

from .features import SPEC, of
from .fitting import Case, Fitted, fit
from .model import Model, Said

__all__ = ["SPEC", "Case", "Fitted", "Model", "Said", "fit", "of"]
