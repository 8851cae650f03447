"""How fast a page can be read at all: what the time from opening to signing is held against. Pure arithmetic."""

from escalations.states import Risk

# M. Brysbaert, "How many words do we read per minute? A review and meta-analysis of reading rate", Journal of Memory and Language
# 109 (2019) 104047: 238 words a minute on average for English non-fiction read silently, 175 to 300 for most adults.
WORDS_A_MINUTE = 238
LETTERS_A_WORD = 6  # with the space behind it
# We are generous: much of a page is labels and values, and who knows a case only looks for what is new. The riskier, the less so.
TIMES_FASTER = {Risk.LOW: 4.0, Risk.MEDIUM: 3.0, Risk.HIGH: 2.5, Risk.CRITICAL: 2.0}
SECONDS_AT_LEAST = {Risk.LOW: 1.0, Risk.MEDIUM: 2.0, Risk.HIGH: 4.0, Risk.CRITICAL: 6.0}
SECONDS_AT_MOST = 60.0  # nobody has to read a log from end to end


def reading_seconds(length: int, risk: str) -> float:
    """Return the least time in which `length` characters of this risk can have been read; generous, never above a minute."""
    level = Risk(risk)
    read = length / LETTERS_A_WORD / (WORDS_A_MINUTE * TIMES_FASTER[level]) * 60
    return max(SECONDS_AT_LEAST[level], min(read, SECONDS_AT_MOST))


def ordinary_seconds(length: int) -> float:
    """Return how long an average reader takes for so many characters, word by word."""
    return length / LETTERS_A_WORD / WORDS_A_MINUTE * 60
