"""A reply is drafted by a machine and read by a person before it leaves: what is sent is the text that was signed."""

# /// script
# requires-python = ">=3.10"
# dependencies = ["countersign"]
# ///

import sys

from countersign import Answered, Client, NotApproved

MAIL = "Where is my order 4411? It should have been here on Monday, and I am leaving on Friday."
DRAFT = {
    "to": "ann@customer.example",
    "subject": "Your order 4411",
    "body": "Dear Ann,\n\nyour order left our warehouse yesterday and arrives tomorrow. If it does not, you get your money back.\n\nThe shop",
}


def send(draft: dict[str, str]) -> None:
    """Send the mail; here it is only printed."""
    print(f"sent to {draft['to']}: {draft['subject']}\n\n{draft['body']}")


def what_they_ask(question: dict[str, str]) -> dict[str, object]:
    """Answer what a reviewer asks back, from what the agent can look up."""
    print(f"asked back: {question['text']}", flush=True)
    return {"attempts": [{"tool": "track_parcel", "arguments": {"order": 4411}, "result": {"status": "in transit", "due": "tomorrow"}}]}


def main() -> int:
    """Have the draft read, and send what was signed."""
    with Client() as client:
        print(f"A reply waits to be read at {client.base_url}/", flush=True)
        try:
            with client.review(
                DRAFT, context={"request": MAIL, "why": "The reply promises money back."}, on_question=what_they_ask,
                customer={"id": "C-4411", "tier": "standard"},
            ) as signed:
                send(signed.draft or {})
        except Answered as said:
            print(f"not sent, write it anew: {said.message}")
            return 4
        except NotApproved as refusal:
            print(f"not sent: {refusal}")
            return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
