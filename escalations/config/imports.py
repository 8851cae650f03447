"""Taking a configuration file: read whole, said in words, applied all or nothing through the verbs that administrators use.

What would let the machine do more, or look at less, is not applied: it is asked, and waits for a second administrator. A
rehearsal does the same and takes it back, so it tells what would really happen.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction

from escalations import audit
from escalations.errors import CountersignError, Invalid
from escalations.models import Person

from . import shape, words
from .applying import PUT_AWAY, SAVE, Asked, Import, NoSuch
from .kinds import Wrong, members
from .reading import Node, Problem, Refused, read

ONE_AT_A_TIME = 0x696D706F7274  # an advisory lock: two imports would each undo half of the other


@dataclass(frozen=True)
class Wanted:
    """One thing of the file: the fields it gives (the others stay), and the line of each."""

    section: shape.Section
    name: str
    line: int
    values: dict[str, Any]
    lines: dict[str, int]


@dataclass
class Done:
    """What became of one thing: `new`, `changed`, `put away`, `stays`; in words. `lowers`: why it waits for a second person."""

    section: str
    name: str
    act: str
    words: list[str] = field(default_factory=list)
    lowers: list[str] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        return bool(self.lowers)

    def lines(self) -> Iterator[str]:
        """Yield it as a person reads it."""
        yield f"{self.section} “{self.name}” " + {
            "new": "is new", "changed": "changes", "put away": "is put away", "stays": "stays as it is",
        }[self.act] + (": waits for a second administrator" if self.waits else "")  # fmt: skip
        yield from (f"  {line}" for line in self.words)
        yield from (f"  a second administrator has to confirm this: {line}" for line in self.lowers)


def take(data: bytes, *, person: Person, archive_missing: bool = False, rehearse: bool = False) -> list[Done]:
    """Apply a file in one transaction and return what it changed, in its order; an empty list: everything stands as it says.

    `archive_missing` puts away rules, policies, calendars and sources that are in none of the file's own sections. `rehearse` takes
    everything back at the end. Raises Refused with every problem and its line; nothing is written then. Two queries and a verb's own
    for each thing that differs, one or two for each that does not.
    """
    wanted, sections = _understood(read(data))
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_AT_A_TIME])
        run = Import(person)
        done, problems = [], []
        for one in _in_order(wanted):
            try:
                with transaction.atomic():
                    done += _applied(one, run)
            except Refused as refused:
                problems += refused.problems
        if archive_missing and not problems:
            done += _put_away(wanted, sections, run)
        if problems:
            raise Refused(problems)
        if done and not rehearse:
            audit.record(
                "config.imported", actor=run.actor, things=[f"{one.section} {one.name}"[:80] for one in done[:100]], changed=len(done),
                waiting=sum(one.waits for one in done),
            )
        if rehearse:
            transaction.set_rollback(True)
    return done


def _understood(top: Node) -> tuple[list[Wanted], set[str]]:
    """Return what the file wants, and the names of its sections. Raises Refused with all that cannot be understood."""
    problems: list[Problem] = []
    found: list[Wanted] = []
    try:
        sections = members(top)
    except Wrong as wrong:
        raise Refused([Problem(wrong.line, "", wrong.detail)]) from None
    form = sections.get(shape.FORMAT_KEY)
    if form is None or form.value != shape.FORMAT or isinstance(form.value, bool):
        raise Refused([Problem(form.line if form else 0, "", f"The file says “{shape.FORMAT_KEY}: {shape.FORMAT}” at its top.")])
    for name, node in sections.items():
        if name == shape.FORMAT_KEY:
            continue
        if name not in shape.BY_NAME:
            known = ", ".join(shape.BY_NAME)
            problems.append(Problem(node.line, name[:60], f"This is not known here; the sections are {known}."))
            continue
        section = shape.BY_NAME[name]
        try:
            things = members(node)
        except Wrong as wrong:
            problems.append(Problem(wrong.line, name, wrong.detail))
            continue
        for key, thing in things.items():
            try:
                found.append(_wanted(section, key, thing, problems))
            except Wrong as wrong:
                problems.append(Problem(wrong.line, f"{section.one} “{key[:80]}”", wrong.detail))
    if problems:
        raise Refused(problems)
    return found, set(sections) & set(shape.BY_NAME)


def _wanted(section: shape.Section, name: str, node: Node, problems: list[Problem]) -> Wanted:
    values, lines = {}, {}
    if not name.strip():
        raise Wrong(node.line, "This has no name.")
    if name != name.strip():
        raise Wrong(node.line, "A name neither begins nor ends with a space.")
    for key, given in members(node).items():
        where = f"{section.one} “{name[:80]}”, {key[:60]}"
        if key not in section.fields:
            problems.append(Problem(given.line, where, f"This is not known here; there are {', '.join(section.fields)}."))
            continue
        try:
            values[key] = section.fields[key](given)
        except Wrong as wrong:
            problems.append(Problem(wrong.line, where, wrong.detail))
        lines[key] = given.line
    return Wanted(section, name, node.line, {key: values[key] for key in section.fields if key in values}, lines)


def _in_order(wanted: list[Wanted]) -> list[Wanted]:
    """Return what is wanted in the order of the sections; the policy that becomes the default before the one that was it."""
    order = {section.name: number for number, section in enumerate(shape.SECTIONS)}
    return sorted(wanted, key=lambda one: (order[one.section.name], one.values.get("default") is not True))


def _applied(one: Wanted, run: Import) -> list[Done]:
    """Save one thing if it differs. Raises Refused."""
    section = one.section
    where = f"{section.one} “{one.name[:80]}”"
    row = _row(section, one.name)
    before = section.written(row) if row is not None else None
    if row is None and (missing := [name for name in section.required if name not in one.values]):
        raise Refused([Problem(one.line, where, f"A new {section.one} needs {', '.join(missing)}.")])
    if row is not None and getattr(row, "archived_at", None) is not None:
        raise Refused([Problem(one.line, where, "One with this name is archived; give this one another name.")])
    after = {key: value for key, value in one.values.items() if before is None or not words.same(before.get(key), value)}
    if before is not None and not after:
        return []
    if section.name == "calendars":  # one list to its verb, two in the file
        after |= {key: one.values[key] for key in ("holidays", "public_holidays") if key in one.values}
    try:
        lowers = SAVE[section.name](row, one.name, after, run)
    except Asked as asked:
        return [Done(section.one, one.name, "stays", [asked.detail])]
    except NoSuch as missing:
        raise Refused([_from_pointer(one, where, {"pointer": missing.field, "detail": missing.detail})]) from None
    except Invalid as refused:
        raise Refused([_from_pointer(one, where, error) for error in refused.errors] or [
            Problem(one.line, where, refused.detail)
        ]) from None  # fmt: skip
    except ValidationError as refused:
        raise Refused([
            _from_pointer(one, where, {"pointer": f"/{name}", "detail": " ".join(details)})
            for name, details in refused.message_dict.items()
        ]) from None  # fmt: skip
    except CountersignError as refused:
        raise Refused([Problem(one.line, where, refused.detail)]) from None
    said_so = words.changed(before, after if before is not None else one.values)
    if before is None and section.name == "sources":
        said_so.append("its key and its signing secret are issued in the administration")
    return [Done(section.one, one.name, "new" if before is None else "changed", said_so, lowers)]


def _row(section: shape.Section, name: str) -> Any:
    return section.model._default_manager.filter(**{section.key: name}).first()


_FIELD_OF = {"is_default": "default", "is_demo": "demo", "name": ""}


def _from_pointer(one: Wanted, where: str, error: dict[str, str]) -> Problem:
    pointer = error["pointer"].lstrip("/").split("/")[0]
    name = _FIELD_OF.get(pointer, pointer)
    return Problem(one.lines.get(name, one.line), f"{where}, {name}" if name else where, error["detail"])


def _put_away(wanted: list[Wanted], sections: set[str], run: Import) -> list[Done]:
    """Put away what is not in the sections the file has. What something that stays still names, stays, and that is said."""
    named: dict[str, set[str]] = {name: set() for name in sections}
    for one in wanted:
        named[one.section.name].add(one.name)
    done = []
    for name, put_away in PUT_AWAY.items():
        if name not in named:
            continue
        section = shape.BY_NAME[name]
        for row in section.rows():
            if row.name in named[name] or getattr(row, "disabled_at", None) is not None:
                continue
            try:
                with transaction.atomic():
                    done.append(Done(section.one, row.name, "put away", lowers=put_away(row, run)))
            except (Asked, CountersignError) as stays:
                done.append(Done(section.one, row.name, "stays", [stays.detail]))
    return done


