"""What a new database tells its language model, as version 1 of the prompt; and how long each part of a prompt may be.

Only what may be edited stands here. The frame around it (what is data, what an answer looks like, that the model decides nothing) is
`classify/prompting.py`'s, and no version can edit it away.
"""

INSTRUCTIONS = """\
severity: critical (harm is happening or about to: outage, data loss, security, danger to people, large sums), warning (a person
should look soon), info (routine).
confidence: 0 to 1, how sure you are of severity and category together. Say low when the text is thin, odd or contradicts itself.
rationale: at most two plain sentences for a reviewer, without instructions."""

EXAMPLES = 3  # nearest past decisions that are shown
MOST_EXAMPLES = 10
LONGEST_INSTRUCTIONS = 8_000  # characters
LONGEST_POLICY = 8_000
LONGEST_WHY = 2_000
