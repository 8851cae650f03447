"""What the OpenAI API refuses of a file to fine-tune a chat model on: its rules, said once more by hand."""

from typing import Any

ROLES = frozenset({"system", "user", "assistant"})


def faults_of(example: Any) -> list[str]:
    """Return what is wrong with one line of a chat file, in words; nothing for one that the API takes.

    The rules: an object with `messages` and nothing else we do not know; each message an object with a known role and a text that is not
    empty; at least one of the user, and the assistant's last.
    """
    if not isinstance(example, dict) or set(example) != {"messages"}:
        return ["a line is an object with “messages”"]
    messages = example["messages"]
    if not isinstance(messages, list) or len(messages) < 2:
        return ["“messages” is a list of two or more"]
    found = []
    for number, one in enumerate(messages):
        if not isinstance(one, dict) or set(one) != {"role", "content"}:
            found.append(f"message {number} has a role and a content")
        elif one["role"] not in ROLES:
            found.append(f"message {number}: no such role")
        elif not isinstance(one["content"], str) or not one["content"].strip():
            found.append(f"message {number}: its content is no text")
        elif one["role"] == "system" and number:
            found.append(f"message {number}: the system speaks first")
    roles = [one.get("role") for one in messages if isinstance(one, dict)]
    if "user" not in roles:
        found.append("nobody asks")
    if roles[-1:] != ["assistant"]:
        found.append("the assistant speaks last")
    return found
