"""What lanes are watched by: every second what was decided is read, evidence is counted, and who lost the right loses it."""

BATCH = 500


def follow(limit: int = BATCH) -> int:
    """Label up to `limit` trials that were decided since, look at every granted lane again, withdraw what has to be; return how many
    were labelled. Run by the timers each second; cheap when there is nothing to do. Several may run at once."""
    raise NotImplementedError
