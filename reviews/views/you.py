"""One's own page: how one likes to work, one's time zone, one's password."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import messages
from django.contrib.auth import authenticate, update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from escalations import audit, looks, policies
from escalations.errors import Invalid, NotFound
from escalations.models import Person

from .. import second_figures
from ..models import Preferences
from ..partials import leave, page
from ..room_context import preferences_of
from . import you_absence, you_notices

PAGE = "reviews/you.html"


class PreferencesForm(forms.ModelForm):
    """How a person likes to work."""

    class Meta:
        model = Preferences
        fields = ("claim_on_open", "single_keys", "order")


class ZoneForm(forms.Form):
    """A time zone by its name, as browsers and operating systems write it."""

    time_zone = forms.CharField(max_length=64, error_messages={"required": "Choose a time zone, as Europe/Vienna."})


class PasswordForm(PasswordChangeForm):
    """Django's own, but the old password is tried through the sign-in's door: guessing here locks out as guessing there does."""

    def __init__(self, user: Person, *args: Any, request: HttpRequest | None = None, **options: Any) -> None:
        super().__init__(user, *args, **options)
        self.request = request

    def clean_old_password(self) -> str:
        old: str = self.cleaned_data["old_password"]
        person = authenticate(self.request, username=self.user.get_username(), password=old)
        if person is None or person.pk != self.user.pk:
            raise forms.ValidationError("That is not your password.", code="password_incorrect")
        return old


@sensitive_post_parameters("old_password", "new_password1", "new_password2", "url")
@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest) -> HttpResponse:
    """Show one's own page; POST changes what its form's name says."""
    saved = {
        "preferences": prefer, "zone": move, "password": renew, "wishes": choose, "channel": reach, "channel_act": act_on,
        "absence": go_away, "absence_over": come_back, "alarm": say_to_alarm,
    }.get(request.POST.get("change", ""))  # fmt: skip
    if request.method != "POST" or saved is None:
        answer = page(request, PAGE, drawn(request))
        if request.method == "GET":
            looks.note_seen(request.user)
        return answer
    return saved(request)


def prefer(request: HttpRequest) -> HttpResponse:
    """Keep how this person likes to work."""
    form = PreferencesForm(request.POST, instance=preferences_of(request.user))
    if not form.is_valid():
        return page(request, PAGE, drawn(request, preferences_form=form), status=422)
    form.save()
    return done(request, "Kept: this is how you work from now on, in every browser.")


def move(request: HttpRequest) -> HttpResponse:
    """Keep this person's time zone, on record."""
    form = ZoneForm(request.POST)
    if form.is_valid():
        person = Person.objects.get(pk=request.user.pk)
        person.time_zone = form.cleaned_data["time_zone"]
        try:
            policies.save_person(person, actor=audit.Actor.of(person))
        except Invalid as error:
            form.add_error("time_zone", error.errors[0]["detail"])
        else:
            return done(request, f"Kept: times are shown as in {person.time_zone}.")
    return page(request, PAGE, drawn(request, zone_form=form), status=422)


def renew(request: HttpRequest) -> HttpResponse:
    """Change this person's password, on record. Sessions elsewhere end by it; this one goes on with a new key."""
    form = PasswordForm(request.user, request.POST, request=request)
    if not form.is_valid():
        return page(request, PAGE, drawn(request, password_form=form), status=422)
    person = Person.objects.get(pk=request.user.pk)
    policies.save_person(person, actor=audit.Actor.of(person), password=form.cleaned_data["new_password1"])
    update_session_auth_hash(request, person)
    return done(request, "Your password is changed. You are signed out everywhere else.")


def choose(request: HttpRequest) -> HttpResponse:
    """Keep what this person wants to be told, on record."""
    form = you_notices.WishesForm(request.user, request.POST)
    return answered(request, form.keep(), "Kept: that is what you are told from now on.", wishes_form=form)


def reach(request: HttpRequest) -> HttpResponse:
    """Add one more way to reach this person, on record."""
    form = you_notices.ChannelForm(request.POST)
    return answered(request, form.add(request.user), "Added. Send a test to see that it works.", channel_form=form)


def act_on(request: HttpRequest) -> HttpResponse:
    """Test one of this person's channels, or switch it off or on."""
    return done(request, you_notices.act_on(request.user, request.POST.get("channel", ""), request.POST.get("act", "")))


def go_away(request: HttpRequest) -> HttpResponse:
    """Keep when this person is away, on record."""
    form = you_absence.AbsenceForm(request.user, request.POST)
    return answered(request, form.plan(), "Kept. When it begins, what you hold passes on.", absence_form=form)


def come_back(request: HttpRequest) -> HttpResponse:
    """End an absence of this person's, or take one back that has not begun."""
    return done(request, you_absence.call_off(request.user, request.POST.get("absence", "")))


def say_to_alarm(request: HttpRequest) -> HttpResponse:
    """Keep what this person says to a sign that attention fades, on record."""
    number = request.POST.get("alarm", "")
    alarm = int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0
    try:
        looks.answer_alarm(alarm, person=request.user, text=request.POST.get("answer", ""))
    except NotFound as error:
        raise Http404 from error
    except Invalid:
        return page(request, PAGE, drawn(request) | {"alarm_refused": alarm}, status=422)
    return done(request, "Kept. Whoever sees the sign sees what you say to it.")


def answered(request: HttpRequest, kept: bool, what: str, **form: forms.BaseForm) -> HttpResponse:
    """Say what was done, or show the form again with what is wrong in it (422)."""
    return done(request, what) if kept else page(request, PAGE, drawn(request, **form), status=422)


def done(request: HttpRequest, what: str) -> HttpResponse:
    messages.success(request, what)
    return leave(request, reverse("reviews:you"))


def drawn(request: HttpRequest, **forms_: forms.BaseForm) -> dict[str, Any]:
    """Return what the page is made of. No query but those of the preferences, of how one decides and of what one is told."""
    return {
        "preferences_form": PreferencesForm(instance=preferences_of(request.user)),
        "zone_form": ZoneForm(initial={"time_zone": request.user.time_zone}),
        "password_form": PasswordForm(request.user),
        "zones": sorted(available_timezones()),
        "orders": Preferences.ORDERS,
        "roles": sorted(role.name for role in request.user.roles()),
        "figures": second_figures.figures_of(request.user),
        **you_notices.drawn(request),
        **you_absence.drawn(request),
        **forms_,
    }
