"""What was looked at, the lists people keep, how they like to work."""

import django.db.models.deletion
import escalations.clock
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('escalations', '0003_room_to_work_in'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Preferences',
            fields=[
                ('person', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='preferences', serialize=False, to=settings.AUTH_USER_MODEL)),
                ('claim_on_open', models.BooleanField(default=False, verbose_name='claim what I open')),
                ('single_keys', models.BooleanField(default=True, verbose_name='single keys')),
                ('order', models.CharField(choices=[('due', 'due soonest first'), ('urgent', 'what it would cost to be late or wrong')], default='due', max_length=6, verbose_name='order of the inbox')),
            ],
            options={
                'verbose_name_plural': 'preferences',
            },
        ),
        migrations.CreateModel(
            name='Glance',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.PositiveIntegerField()),
                ('length', models.PositiveIntegerField()),
                ('at', models.DateTimeField(default=escalations.clock.now)),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('proposal', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='glances', to='escalations.proposal')),
            ],
            options={
                'indexes': [models.Index(fields=['proposal', 'person', '-at'], name='glance_of_proposal')],
            },
        ),
        migrations.CreateModel(
            name='SavedView',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60)),
                ('query', models.CharField(blank=True, max_length=1000)),
                ('created_at', models.DateTimeField(default=escalations.clock.now)),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='saved_views', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['name'],
                'constraints': [models.UniqueConstraint(fields=('person', 'name'), name='saved_view_once')],
            },
        ),
    ]
