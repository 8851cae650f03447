"""From a function's call to args that can be signed, and from the args that were signed back to a call."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import errors
from .approval import Signed

Convert = Callable[[dict[str, Any]], dict[str, Any]]
HIDDEN = ("self", "cls")

_KINDS = inspect.Parameter


@dataclass(frozen=True)
class Gate:
    """How one function's calls are put before people.

    `hidden` names parameters that are neither shown nor signed (a database session, a client). `encode` turns the arguments into
    JSON, `decode` turns JSON back into arguments, for functions that take more than JSON.
    """

    function: Callable[..., Any]
    action: str
    hidden: frozenset[str]
    encode: Convert | None = None
    decode: Convert | None = None

    @classmethod
    def of(
        cls, function: Callable[..., Any], action: str | None, hidden: Sequence[str], encode: Convert | None, decode: Convert | None
    ) -> Gate:
        """Return the gate of a function. Raises TypeError when only one way of converting is given, or a hidden name is unknown."""
        if (encode is None) != (decode is None):
            raise TypeError("encode and decode go together: what was signed has to find its way back")
        known = set(inspect.signature(function).parameters)
        if unknown := set(hidden) - known:
            raise TypeError(f"{function.__name__} has no parameter {', '.join(sorted(unknown))}")
        return cls(function, action or function.__name__, frozenset({*hidden, *(known & set(HIDDEN))}), encode, decode)

    def bind(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> inspect.BoundArguments:
        """Return the call with its defaults filled in: a reviewer sees every value that counts. Raises TypeError as the call would."""
        bound = inspect.signature(self.function).bind(*args, **named)
        bound.apply_defaults()
        return bound

    def args_of(self, bound: inspect.BoundArguments) -> dict[str, Any]:
        """Return what is shown and signed: every visible argument by its name."""
        found: dict[str, Any] = {}
        for name, parameter in bound.signature.parameters.items():
            if name in self.hidden:
                continue
            value = bound.arguments[name]
            if parameter.kind is _KINDS.VAR_KEYWORD:
                found |= value
            elif parameter.kind is _KINDS.VAR_POSITIONAL:
                found[name] = list(value)
            else:
                found[name] = value
        return self.encode(found) if self.encode else found

    def call_of(self, signed: Signed, asked: inspect.BoundArguments) -> inspect.BoundArguments:
        """Return the call that was signed, with the hidden arguments of the one that was asked for.

        Raises DoesNotFit when it cannot be called so, DigestMismatch when the call that came of it is not what was signed, and
        Expired when it is too late.
        """
        try:
            given = copy.deepcopy(signed.args)
            values = self.decode(given) if self.decode else given
            call = self._filled(dict(values), asked, signed)
            about_to_run = self.args_of(call)
        except errors.NotApproved:
            raise
        except Exception as error:
            raise errors.DoesNotFit(f"What was signed is no call of {self.action}: {error}", signed.incident) from error
        try:
            signed.check(self.action, about_to_run)
        except errors.NotSignable as error:
            raise errors.DigestMismatch(f"What is about to run cannot be signed: {error}", signed.incident) from error
        return call

    def _filled(self, values: dict[str, Any], asked: inspect.BoundArguments, signed: Signed) -> inspect.BoundArguments:
        parameters = asked.signature.parameters
        call = inspect.BoundArguments(asked.signature, type(asked.arguments)())
        rest: str | None = None
        for name, parameter in parameters.items():
            if name in self.hidden:
                call.arguments[name] = asked.arguments[name]
            elif parameter.kind is _KINDS.VAR_KEYWORD:
                rest = name
            elif name not in values:
                raise errors.DoesNotFit(f"{name} is missing from what was signed for {self.action}.", signed.incident)
            else:
                value = values.pop(name)
                call.arguments[name] = tuple(value) if parameter.kind is _KINDS.VAR_POSITIONAL else value
        if rest is not None and not self.hidden & set(values):
            call.arguments[rest] = values
        elif values:
            raise errors.DoesNotFit(f"{self.action} takes no {', '.join(sorted(values))}, which was signed.", signed.incident)
        return call
