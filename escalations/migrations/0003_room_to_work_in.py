"""What the room needs of the record: holds, clearance, guidance, mentions, search, and the order by urgency."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.core.validators
import django.db.models.deletion
import escalations.clock
import escalations.models.proposals
from django.conf import settings
from django.db import migrations, models


# Only hours and minutes are taken off, so the time zone of the session does not matter and the function may say IMMUTABLE.
# The weights are those of reviews/inbox.py, which says them in words; a test compares the two.
URGENCY = """
CREATE FUNCTION countersign_urgency(due timestamptz, risk varchar, confidence double precision) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT due
        - make_interval(mins => CASE risk WHEN 'critical' THEN 480 WHEN 'high' THEN 240 WHEN 'medium' THEN 60 ELSE 0 END)
        - make_interval(secs => 14400 * (1 - coalesce(confidence, 0.5)))
$$
"""


class Migration(migrations.Migration):

    dependencies = [
        ('escalations', '0002_what_the_database_refuses'),
    ]

    operations = [
        migrations.RunSQL(URGENCY, "DROP FUNCTION countersign_urgency(timestamptz, varchar, double precision)"),
        migrations.CreateModel(
            name='Hold',
            fields=[
                ('proposal', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='hold', serialize=False, to='escalations.proposal')),
                ('type', models.CharField(choices=[('approve', 'Approve'), ('edit', 'Edit'), ('reject', 'Reject'), ('respond', 'Respond')], max_length=8)),
                ('digest', models.CharField(max_length=71)),
                ('version', models.PositiveIntegerField()),
                ('method', models.CharField(choices=[('page', 'the page'), ('group', 'a group form'), ('api', 'a token'), ('chat', 'a chat bridge')], max_length=5)),
                ('reason', models.TextField(blank=True)),
                ('args', models.JSONField(null=True)),
                ('draft', models.JSONField(null=True)),
                ('message', models.TextField(null=True)),
                ('retry', models.BooleanField(default=False)),
                ('signed_at', models.DateTimeField(default=escalations.clock.now)),
                ('settles_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='SearchText',
            fields=[
                ('proposal', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='search', serialize=False, to='escalations.proposal')),
                ('words', django.contrib.postgres.search.SearchVectorField()),
            ],
        ),
        migrations.AddField(
            model_name='category',
            name='guidance',
            field=models.TextField(blank=True, help_text="What applies to these, in the policy's own words; the reviewer reads it."),
        ),
        migrations.AddField(
            model_name='category',
            name='reject_reasons',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=120), blank=True, default=list, help_text='Reasons a reviewer may pick when rejecting, separated by commas.', size=None),
        ),
        migrations.AddField(
            model_name='comment',
            name='mentions',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), default=list, size=None),
        ),
        migrations.AddField(
            model_name='escalationpolicy',
            name='undo_seconds',
            field=models.PositiveSmallIntegerField(default=0, help_text='How long a signature given on a page can be taken back before it settles; 0: it settles at once.', validators=[django.core.validators.MaxValueValidator(300)]),
        ),
        migrations.AddField(
            model_name='role',
            name='clearance',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('financial', 'card and bank numbers'), ('identity', 'national identity numbers'), ('secret', 'passwords, keys and tokens')], max_length=10), blank=True, default=list, help_text='Kinds of values members read without asking. Others reveal them on purpose, and that is recorded.', size=None),
        ),
        migrations.AddIndex(
            model_name='proposal',
            index=models.Index(models.F('role'), escalations.models.proposals.Urgency(), models.F('id'), condition=models.Q(('routed_at__isnull', False), ('state', 'pending')), name='proposal_urgent'),
        ),
        migrations.AddIndex(
            model_name='proposal',
            index=models.Index(escalations.models.proposals.Urgency(), models.F('id'), condition=models.Q(('routed_at__isnull', False), ('state', 'pending')), name='proposal_all_urgent'),
        ),
        # The desk counts what waits, what came and what was decided without reading the rows: with a million of them nothing else
        # stays under 50 ms. The first two grow with what is open or by the hour, the third by one entry a decision.
        migrations.AddIndex(
            model_name='proposal',
            index=models.Index(condition=models.Q(('routed_at__isnull', False), ('state', 'pending'), ('test', False)), fields=['role', 'routed_at'], name='proposal_waiting'),
        ),
        migrations.AddIndex(
            model_name='proposal',
            index=models.Index(condition=models.Q(('test', False), models.Q(('asked', []), _negated=True)), fields=['routed_at'], name='proposal_came'),
        ),
        migrations.AddIndex(
            model_name='proposal',
            index=models.Index(condition=models.Q(('state__in', ['approved', 'edited', 'rejected', 'answered']), ('test', False), models.Q(('asked', []), _negated=True)), fields=['-settled_at'], name='proposal_decided'),
        ),
        migrations.AddIndex(
            model_name='proposal',
            index=models.Index(fields=['role', '-settled_at', '-id'], condition=models.Q(('settled_at__isnull', False)), name='proposal_settled_of_role'),
        ),
        migrations.AddIndex(
            model_name='proposal',
            index=django.contrib.postgres.indexes.GinIndex(condition=models.Q(('asked__len__gt', 1), ('settled_at__isnull', False)), fields=['asked'], name='proposal_settled_elsewhere'),
        ),
        migrations.AddIndex(
            model_name='proposal',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['kind'], name='proposal_open_by_kind'),
        ),
        migrations.AddIndex(
            model_name='proposal',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['severity'], name='proposal_open_by_severity'),
        ),
        migrations.AddIndex(
            model_name='proposal',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['risk'], name='proposal_open_by_risk'),
        ),
        migrations.AddIndex(
            model_name='proposal',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['source'], name='proposal_open_by_source'),
        ),
        migrations.AddIndex(
            model_name='proposal',
            index=django.contrib.postgres.indexes.GinIndex(condition=models.Q(('state', 'pending')), fields=['triggers'], gin_pending_list_limit=256, name='proposal_open_by_trigger', opclasses=['jsonb_path_ops']),
        ),
        migrations.AddField(
            model_name='hold',
            name='person',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='searchtext',
            index=django.contrib.postgres.indexes.GinIndex(fields=['words'], gin_pending_list_limit=256, name='search_words'),
        ),
        migrations.AddIndex(
            model_name='hold',
            index=models.Index(fields=['settles_at'], name='hold_over'),
        ),
    ]
