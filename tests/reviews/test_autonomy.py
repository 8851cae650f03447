"""The pages of lanes: who sees them, what they say, and what it takes to sign."""

import json
import re
from datetime import timedelta

import pytest

from escalations import clock
from escalations.learn import evidence, following
from escalations.models import AuditEntry, ClassifierVersion, Decision, Estimate, Lane, LaneGrant, Proposal, Trial, Work
from escalations.policies import lanes
from escalations.states import LaneState, TrialMode, VersionState
from reviews.autonomy_plot import percent
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory
from tests.lanes import lane_with, live_version, tried
from tests.reviews.conftest import at

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
COST = 9  # session, person, roles, whether they see lanes, the lanes, whether a classifier is live, preferences, what waits in the inbox, the stop


@pytest.fixture
def source():
    return SourceFactory(name="billing-agent")


@pytest.fixture
def manager():
    return PersonFactory(username="maren", first_name="Maren", last_name="Manager", roles=["manager"], password=PASSWORD)


@pytest.fixture
def lane(source):
    """Some way along: fifty-one right at ten in a hundred would do."""
    return lane_with(source, "goodwill_voucher", right=20, alpha=0.1)


@pytest.fixture
def proven(source):
    """Far enough, with one mistake below every threshold that matters."""
    return lane_with(source, "goodwill_voucher", right=60, wrong=2, wrong_score=0.45, alpha=0.1)


def page_of(client, lane):
    answer = client.get(lane.get_absolute_url())
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.content.decode())


def hidden(page):
    """What the form carries along, as a browser would send it."""
    form = re.search(r'action="[^"]*/grant/".*?</form>', page, re.S).group()
    said = {name: re.search(rf'name="{name}" value="([^"]*)"', form).group(1) for name in ("digest", "until", "alpha", "delta")}
    options = re.findall(r'<option value="([^"]+)"', form) or re.findall(r'name="threshold" value="([^"]+)"', form)
    return {**said, "threshold": options[0]}


def signed(page, **more):
    return {**hidden(page), "days": "30", "reason": "Proven.", "typed": "goodwill_voucher", "password": PASSWORD, **more}


@pytest.mark.parametrize("who", [["finance"], ["security"], []])
def test_who_does_not_see_all_does_not_learn_that_there_are_lanes(client, lane, who):
    client = at(client, PersonFactory(roles=who))

    for address in ("/autonomy/", lane.get_absolute_url()):
        assert client.get(address).status_code == 404
    for act in ("grant", "withdraw", "target"):
        assert client.post(f"{lane.get_absolute_url()}{act}/", {}).status_code == 404
    assert "/autonomy/" not in client.get("/").content.decode()


def test_an_auditor_reads_and_is_offered_nothing_to_sign(client, proven):
    page = page_of(at(client, PersonFactory(roles=["auditor"])), proven)

    assert "Managers decide how much the machine may do alone." in page
    assert 'name="password"' not in page and 'name="allowed"' not in page


def test_a_lane_that_watches_says_how_far_it_is_and_what_may_be_wrong(client, manager, lane):
    page = page_of(at(client, manager), lane)

    view = evidence.seen(lane)
    assert f"Decided 20 of about {20 + view.needed} that it takes to show, with 95 % confidence, that at most 10 % of a part is wrong." in page
    assert f'<progress class="bar" max="{20 + view.needed}" value="20"' in page
    assert "Nothing can be granted yet" in page and "None among what was decided so far." in page
    assert page.count("<circle class=\"mark") == sum(1 for rung in view.rungs if rung.selected) and 'class="allowed"' in page


def test_the_list_says_it_too_and_what_acts_alone_stands_first(client, manager, source, lane):
    other = lane_with(source, "aardvark")
    following.follow()
    for one in (lane, other):
        Lane.objects.filter(pk=one.pk).update(summary=evidence.summary_of(one))
    Lane.objects.filter(pk=lane.pk).update(state=LaneState.GRANTED)

    client = at(client, manager)
    page = client.get("/autonomy/").content.decode()

    assert page.index("goodwill_voucher") < page.index("aardvark") and "acts alone" in page
    assert "aardvark" not in client.get("/autonomy/?show=granted").content.decode()
    assert "goodwill_voucher" not in client.get("/autonomy/?show=watching").content.decode()
    assert "Nothing could act alone yet" in client.get("/autonomy/?show=ready").content.decode()


@pytest.mark.parametrize("query", ["?page=0", "?page=-1", "?page=x", "?page=9999", "?page=٣", "?show=%00", "?show=nonsense", "?page=" + "9" * 60])
def test_what_nobody_wrote_into_the_address_does_no_harm(client, manager, lane, query):
    assert at(client, manager).get(f"/autonomy/{query}").status_code == 200


def test_while_it_acts_alone_its_own_bound_is_told_and_no_estimate_without_samples(client, manager, proven):
    client = at(client, manager)
    client.post(f"{proven.get_absolute_url()}grant/", signed(page_of(client, proven)))
    grant = LaneGrant.objects.get()
    tried(proven, None, mode=TrialMode.ALONE, grant=grant, share=0.2)
    page = page_of(client, proven)

    bound = evidence.watch(grant).bound
    assert 0 < bound < grant.alpha and f"at most <b>{percent(bound)}</b>, by the evidence and the samples since" in page
    assert "No audit sample was decided yet. 1 went alone; how much of it was wrong can be estimated once samples are decided." in page


def test_a_lane_whose_every_decision_a_trigger_or_a_rule_kept_says_so_and_promises_nothing(client, manager, source):
    lane = lane_with(source, "refund")
    for number in range(3):
        trial = tried(lane, True, mode=TrialMode.KEPT, eligible=False)
        rules = [{"name": "What a lane has earned", "floor": "auto", "why": ""}]
        rules += [{"name": "Refunds <b>over</b> 100", "floor": "review", "why": ""}] if number else [{"name": "", "floor": "review", "why": "held"}]
        Proposal.objects.filter(pk=trial.pk).update(triggers=[{"name": "high_stakes", "why": "", "where": ""}], rules=rules)
    following.follow()
    page = page_of(at(client, manager), lane)

    said = [(one.by, one.name, one.many) for one in evidence.seen(lane).keepers]
    assert said[0] == ("trigger", "high_stakes", 3)
    assert sorted(said[1:]) == [("past", "", 1), ("rule", "Refunds <b>over</b> 100", 2)]
    assert "What kept 3 of the 3 with people" in page and "Refunds &lt;b&gt;over&lt;/b&gt; 100" in page
    assert "something that stands above every lane kept it with them" in page and "more</span>" not in page, "no forecast that leads nowhere"
    assert "Nothing here would go alone, whatever were granted" in page
    lane.refresh_from_db()
    lane.summary = evidence.summary_of(lane)
    lane.save(update_fields=["summary"])
    assert "kept with people by rules and triggers" in client.get("/autonomy/").content.decode()


def test_lanes_that_could_be_granted_stand_before_those_that_cannot(client, manager, source, proven):
    lane_with(source, "a_small_one", right=3, alpha=0.1)
    Lane.objects.create(source=source, by="action", subject="a_new_one")
    for lane in Lane.objects.exclude(subject="a_new_one"):
        Lane.objects.filter(pk=lane.pk).update(summary=evidence.summary_of(lane))

    assert [one.subject for one in evidence.listed(manager)] == ["goodwill_voucher", "a_small_one", "a_new_one"]


def test_the_list_costs_the_same_however_long_it_is(client, manager, source, django_assert_num_queries):
    live_version()
    client = at(client, manager)
    for size in (1, 30):
        for number in range(size):
            lane_with(source, f"action_{size}_{number}")
        with clock.frozen_at(clock.now()), django_assert_num_queries(COST):
            client.get("/autonomy/")


def test_the_page_costs_the_same_however_much_was_decided(client, manager, source, django_assert_max_num_queries):
    client = at(client, manager)
    few, many = lane_with(source, "few", right=2, wrong=1), lane_with(source, "many", right=20, wrong=20)
    client.get("/")
    with django_assert_max_num_queries(40) as cost:
        page_of(client, few)
    with django_assert_max_num_queries(len(cost)):
        page_of(client, many)


def test_a_manager_grants_what_was_shown_with_reason_name_and_password(client, manager, proven):
    client = at(client, manager)
    page = page_of(client, proven)
    reach = evidence.seen(proven).certified.selected
    assert "Countersign may settle by itself what" in page and f"{reach} of 62 decisions reach that score, 0 of them wrong" in page

    answer = client.post(f"{proven.get_absolute_url()}grant/", signed(page))

    assert (answer.status_code, answer["Location"]) == (303, proven.get_absolute_url())
    given = LaneGrant.objects.get()
    assert (given.granted_by, given.reason, given.alpha) == (manager, "Proven.", 0.1)
    assert AuditEntry.objects.filter(action="lane.granted").count() == 1
    page = page_of(client, proven)
    assert "It acts alone on what scores at least" in page and "by classifier 1" in page and "End its autonomy" in page


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("reason", " ", "Say why"), ("typed", "goodwill", "Type the name of the lane exactly"), ("password", "wrong", "That is not your password."),
        ("password", "", "Enter your password again"), ("days", "91", "At most 90 days"), ("days", "", "Say for how many days."),
    ],
)
def test_what_is_missing_is_said_and_what_was_typed_is_kept(client, manager, proven, field, value, says):
    client = at(client, manager)
    form = signed(page_of(client, proven), reason="Proven & tried.")

    answer = client.post(f"{proven.get_absolute_url()}grant/", {**form, field: value})

    page = answer.content.decode()
    assert answer.status_code == 422 and says in page and page.count("autofocus") == 1 and not LaneGrant.objects.exists()
    assert field == "reason" or "Proven &amp; tried.</textarea>" in page
    assert PASSWORD not in page


@pytest.mark.parametrize(
    ("field", "value"),
    [("digest", "sha256:" + "0" * 64), ("until", "yesterday"), ("until", "2020-01-01T00:00:00"), ("until", "2020-01-01T00:00:00Z"),
     ("threshold", "0.123"), ("threshold", "nan"), ("alpha", "0.2"), ("delta", "inf"), ("until", ""), ("digest", "")],
)
def test_terms_that_were_not_shown_are_not_signed(client, manager, proven, field, value):
    client = at(client, manager)
    form = signed(page_of(client, proven))

    answer = client.post(f"{proven.get_absolute_url()}grant/", {**form, field: value})

    assert answer.status_code in (409, 422) and "Nothing was done" in answer.content.decode() and not LaneGrant.objects.exists()


def test_it_says_whose_decisions_prove_it_and_warns_who_would_sign_on_their_own(client, manager, source):
    rosa = PersonFactory(first_name="Rosa", last_name="Lindqvist")
    lane = lane_with(source, "goodwill_voucher", right=20, alpha=0.1, person=rosa)
    lane_with(source, "goodwill_voucher", right=40, person=manager)
    client.force_login(PersonFactory(roles=["manager"]))
    assert "your own decisions" not in page_of(client, lane)
    client.force_login(manager)

    page = page_of(client, lane)

    assert "Decided by Maren Manager (40), Rosa Lindqvist (20)." in page
    assert "Most of this evidence is your own decisions: 40 of 60." in page
    client.post(f"/autonomy/{lane.pk}/grant/", signed(page))
    facts = json.loads(AuditEntry.objects.get(action="lane.granted").body)["facts"]
    assert (facts["own"], facts["decided"]) == (40, 60)


def test_evidence_that_changed_since_it_was_shown_is_a_conflict(client, manager, proven):
    client = at(client, manager)
    form = signed(page_of(client, proven))
    trial = Trial.objects.filter(lane=proven, right=True).first()
    Trial.objects.filter(pk=trial.pk).update(right=False)  # harm showed

    answer = client.post(f"{proven.get_absolute_url()}grant/", form)

    assert answer.status_code == 409 and "Read it again before you sign" in answer.content.decode() and not LaneGrant.objects.exists()


def test_who_answers_for_the_source_may_not_grant_and_may_end(client, manager, proven, source):
    client = at(client, manager)
    form = signed(page_of(client, proven))
    source.owner = manager
    source.save()

    assert "Nobody lets their own service act alone" in page_of(client, proven)
    answer = client.post(f"{proven.get_absolute_url()}grant/", form)
    assert answer.status_code == 403 and not LaneGrant.objects.exists()

    granted(proven, PersonFactory(roles=["manager"]))
    owner = PersonFactory(roles=["auditor"])
    source.owner = owner
    source.save()
    client = at(client, owner)
    assert 'name="allowed"' not in page_of(client, proven)  # what may be wrong is not theirs to say
    assert client.post(f"{proven.get_absolute_url()}withdraw/", {"reason": "We change it."}).status_code == 303
    proven.refresh_from_db()
    assert proven.state == LaneState.WATCHING


def test_what_a_list_of_proposals_masks_is_masked_here(client, manager, proven, source):
    one = ProposalFactory(
        incident=IncidentFactory(source=source), action="goodwill_voucher", args={"password": "zebra-stripes-77"}, state="rejected", settled_at=clock.now(),
    )
    Decision.objects.create(
        proposal=one, type="reject", by_kind="person", person=manager, by_id="maren", by_name="Maren", reason="zebra-stripes-77 was theirs",
        signed_digest=one.args_digest, decided_at=clock.now(), valid_until=clock.now(),
    )
    work = Work.objects.create(incident=one.incident, proposal=one, stage="done")
    Estimate.objects.create(work=work, version=live_version(), approve=0.99, novelty=0.1)
    Trial.objects.create(
        proposal=one, lane=proven, work=work, version=live_version(), score=0.99, eligible=True, mode="watched", right=False, how="decision",
        labelled_at=clock.now(),
    )

    page = page_of(at(client, manager), proven)

    assert "was theirs" in page and "zebra-stripes-77" not in page


def granted(lane, manager):
    offer = evidence.seen(lane)
    return lanes.grant(
        lane.pk, person=manager, alpha=lane.alpha, delta=lane.delta, threshold=offer.certified.threshold, days=3, reason="Proven.",
        digest=offer.digest, until=offer.until,
    )


def test_a_manager_ends_it_with_a_reason_and_the_history_keeps_both(client, manager, proven):
    granted(proven, manager)
    client = at(client, manager)
    address = f"{proven.get_absolute_url()}withdraw/"

    assert "ends soon" in page_of(client, proven)
    assert client.post(address, {"reason": " "}).status_code == 422 and Lane.objects.get(pk=proven.pk).state == "granted"
    assert client.get(address).status_code == 405
    assert client.post(address, {"reason": "The season <b>begins</b>."}).status_code == 303

    page = page_of(client, proven)
    assert Lane.objects.get(pk=proven.pk).state == "watching"
    assert "by Maren Manager: a manager ended it." in page and "The season &lt;b&gt;begins&lt;/b&gt;." in page
    assert "had ended already" in client.post(address, {"reason": "again"}, follow=True).content.decode()


def test_what_may_be_wrong_is_set_in_hundredths(client, manager, lane):
    client = at(client, manager)

    assert client.post(f"{lane.get_absolute_url()}target/", {"allowed": "0.5", "sure": "99"}).status_code == 303

    lane.refresh_from_db()
    assert (lane.alpha, lane.delta) == (0.005, 0.01)
    page = page_of(client, lane)
    assert "At most <b>0.5 %</b> of what goes alone, shown with <b>99 %</b> confidence." in page
    assert 'value="0.5"' in page and '<option value="99" selected>' in page
    for wrong in ({"allowed": "21", "sure": "95"}, {"allowed": "nan", "sure": "95"}, {"allowed": "1", "sure": "50"}, {}):
        assert client.post(f"{lane.get_absolute_url()}target/", wrong).status_code == 422


def test_a_name_nobody_can_type_is_ticked_and_shown_for_what_it_is(client, manager, source):
    odd = lane_with(source, "good\u202ewill", right=60, alpha=0.1)
    client = at(client, manager)
    page = page_of(client, odd)
    form = {**signed(page), "typed": ""}

    assert "\u202e" not in page and "hidden-char" in page and 'name="read"' in page
    assert client.post(f"{odd.get_absolute_url()}grant/", form).status_code == 422
    assert client.post(f"{odd.get_absolute_url()}grant/", {**form, "read": "on"}).status_code == 303


def test_mistakes_checks_and_harm_are_listed_and_nothing_that_waits(client, manager, proven):
    grant = granted(proven, manager)
    now = {"grant": grant, "share": 0.2}
    tried(proven, True, mode=TrialMode.AUDIT, **now)
    tried(proven, False, mode=TrialMode.AUDIT, score=0.961, **now)
    waiting = tried(proven, None, mode=TrialMode.AUDIT, **now)

    page = page_of(at(client, manager), proven)

    assert "2 audit samples were decided, 1 of them otherwise" in page and "scored 0.961" in page
    assert str(waiting.proposal_id) not in page


def test_known_harm_stands_beside_the_bound_is_never_more_than_it_and_no_decision_of_anybody(client, manager, proven):
    grant = granted(proven, manager)
    tried(proven, None, mode=TrialMode.ALONE, grant=grant, share=0.2)
    harmed = tried(proven, False, mode=TrialMode.ALONE, grant=grant, share=0.2)

    page = page_of(at(client, manager), proven)

    assert "1 of 2 that went alone" in page and "at most <b>50 %</b>, by the evidence" in page
    assert "<dt>decided otherwise</dt><dd>2</dd>" in page and "<dt>went alone and did harm</dt><dd>1</dd>" in page
    mistakes, harm = page.split('id="harm-h"')
    assert str(harmed.proposal_id) in harm and str(harmed.proposal_id) not in mistakes.split('id="mistakes-h"')[1]


def test_without_a_classifier_it_says_that_nothing_counts_yet(client, manager, lane):
    ClassifierVersion.objects.update(state=VersionState.RETIRED)

    page = page_of(at(client, manager), lane)

    assert "No classifier is live, so there is nothing yet to compare their decisions with." in page and "lane-plot" not in page
    assert "A classifier is trained by itself once people have decided some 200 proposals" in page
    assert "The first one is trained by itself once people have decided some 200 proposals" in at(client, manager).get("/autonomy/").content.decode()

    ClassifierVersion.objects.update(state=VersionState.READY)
    for address in ("/autonomy/", lane.get_absolute_url()):
        assert "ready: an administrator can make it live" in client.get(address).content.decode()


def test_a_lane_whose_traffic_ended_it_says_with_which_numbers(client, manager, proven):
    grant = granted(proven, manager)
    lanes.withdraw(
        proven.pk, end="bound", why="Too many audits failed.", actor=lanes.audit.SYSTEM, grant_id=grant.pk,
        evidence={"audits": 41, "audits_wrong": 7, "bound": 0.131, "inner": {"x": 1}},
    )

    page = page_of(at(client, manager), proven)

    assert "more of it was wrong than allowed, or may have been" in page and "Too many audits failed." in page
    for name, text in (("audits", "41"), ("audits that failed", "7"), ("errors are at most", "13 %")):
        assert f"<dt>{name}</dt><dd>{text}</dd>" in page
    assert clock.now() - LaneGrant.objects.get().ended_at < timedelta(minutes=5) and live_version()

