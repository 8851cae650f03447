"""Write the words by which proposals are found for those that have none: settled before there was a search, or not writable then."""

from typing import Any

from django.core.management.base import BaseCommand

from escalations import search
from escalations.models import Proposal


class Command(BaseCommand):
    """Safe to run at any time and to stop: newest first, in batches of their own."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and say how many."""
        self.stdout.write(f"{search.remember_missing(Proposal.objects.all())} can be found now that could not before.")
