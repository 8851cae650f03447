"""A person's own API tokens: minted after entering the password again, shown once, revoked with one click."""

from django.contrib import messages
from django.contrib.auth import authenticate
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from escalations import audit, clock, policies
from escalations.errors import Invalid
from escalations.models import PersonToken

from ..forms import TokenForm
from ..partials import leave, page

PAGE = "reviews/tokens.html"


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest) -> HttpResponse:
    """List the person's tokens; POST mints one or revokes one."""
    if request.method != "POST":
        return page(request, PAGE, drawn(request, form=TokenForm()))
    if "revoke" in request.POST:
        key_id = request.POST["revoke"].replace("\0", "")
        token = get_object_or_404(PersonToken, person=request.user, key_id=key_id)
        policies.revoke_token(token, actor=audit.Actor.of(request.user))
        messages.success(request, "Revoked: that token is refused from now on.")
        return leave(request, request.path)
    return mint(request)


def mint(request: HttpRequest) -> HttpResponse:
    """Mint a token for who proves again to be who is signed in. The answer is the only place it is ever shown."""
    form = TokenForm(request.POST)
    if form.is_valid():
        # Through the sign-in's own door, so that guessing here locks out as guessing there does.
        person = authenticate(request, username=request.user.get_username(), password=form.cleaned_data["password"])
        if person is None or person.pk != request.user.pk:
            form.add_error("password", "That is not your password.")
    if not form.is_valid():
        return page(request, PAGE, drawn(request, form=form), status=422)
    try:
        minted = policies.mint_token(
            request.user, actor=audit.Actor.of(request.user), interactive=False, days=form.cleaned_data["days"]
        )
    except Invalid as error:
        form.add_error("days", error.detail)
        return page(request, PAGE, drawn(request, form=form), status=422)
    return page(request, PAGE, drawn(request, form=TokenForm(), minted=minted))


def drawn(request: HttpRequest, **extra: object) -> dict[str, object]:
    now = clock.now()
    tokens = PersonToken.objects.filter(person=request.user).order_by("-created_at")[:100]
    return {"tokens": [(token, token.revoked_at is None and token.expires_at > now) for token in tokens], **extra}
