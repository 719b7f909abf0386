"""The emitter: every reader reads back what was written, and people can read it too."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from homeport.output.yaml import UNKNOWN, dump, dump_all

ODD = "0123456789eExob_.:+-aTZ ~#nyYNOof'\"\\\n\t|>&*!%@`{}[],?=<\u0085\u2028\ufeff\u00a0é😀\x7f\x00"
KNOWN = ["yes", "012", "1e3", "12:30", "null", "2024-01-01", "0o7", "- a", "? b", "a: b", "a #b", "---", "--- a", "<<"]
TEXTS = st.one_of(st.text(), st.text(alphabet=ODD), st.sampled_from(KNOWN))
LEAVES = st.one_of(TEXTS, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False))
DATA = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=20
)


def both(text: str) -> tuple[Any, Any]:
    """What YAML 1.1 (PyYAML) and YAML 1.2 (ruamel.yaml) read."""
    return yaml.safe_load(text), YAML(typ="safe", pure=True).load(text)


@given(DATA)
@settings(max_examples=500, deadline=None)
def test_both_versions_of_yaml_read_back_the_same_data(data: Any) -> None:
    # By repr, which tells 1 from True and 1.0.
    assert [repr(read) for read in both(dump(data))] == [repr(data)] * 2


@given(st.lists(DATA, min_size=1, max_size=3))
@settings(max_examples=50, deadline=None)
def test_several_documents_are_read_back(documents: list[Any]) -> None:
    assert repr(list(yaml.safe_load_all(dump_all(documents)))) == repr(documents)


@pytest.mark.parametrize(
    "plain",
    ["iris", "500m", "4Gi", "10.0.0.0/8", "registry.example.com:5000/a/b:3@sha256:00", "http://a.b/c?d#e", "-c", "--flag=1",
     "app.kubernetes.io/name", "sentences, too", "naïve", "1.2.3-rc", "a{b}", "x*"],
)  # fmt: skip
def test_text_without_need_of_quotes_has_none(plain: str) -> None:
    assert dump({"a": plain}) == f"a: {plain}\n"


@pytest.mark.parametrize(
    "quoted",
    ["", "1", "1.10", "0x1f", "0o17", "017", "1_000", "1e3", "+1", "-_", "+_1", "-.inf", ".nan", "12:30", "12:30:45.5", "2024-01-01", "yes",
     "No", "on", "off", "y", "true", "null", "~", "=", "<<", " a", "a ", "a: b", "a:", "a #b", "- a", "? a", "[a", "{a", "&a",
     "*a", "!a", "|", ">", "%a", "@a", "`a", "'a", '"a', "#a", ",a", "---", "...", "a\tb"],
)  # fmt: skip
def test_text_that_a_reader_would_take_for_something_else_is_quoted(quoted: str) -> None:
    written = dump({"a": quoted})
    assert written.startswith('a: "')
    assert both(written) == ({"a": quoted}, {"a": quoted})


def test_layout_is_that_of_kubectl() -> None:
    data = {
        "kind": "X",
        "spec": {"ports": [{"name": "http", "port": 80}, {"name": "metrics"}], "args": ["a", ["b", []]], "empty": {}},
        "script": "one\n\ntwo: 2\n",
        "last": "no end\nhere",
        "on": True,
        "none": None,
        "ratio": 1e16,
    }
    expected = """\
kind: X
spec:
  ports:
  - name: http
    port: 80
  - name: metrics
  args:
  - a
  - - b
    - []
  empty: {}
script: |
  one

  two: 2
last: |-
  no end
  here
"on": true
none: null
ratio: 1.0e+16
"""
    assert dump(data) == expected
    assert both(expected) == (data, data)


def test_numbers_without_end() -> None:
    assert dump([float("inf"), float("-inf"), float("nan")]) == "- .inf\n- -.inf\n- .nan\n"


def test_what_is_no_plain_data_is_never_shown() -> None:
    class Output:
        def __repr__(self) -> str:
            return "hunter2"

    assert (
        dump({"password": Output(), "all": [Output()]})
        == f"password: {UNKNOWN}\nall:\n- {UNKNOWN}\n"
        == ("password: <known only to Pulumi>\nall:\n- <known only to Pulumi>\n")
    )
