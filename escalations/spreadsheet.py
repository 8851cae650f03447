"""Values as a spreadsheet may have them: nothing that it would take for a formula, nothing that cannot be seen."""

import csv
import io
import json
import re
from collections.abc import Iterable
from typing import Any

from escalations.floors import text

# What a spreadsheet takes for a formula: at the beginning of a cell, or of what a spreadsheet that parts cells by ";" or tabs would
# take for one. Full-width forms too.
_FORMULA = re.compile(r"(^|[;\t\r\n])(?=[\s\"']*[=+\-@\uff1d\uff0b\uff0d\uff20|])")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def line(values: Iterable[Any]) -> str:
    """Return one line of CSV: every cell quoted, none a formula, what cannot be seen as a token."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow([cell(value) for value in values])
    return out.getvalue()


def cell(value: Any) -> str:
    """Return a value as a spreadsheet may have it."""
    if value is None:
        return ""
    written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text.has_hidden(written):
        written = "".join(piece for _, piece in text.tokens(written))
    return written if _NUMBER.fullmatch(written) else _FORMULA.sub(r"\1'", written)
