"""What a person wants to be told, by which way and when not: the forms of that part of their own page."""

from typing import Any

from django import forms
from django.http import HttpRequest

from escalations import audit, outbox, policies
from escalations.errors import CountersignError, Invalid
from escalations.models import Channel, NoticeWishes, Person
from escalations.states import Digest


class WishesForm(forms.ModelForm):
    """Which notices, how and when. Chosen is what a person wants, kept is what they do not."""

    wanted = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    quiet_from = forms.TimeField(required=False, error_messages={"invalid": "Write a time as 22:30."})
    quiet_until = forms.TimeField(required=False, error_messages={"invalid": "Write a time as 07:00."})
    digest_at = forms.TimeField(required=False, error_messages={"invalid": "Write a time as 08:00."})

    class Meta:
        model = NoticeWishes
        fields = ("by_mail", "digest", "digest_at", "quiet_from", "quiet_until")

    def __init__(self, person: Person, data: Any = None) -> None:
        wishes = policies.wishes_of(person)
        super().__init__(data, instance=wishes)
        kinds = [kind for kind in outbox.OPTIONAL if kind != "change_waits" or person.is_staff]
        self.fields["wanted"].choices = [(kind, outbox.NOTICES[kind]) for kind in kinds]
        self.initial["wanted"] = [kind for kind in kinds if kind not in wishes.unwanted]
        self.person = person

    @property
    def chosen(self) -> list[tuple[str, str, bool]]:
        """Return each kind that can be chosen, what it is called, and whether it is."""
        now = self["wanted"].value() or []
        return [(value, label, value in now) for value, label in self.fields["wanted"].choices]

    def clean_digest_at(self) -> Any:
        return self.cleaned_data["digest_at"] or NoticeWishes._meta.get_field("digest_at").to_python("08:00")

    def keep(self) -> bool:
        """Save by the verb; False when something is refused, which the form then says."""
        if not self.is_valid():
            return False
        wishes = self.save(commit=False)
        wishes.unwanted = [kind for kind, _, _ in self.chosen if kind not in self.cleaned_data["wanted"]]
        try:
            policies.save_wishes(wishes, actor=audit.Actor.of(self.person))
        except Invalid as refused:
            for error in refused.errors:
                self.add_error(error["pointer"].lstrip("/"), error["detail"])
            return False
        return True


class ChannelForm(forms.Form):
    """One more way to reach oneself. The address holds tokens: it is never shown again, not even where it was refused."""

    url = forms.CharField(max_length=1_000, error_messages={"required": "Write the address, as ntfys://ntfy.sh/topic."})

    def add(self, person: Person) -> bool:
        """Add it; False when it is refused, which the form then says."""
        if not self.is_valid():
            return False
        try:
            policies.add_channel(self.cleaned_data["url"], actor=audit.Actor.of(person), person=person, own=True)
        except Invalid as refused:
            self.add_error("url", refused.errors[0]["detail"])
            return False
        return True


def act_on(person: Person, pk: str, name: str) -> str:
    """Test, switch off or on one of a person's own channels; return what is to be said of it."""
    channel = Channel.objects.filter(person=person, pk=int(pk)).first() if pk.isascii() and pk.isdigit() and len(pk) < 12 else None
    if channel is None:
        return "That channel is not yours, or is not there."
    actor = audit.Actor.of(person)
    try:
        if name == "test":
            policies.try_channel(channel, actor=actor)
            return f"A test is on its way to {channel.label}. Load this page again in a few seconds to see how it went."
        if name == "off":
            policies.disable_channel(channel, actor=actor)
            return f"{channel.label} is switched off."
        if name == "on":
            policies.enable_channel(channel, actor=actor)
            return f"{channel.label} is switched on."
    except CountersignError as refused:
        return refused.detail
    return "Nothing was done."


def drawn(request: HttpRequest) -> dict[str, Any]:
    """Return what this part of the page is made of. Two queries."""
    return {
        "wishes_form": WishesForm(request.user),
        "channel_form": ChannelForm(),
        "digests": [("", "at once"), *((value, str(label).lower()) for value, label in Digest.choices)],
        "channels": list(Channel.objects.filter(person=request.user.pk).defer("sealed").order_by("disabled_at", "pk")[:20]),
    }
