"""Mail without a mail server."""

import io
import stat

from django.core.mail import EmailMessage

from hitl_site import mail


def test_a_mail_is_one_line_on_the_console_and_whole_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(mail, "KEPT", tmp_path / "mail.txt")
    console = io.StringIO()

    sent = mail.EmailBackend(stream=console).send_messages(
        [EmailMessage("Critical: \x1b[2JThe checkout is down", "Read it\nand decide.", to=["rosa@example.org"])]
    )

    assert sent == 1
    lines = [line for line in console.getvalue().splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("mail to rosa@example.org: Critical: ?[2JThe checkout is down")
    assert "Read it\nand decide." in (tmp_path / "mail.txt").read_text()
    assert stat.S_IMODE((tmp_path / "mail.txt").stat().st_mode) == 0o600
