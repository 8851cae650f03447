"""Writing plain values as YAML that reads well in a diff: one order, one line for one thing, text in blocks."""

import re
from typing import Any

import yaml

_BREAKS_ODDLY = frozenset("\r\x85\u2028\u2029")  # line breaks to YAML, none to us: written as escapes


class _Writer(yaml.SafeDumper):
    """No aliases, lists set in."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(writer: yaml.SafeDumper, text: str) -> yaml.Node:
    if _BREAKS_ODDLY & set(text):
        style = '"'
    elif "\n" in text:
        style = "|"
    else:
        style = None
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Writer.add_representer(str, _text)
# What we read as a number is quoted when it is text, though YAML 1.1 would not take it for one.
_Writer.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?\Z"), list("-+0123456789.")
)


def written(document: dict[str, Any]) -> str:
    """Return the document as YAML, keys in the order they come in."""
    return yaml.dump(document, Dumper=_Writer, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1_000_000)
