"""The house tests itself: files a person can hold in the head."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CEILING = 400


def files():
    for folder in ("hitl_site", "escalations", "reviews", "templates", "static", "tests", "bench", "sdk"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".html", ".css", ".js"} and "migrations" not in path.parts:
                yield path.relative_to(ROOT)


def test_no_file_is_longer_than_a_person_can_hold():
    ours = [path for path in files() if not path.name.endswith(".min.js")]
    lengths = {str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in ours}

    assert lengths
    assert {path: length for path, length in lengths.items() if length > CEILING} == {}
