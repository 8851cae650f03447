"""HumanLayer's SDK: functions that wait for a yes, questions that wait for words, as its last published version asks for them.

The client knows two answers to a call, yes and no, runs the arguments it has whatever the answer says, tries nothing twice and takes
every error for a refusal. So a yes is sent only for exactly the arguments that were posted; whatever else was decided is a no in words.
"""

from .views import addresses

__all__ = ["addresses"]
