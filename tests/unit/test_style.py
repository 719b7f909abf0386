"""The check of `make lint` finds what the style guide does without, and nothing in plain sentences."""

import pytest

from docs.style import findings

STOPS = {
    "Whoever starts the image proves that it may.": "Whoever",
    "It runs where nobody looks.": "nobody",
    "The file is written anew.": "anew",
    "A new pod would wait for ever.": "for ever",
    "Where it comes from is the environment's to say.": "'s to say",
    "Break the lock of an update of which it is not certain that it is gone.": "of which it",
    "How the Gateway's listener is spoken to.": "is spoken to",
    "How the Gateway's listener is spoken to": "is spoken to",
    "found none and someone to ask, accepted: a terminal": "found none and someone to ask, accepted:",
    "found port 80 taken, accepted: another --port": "accepted: another --p",
    "A load balancer is needed, for the load is there.": ", for the load is",
    "It is left out, for it is slow.": ", for it",
    "A rule is no method of a release.": "is no method",
    "Who must not be down asks for two replicas.": "Who",
    "It takes some 70 minutes.": "some",
    "What does it need?": "?",
    "A " + "very " * 50 + "long sentence.": "A very very very very very very very",
}

PASSES = [
    "Anyone who starts the image proves that they may.",
    "A process runs as nobody, the user of the node.",
    "An update takes a replica first, for example where no GPU is spare.",
    "It waits 30 seconds, for each replica that is ready, and for the whole of the model.",
    "Where there is no method of that name, it is no longer called.",
    "found 8 replicas, accepted: 5 or fewer (limits.replicas)",
    'The message was "found none and nobody to ask", and `whoever` is a name.',
    "--yes is required when standard input is not a terminal.",
]


def _found(text: str, suffix: str) -> list[str]:
    return [finding.found for finding in findings(text, suffix)]


@pytest.mark.parametrize(("text", "found"), STOPS.items())
def test_what_stops_a_reader_is_found_in_every_kind_of_text(text: str, found: str) -> None:
    assert _found(text, ".md") == [found]
    assert _found(f'"""Title.\n\n{text}\n"""\n', ".py") == [found]
    assert _found(f"# {text}\n", ".py") == [found]


@pytest.mark.parametrize("text", PASSES)
def test_plain_sentences_pass(text: str) -> None:
    assert _found(text, ".md") == _found(f"'''{text}'''\n", ".py") == _found(f"# {text}\n", ".py") == []


def test_comments_of_a_makefile_and_of_yaml_are_read() -> None:
    source = "all: ## Make all anew\n# It is made, for\n# it is needed.\nnobody: whoever # nobody\nurl: a#nobody\n"
    for kind in ("", ".yaml", ".toml"):
        assert [(each.line, each.found) for each in findings(source, kind)] == [
            (1, "anew"),
            (2, ", for it"),
            (4, "nobody"),
        ]


def test_messages_are_found_where_they_begin() -> None:
    code = (
        'help = "Break the lock of an update of which it is not certain that it is gone."\n'
        'raise BadParameter(f"found {nothing} and nobody to ask, "\n'
        '    "accepted: --yes, or a terminal")\n'
    )
    assert [(finding.line, finding.found) for finding in findings(code, ".py")] == [
        (1, "of which it"),
        (2, "nobody"),
        (2, "accepted: --y"),
    ]


def test_prompts_may_ask() -> None:
    assert _found('confirm("Shall this be done again?")\n', ".py") == ["Shall"]


def test_code_names_quotations_and_generated_tables_are_skipped() -> None:
    page = (
        "```sh\necho whoever?\n```\n\n<!-- fields of Model -->\n| whoever |\n<!-- end -->\n\n"
        'The word `nobody`, "whoever\nasks?" and [anew](anew.md).\n'
    )
    assert [(finding.line, finding.found) for finding in findings(page, ".md")] == [(10, "anew")]


def test_a_sentence_may_run_over_lines_and_cells_do_not() -> None:
    assert [finding.line for finding in findings("One\ntwo, for\nit is\nthree.\n", ".md")] == [2]
    assert _found("| is waited | for ever |\n|---|---|\n| which is for | ever |\n", ".md") == ["for ever"]


def test_a_line_may_differ_with_a_reason() -> None:
    assert _found("Nobody. <!-- style: words of the kubelet -->\n", ".md") == []
    assert _found("x = 1  # nobody  # style: words of the kubelet\n", ".py") == []
    assert _found("Nobody. <!-- style: -->\n", ".md") == ["Nobody"]
