"""Mail in development: the console says that one was sent, a file in the data folder keeps it whole."""

import os
from typing import Any

from django.core.mail.backends import console

from hitl_site import env

KEPT = env.DATA_DIR / "mail.txt"


class EmailBackend(console.EmailBackend):
    """Prints a line a mail, so that the address and the passwords printed at the start stay in sight."""

    def write_message(self, message: Any) -> None:
        """Keep the mail for its reader alone, then say so. A source's title may stand in a subject: nothing of it steers a terminal."""
        env.make_data_dir()
        with open(KEPT, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as kept:
            kept.write(message.message().as_bytes() + b"\n" + b"-" * 79 + b"\n")
        line = f"mail to {', '.join(message.to)}: {message.subject} (whole in {KEPT})"
        self.stream.write("".join(one if one.isprintable() else "?" for one in line) + "\n")
