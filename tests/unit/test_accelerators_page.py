"""docs/accelerators.md says what the catalogue says."""

from docs import accelerators


def test_the_page_says_what_the_catalogue_says() -> None:
    assert accelerators.PAGE.read_text(encoding="utf-8") == accelerators.page()
