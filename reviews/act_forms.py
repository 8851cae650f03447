"""What people post when they do something other than decide. A form says what was wrong; whether it may be done is the record's to say."""

from typing import Any

from django import forms

from escalations import lifecycle

from .forms import ExtendForm, HandOverForm, Text, WhyForm, WordsForm

__all__ = ["CommentForm", "ExtendForm", "HandOverForm", "RevealForm", "WhyForm", "WordsForm"]


class CommentForm(WordsForm):
    """A comment; `tell` are user names picked from the list, which is the same as writing "@name" in the text."""

    tell = Text(max_length=500)

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or {}
        words, named = said.get("text", ""), {name.lower() for name in lifecycle.names_in(said.get("text", ""))}
        picked = [name.lstrip("@") for name in said.get("tell", "").replace(",", " ").split()]
        if more := [f"@{name}" for name in picked if name and name.lower() not in named]:
            said["text"] = f"{words}\n{' '.join(dict.fromkeys(more))}"
        return said


class RevealForm(forms.Form):
    why = Text(max_length=500)
