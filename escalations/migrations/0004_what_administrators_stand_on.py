"""What administrators stand on: versions, changes, replays, shadow, calendars, absences, channels, chat, the stop."""

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import escalations.clock
import escalations.models.incidents
from django.conf import settings
from django.db import migrations, models


# What a rule was and what it would have done is history.
APPEND_ONLY = ("escalations_ruleversion", "escalations_shadowverdict")


def guards() -> list[tuple[str, str]]:
    """Return (forwards, backwards) pairs."""
    return [
        (
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION countersign_refuse();"
            f"CREATE TRIGGER never_truncated BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION countersign_refuse()",
            f"DROP TRIGGER append_only ON {table}; DROP TRIGGER never_truncated ON {table}",
        )
        for table in APPEND_ONLY
    ]


class Migration(migrations.Migration):

    dependencies = [
        ('escalations', '0003_room_to_work_in'),
    ]

    operations = [
        migrations.CreateModel(
            name='Absence',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('note', models.CharField(blank=True, max_length=200)),
                ('passed_on_at', models.DateTimeField(editable=False, null=True)),
                ('created_at', models.DateTimeField(default=escalations.clock.now, editable=False)),
            ],
            options={
                'ordering': ['since'],
            },
        ),
        migrations.CreateModel(
            name='Calendar',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=120, unique=True)),
                ('time_zone', models.CharField(default='UTC', max_length=64)),
                ('hours', models.JSONField(default=dict)),
                ('country', models.CharField(blank=True, help_text='ISO 3166 code; its public holidays are filled in each year.', max_length=2)),
                ('subdivision', models.CharField(blank=True, help_text='A state or region of it, as the holidays package names it.', max_length=10)),
                ('archived_at', models.DateTimeField(blank=True, null=True)),
                ('version', models.PositiveIntegerField(default=1)),
            ],
        ),
        migrations.CreateModel(
            name='Change',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('rule', 'a rule'), ('trigger', 'a trigger'), ('source', 'a source'), ('policy', 'a policy')], max_length=8)),
                ('subject', models.CharField(max_length=120)),
                ('name', models.CharField(max_length=120)),
                ('wanted', models.JSONField()),
                ('base', models.CharField(max_length=64)),
                ('lowers', models.JSONField(default=list)),
                ('why', models.TextField(blank=True)),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('confirmed', 'Confirmed'), ('refused', 'Refused'), ('withdrawn', 'Withdrawn'), ('outdated', 'Outdated')], default='waiting', max_length=9)),
                ('asked_at', models.DateTimeField(default=escalations.clock.now)),
                ('settled_at', models.DateTimeField(null=True)),
                ('said', models.TextField(blank=True)),
            ],
            options={
                'ordering': ['-asked_at'],
            },
        ),
        migrations.CreateModel(
            name='Channel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('apprise', 'Apprise'), ('slack', 'Slack, with buttons')], default='apprise', max_length=8)),
                ('sealed', models.BinaryField()),
                ('label', models.CharField(editable=False, max_length=200)),
                ('notices', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=20), blank=True, default=list, help_text='Which notices; none: all of them.', size=None)),
                ('failing_since', models.DateTimeField(editable=False, null=True)),
                ('last_error', models.CharField(blank=True, editable=False, max_length=300)),
                ('last_sent_at', models.DateTimeField(editable=False, null=True)),
                ('retry_at', models.DateTimeField(editable=False, null=True)),
                ('disabled_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(default=escalations.clock.now, editable=False)),
            ],
        ),
        migrations.CreateModel(
            name='Holiday',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('name', models.CharField(max_length=120)),
                ('filled_in', models.BooleanField(default=False)),
            ],
            options={
                'ordering': ['day'],
            },
        ),
        migrations.CreateModel(
            name='MuteWindow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=120)),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('created_at', models.DateTimeField(default=escalations.clock.now, editable=False)),
            ],
            options={
                'ordering': ['-since'],
            },
        ),
        migrations.CreateModel(
            name='NoticeWishes',
            fields=[
                ('person', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='notice_wishes', serialize=False, to=settings.AUTH_USER_MODEL)),
                ('unwanted', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=20), blank=True, default=list, size=None)),
                ('by_mail', models.BooleanField(default=True)),
                ('digest', models.CharField(blank=True, choices=[('hourly', 'Hourly'), ('daily', 'Daily')], max_length=6)),
                ('digest_at', models.TimeField(default='08:00')),
                ('quiet_from', models.TimeField(blank=True, null=True)),
                ('quiet_until', models.TimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Replay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('rule', 'a rule'), ('trigger', 'a trigger')], max_length=8)),
                ('subject', models.CharField(max_length=120)),
                ('name', models.CharField(max_length=120)),
                ('wanted', models.JSONField()),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('running', 'Running'), ('done', 'Done'), ('cancelled', 'Cancelled'), ('failed', 'Failed')], default='waiting', max_length=9)),
                ('done', models.PositiveIntegerField(default=0)),
                ('total', models.PositiveIntegerField(default=0)),
                ('cursor', models.JSONField(null=True)),
                ('result', models.JSONField(default=dict)),
                ('error', models.CharField(blank=True, max_length=300)),
                ('created_at', models.DateTimeField(default=escalations.clock.now)),
                ('started_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('next_try_at', models.DateTimeField(default=escalations.clock.now, null=True)),
                ('lease_until', models.DateTimeField(null=True)),
                ('token', models.PositiveIntegerField(default=0)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='ReplayItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('was', models.JSONField()),
                ('becomes', models.JSONField()),
                ('said', models.CharField(blank=True, max_length=8)),
                ('mistake', models.BooleanField(default=False)),
            ],
        ),
        migrations.CreateModel(
            name='RuleVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.PositiveIntegerField()),
                ('values', models.JSONField()),
                ('why', models.TextField(blank=True)),
                ('actor_kind', models.CharField(max_length=10)),
                ('actor', models.CharField(max_length=150)),
                ('confirmed_by', models.CharField(blank=True, max_length=150)),
                ('restored_from', models.PositiveIntegerField(null=True)),
                ('at', models.DateTimeField(default=escalations.clock.now)),
            ],
            options={
                'ordering': ['-version'],
            },
        ),
        migrations.CreateModel(
            name='ShadowVerdict',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.PositiveIntegerField()),
                ('floor', models.CharField(max_length=6)),
                ('was', models.CharField(max_length=6)),
                ('would_settle', models.BooleanField(default=False)),
                ('error', models.CharField(blank=True, max_length=300)),
                ('at', models.DateTimeField(default=escalations.clock.now)),
            ],
        ),
        migrations.CreateModel(
            name='SlackAccount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('user_id', models.CharField(max_length=20)),
                ('created_at', models.DateTimeField(default=escalations.clock.now, editable=False)),
            ],
        ),
        migrations.CreateModel(
            name='SlackMessage',
            fields=[
                ('id', models.UUIDField(default=escalations.models.incidents.new_id, editable=False, primary_key=True, serialize=False)),
                ('channel_id', models.CharField(max_length=40)),
                ('ts', models.CharField(max_length=40)),
                ('digest', models.CharField(max_length=71)),
                ('version', models.PositiveIntegerField()),
                ('told_version', models.PositiveIntegerField()),
                ('written_at', models.DateTimeField(default=escalations.clock.now)),
                ('closed_at', models.DateTimeField(null=True)),
                ('next_try_at', models.DateTimeField(null=True)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('lease_until', models.DateTimeField(null=True)),
                ('token', models.PositiveIntegerField(default=0)),
                ('error', models.CharField(blank=True, max_length=300)),
                ('created_at', models.DateTimeField(default=escalations.clock.now)),
            ],
        ),
        migrations.CreateModel(
            name='SlackWorkspace',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=120, unique=True)),
                ('team_id', models.CharField(max_length=20, unique=True)),
                ('sealed_signing_secret', models.BinaryField()),
                ('sealed_bot_token', models.BinaryField()),
                ('failing_since', models.DateTimeField(editable=False, null=True)),
                ('last_error', models.CharField(blank=True, editable=False, max_length=300)),
                ('disabled_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(default=escalations.clock.now, editable=False)),
            ],
            options={
                'verbose_name': 'Slack workspace',
            },
        ),
        migrations.CreateModel(
            name='Stop',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.TextField()),
                ('at', models.DateTimeField(default=escalations.clock.now)),
                ('release_asked_at', models.DateTimeField(null=True)),
                ('release_why', models.TextField(blank=True)),
                ('released_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['-at'],
            },
        ),
        migrations.RemoveConstraint(
            model_name='signature',
            name='one_signature_each',
        ),
        migrations.AddField(
            model_name='escalationpolicy',
            name='chat_up_to',
            field=models.CharField(blank=True, choices=[('low', 'low'), ('medium', 'medium'), ('high', 'high')], help_text='The highest risk at which a button in a chat decides, for sources that allow it. None: a chat only links here.', max_length=8),
        ),
        migrations.AddField(
            model_name='escalationpolicy',
            name='quorum',
            field=models.PositiveSmallIntegerField(default=1, help_text='How many people have to sign the same yes. One no is enough.', validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(5)]),
        ),
        migrations.AddField(
            model_name='notice',
            name='group_key',
            field=models.CharField(blank=True, max_length=80),
        ),
        migrations.AddField(
            model_name='notice',
            name='sent_with',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='told_too', to='escalations.notice'),
        ),
        migrations.AddField(
            model_name='routingrule',
            name='matched_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='source',
            name='may_chat',
            field=models.BooleanField(default=False, help_text='What it asks may be decided by a button in a chat, where the policy allows it.'),
        ),
        migrations.AddConstraint(
            model_name='signature',
            constraint=models.UniqueConstraint(fields=('proposal', 'person', 'version', 'type'), name='one_signature_each'),
        ),
        migrations.AddField(
            model_name='absence',
            name='deputy',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='absence',
            name='person',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='absences', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='escalationpolicy',
            name='calendar',
            field=models.ForeignKey(blank=True, help_text='Its clock stands still outside these hours. None: it never stands still.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='policies', to='escalations.calendar'),
        ),
        migrations.AddField(
            model_name='change',
            name='asked_by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='change',
            name='settled_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='channel',
            name='person',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='channels', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='channel',
            name='role',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='channels', to='escalations.role'),
        ),
        migrations.AddField(
            model_name='notice',
            name='channel',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='notices_sent', to='escalations.channel'),
        ),
        migrations.AddIndex(
            model_name='notice',
            index=models.Index(condition=models.Q(('group_key', ''), _negated=True), fields=['group_key', '-created_at'], name='notice_of_group'),
        ),
        migrations.AddField(
            model_name='holiday',
            name='calendar',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='holidays', to='escalations.calendar'),
        ),
        migrations.AddField(
            model_name='mutewindow',
            name='created_by',
            field=models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='mutewindow',
            name='role',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='escalations.role'),
        ),
        migrations.AddField(
            model_name='mutewindow',
            name='source',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='escalations.source'),
        ),
        migrations.AddField(
            model_name='replay',
            name='asked_by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='replayitem',
            name='proposal',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='escalations.proposal'),
        ),
        migrations.AddField(
            model_name='replayitem',
            name='replay',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='items', to='escalations.replay'),
        ),
        migrations.AddField(
            model_name='ruleversion',
            name='rule',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='versions', to='escalations.routingrule'),
        ),
        migrations.AddField(
            model_name='shadowverdict',
            name='proposal',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='shadow_verdicts', to='escalations.proposal'),
        ),
        migrations.AddField(
            model_name='shadowverdict',
            name='role',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='escalations.role'),
        ),
        migrations.AddField(
            model_name='shadowverdict',
            name='rule',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='shadow_verdicts', to='escalations.routingrule'),
        ),
        migrations.AddField(
            model_name='slackaccount',
            name='person',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='slack_accounts', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='slackmessage',
            name='proposal',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='slack_messages', to='escalations.proposal'),
        ),
        migrations.AddField(
            model_name='slackmessage',
            name='workspace',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='escalations.slackworkspace'),
        ),
        migrations.AddField(
            model_name='slackaccount',
            name='workspace',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='accounts', to='escalations.slackworkspace'),
        ),
        migrations.AddField(
            model_name='stop',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='stop',
            name='release_asked_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='stop',
            name='released_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='absence',
            index=models.Index(fields=['until', 'since'], name='absence_now'),
        ),
        migrations.AddConstraint(
            model_name='absence',
            constraint=models.CheckConstraint(condition=models.Q(('until__gt', models.F('since'))), name='absence_ends_after_it_begins'),
        ),
        migrations.AddConstraint(
            model_name='absence',
            constraint=models.CheckConstraint(condition=models.Q(('person', models.F('deputy')), _negated=True), name='deputy_is_somebody_else'),
        ),
        migrations.AddConstraint(
            model_name='change',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'waiting')), fields=('subject',), name='one_open_change_per_subject'),
        ),
        migrations.AddConstraint(
            model_name='change',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'confirmed'), _negated=True), models.Q(('asked_by', models.F('settled_by')), _negated=True), _connector='OR'), name='change_needs_two_people'),
        ),
        migrations.AddConstraint(
            model_name='channel',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('person', None), ('role__isnull', False)), models.Q(('person__isnull', False), ('role', None)), _connector='OR'), name='channel_of_one'),
        ),
        migrations.AddConstraint(
            model_name='holiday',
            constraint=models.UniqueConstraint(fields=('calendar', 'day'), name='holiday_once'),
        ),
        migrations.AddIndex(
            model_name='mutewindow',
            index=models.Index(fields=['until', 'since'], name='mute_now'),
        ),
        migrations.AddConstraint(
            model_name='mutewindow',
            constraint=models.CheckConstraint(condition=models.Q(('until__gt', models.F('since'))), name='mute_ends_after_it_begins'),
        ),
        migrations.AddIndex(
            model_name='replay',
            index=models.Index(condition=models.Q(('state__in', ['waiting', 'running'])), fields=['next_try_at'], name='replay_due'),
        ),
        migrations.AddIndex(
            model_name='replayitem',
            index=models.Index(fields=['replay', 'mistake', '-proposal'], name='replay_mistakes'),
        ),
        migrations.AddConstraint(
            model_name='replayitem',
            constraint=models.UniqueConstraint(fields=('replay', 'proposal'), name='replay_item_once'),
        ),
        migrations.AddConstraint(
            model_name='ruleversion',
            constraint=models.UniqueConstraint(fields=('rule', 'version'), name='rule_version_once'),
        ),
        migrations.AddIndex(
            model_name='shadowverdict',
            index=models.Index(fields=['rule', 'version', '-at'], name='shadow_verdict_newest'),
        ),
        migrations.AddConstraint(
            model_name='shadowverdict',
            constraint=models.UniqueConstraint(fields=('rule', 'version', 'proposal'), name='shadow_verdict_once'),
        ),
        migrations.AddField(
            model_name='slackmessage',
            name='told',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='slack_messages', to='escalations.channel'),
        ),
        migrations.CreateModel(
            name='SlackPress',
            fields=[
                ('id', models.UUIDField(default=escalations.models.incidents.new_id, editable=False, primary_key=True, serialize=False)),
                ('request', models.CharField(max_length=64, unique=True)),
                ('user_id', models.CharField(max_length=40)),
                ('channel_id', models.CharField(blank=True, max_length=40)),
                ('outcome', models.CharField(blank=True, max_length=40)),
                ('reply', models.TextField(blank=True)),
                ('at', models.DateTimeField(default=escalations.clock.now)),
                ('next_try_at', models.DateTimeField(null=True)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('lease_until', models.DateTimeField(null=True)),
                ('token', models.PositiveIntegerField(default=0)),
                ('error', models.CharField(blank=True, max_length=300)),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='escalations.slackworkspace')),
            ],
            options={
                'verbose_name_plural': 'slack presses',
                'indexes': [
                    models.Index(condition=models.Q(('next_try_at__isnull', False)), fields=['next_try_at'], name='slack_press_due'),
                    models.Index(fields=['at'], name='slack_press_age'),
                ],
            },
        ),
        migrations.AddIndex(
            model_name='slackmessage',
            index=models.Index(condition=models.Q(('closed_at', None)), fields=['next_try_at'], name='slack_message_due'),
        ),
        migrations.AddIndex(
            model_name='slackmessage',
            index=models.Index(condition=models.Q(('closed_at', None)), fields=['proposal'], name='slack_message_open'),
        ),
        migrations.AddConstraint(
            model_name='slackmessage',
            constraint=models.UniqueConstraint(fields=('workspace', 'channel_id', 'ts'), name='slack_message_once'),
        ),
        migrations.AddConstraint(
            model_name='slackaccount',
            constraint=models.UniqueConstraint(fields=('workspace', 'user_id'), name='slack_user_once'),
        ),
        migrations.AddConstraint(
            model_name='stop',
            constraint=models.UniqueConstraint(models.Value(1), condition=models.Q(('released_at', None)), name='one_stop_at_a_time'),
        ),
        migrations.AddConstraint(
            model_name='stop',
            constraint=models.CheckConstraint(condition=models.Q(('released_at', None), models.Q(('release_asked_by__isnull', False), models.Q(('release_asked_by', models.F('released_by')), _negated=True)), _connector='OR'), name='release_needs_two_people'),
        ),
        *(migrations.RunSQL(forwards, backwards) for forwards, backwards in guards()),
    ]
