"""Which address each client that exists already is given: what to paste, and where the source's key goes."""

from django.conf import settings
from django.utils.html import format_html, format_html_join

# Client, path, where its key goes.
CLIENTS = (
    ("Anything that speaks HTTP, CloudEvents", "/api/v1/incidents", "Authorization: Bearer, the key"),
    ("Prometheus Alertmanager (webhook)", "/alertmanager/webhook", "bearer token, password of basic auth, or ?key="),
    ("PagerDuty Events v2 (and who sends it)", "/v2/enqueue", "the routing key is the key"),
    ("MCP hosts", "/mcp", "bearer token"),
    ("HumanLayer SDK (HUMANLAYER_API_BASE)", "/humanlayer/v1", "HUMANLAYER_API_KEY is the key"),
    ("Sentry SDKs", "", "issue a Sentry DSN above; it holds its own key"),
)


def table() -> str:
    """Return the addresses as a table for the source's page. No queries."""
    base = settings.PUBLIC_URL.rstrip("/")
    rows = format_html_join(
        "", "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
        ((client, format_html("<code>{}{}</code>", base, path) if path else "the DSN", how) for client, path, how in CLIENTS),
    )
    return format_html(
        "<table><thead><tr><th>Client</th><th>Address</th><th>Where the key goes</th></tr></thead><tbody>{}</tbody></table>", rows
    )
