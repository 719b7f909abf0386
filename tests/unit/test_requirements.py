"""What a requirements file may say, what pip is told of it, and that both read it in the same way."""

from pathlib import Path

import pytest

from homeport.images.requirements import MAX_BYTES, Requirement, RequirementError, Requirements
from tests.pip_reading import pip_reads, understood

DIGEST = "sha256:" + "0" * 64
LONG = "sha512:" + "0" * 128

PLAIN = [
    ("pandas", "pandas"),
    ("  pandas  ", "pandas"),
    ("Ruamel_YAML", "ruamel-yaml"),
    ("pandas[parquet, Excel] >=2,<3  # for the tables", "pandas[Excel,parquet]<3,>=2"),
    ("tomli ; python_version < '3.11'", 'tomli ; python_version < "3.11"'),
    ("tomli;python_version in '3.9 3.10' and (os_name != \"nt\")", None),
    ("epoch>=1!2.0,!=1!2.1.*,~=1!2.0", None),
    ("torch==2.4.0+cpu", "torch==2.4.0+cpu"),
    ("old (>=1)", "old>=1"),
    ("nu\\\nmpy", "numpy"),
    ("numpy \\\n  >=2", "numpy>=2"),
    ("numpy \\\n# comment \\\nscipy", "numpy\nscipy"),
    ("numpy \\\n", "numpy"),
    ("\\\n\\\nnumpy", "numpy"),
    (f"numpy==2.4.6 --hash={DIGEST}", f"numpy==2.4.6 \\\n    --hash={DIGEST}"),
    (
        f"numpy==2.4.6 \\\n    --hash={DIGEST} \\\n    --hash={LONG}\n    # via pandas\nscipy",
        f"numpy==2.4.6 \\\n    --hash={DIGEST} \\\n    --hash={LONG}\nscipy",
    ),
    (f"a==1 ; os_name == 'posix' --hash={DIGEST}", f'a==1 ; os_name == "posix" \\\n    --hash={DIGEST}'),
    ("# pandas\n\n  # numpy\n", ""),
    ("\ufeffpandas\r\n# r\u00e9sum\u00e9, \u6570\u5b57\r\nnumpy\r\n", "pandas\nnumpy"),
    ("# -*- coding: UTF-8 -*-\npandas", "pandas"),
    ("#\n#\n# coding: latin-1\npandas", "pandas"),
    ("a.b.c", "a-b-c"),
]
"""Lines that are accepted, and what pip is told, where that is not obvious."""

REFUSED = [
    # Options, also behind a requirement
    "-r base.txt",
    "-rbase.txt",
    "--requirement=base.txt",
    "-c constraints.txt",
    "-e .",
    "--editable=git+https://github.com/team/thing#egg=thing",
    "-i https://pypi.example.com/simple",
    "--index-url https://pypi.example.com/simple",
    "--extra-index-url=https://pypi.example.com/simple",
    "--no-index",
    "-f /srv/wheels",
    "--find-links ./wheels",
    "--no-binary :all:",
    "--no-binary=numpy",
    "--only-binary numpy",
    "--prefer-binary",
    "--pre",
    "--require-hashes",
    "--trusted-host pypi.example.com",
    "--use-feature=fast-deps",
    f"--hash={DIGEST}",
    "numpy --no-binary=numpy",
    'numpy --config-settings="--global-option=x"',
    "numpy --global-option=build",
    "numpy --install-option=--prefix=/",
    "numpy -e .",
    "numpy ; os_name == 'a --pre'",
    "numpy ;os_name=='a --no-binary=:all: '",
    # Hashes that pip would take, or not ask for
    f"numpy==1 --hash {DIGEST}",
    f"numpy==1 --has={DIGEST}",
    "numpy==1 --hash=md5:d41d8cd98f00b204e9800998ecf8427e",
    "numpy==1 --hash=sha256:0",
    f"numpy==1 --hash={DIGEST.upper()}",
    f"numpy==1 '--hash={DIGEST}'",
    f"numpy==1 --hash={DIGEST} scipy",
    # Addresses and paths
    "thing @ https://example.com/thing-1.0-py3-none-any.whl",
    f"thing @ https://example.com/thing.zip --hash={DIGEST}",
    "thing@file:///srv/thing",
    "git+https://github.com/team/thing@v1#egg=thing",
    "https://example.com/wheels/thing-1.0-py3-none-any.whl",
    "./thing",
    "../thing",
    "/srv/thing",
    ".",
    "thing/",
    "thing-1.0-py3-none-any.whl",
    "thing.zip",
    "thing.TAR.GZ[fast]",
    "thing ===1.0.zip",
    "thing==1+local.tgz ; os_name == 'posix'",
    # Variables
    "${PIP_INDEX_URL}",
    "thing==${VERSION}",
    "$PIP_INDEX_URL",
    "thing ; os_name == '${PIP_INDEX_URL}'",
    "thing @ https://example.com/?${PIP_INDEX_URL}",
    # What is not a requirement
    "pandas==",
    "pandas numpy",
    "pandas=2",
    "pandas[",
    "pandas ; os.name",
    "pandas ; 'a\"b' == os_name",
    "\u0440andas",
    "pandas>=\uff12",
    "a" * 501,
    "a ; " + "(" * 400,
    "a ; " + " or ".join(["os_name=='a'"] * 60),
    # What people and programs read in different ways
    "pandas\tnumpy",
    "\tpandas",
    "num\\\\\npy",
    "\\numpy",
    "pandas\rnumpy",
    "pandas\x00",
    "pandas\x0bnumpy",
    "pandas\x0cnumpy",
    "pandas\x85numpy",
    "pandas\u2028numpy",
    "pandas # \u202etxt",
    "pandas # \u200b",
    "pandas\u00a0",
    "pandas # and \\\nnumpy",
    "# -*- coding: utf-7 -*-\npandas",
    "\n# vim: set fileencoding=latin-1 :\npandas",
    "pan\x1bdas",
]
"""Files with a line that is not accepted."""


@pytest.mark.parametrize(("text", "told"), PLAIN)
def test_packages_by_name_are_accepted_and_pip_reads_the_same(text: str, told: str | None, tmp_path: Path) -> None:
    found = Requirements.read(text.encode())
    assert found.mistakes == ()
    assert told is None or found.text == (told and f"{told}\n")
    expected = [understood(each) for each in found.packages]
    assert pip_reads(text.encode(), tmp_path) == expected
    assert pip_reads(found.text.encode(), tmp_path) == expected


@pytest.mark.parametrize("text", REFUSED)
def test_everything_else_is_refused(text: str) -> None:
    found = Requirements.read(f"numpy\n\n{text}\n".encode() if "coding" not in text else text.encode())
    assert found.mistakes
    assert all(each.line in (1, 2, 3, 4) for each in found.mistakes)
    assert "accepted: " in str(found.mistakes[0])


def test_every_line_is_told_at_once_with_what_is_accepted() -> None:
    found = Requirements.read(b"numpy\n--pre\nscipy\n\nx @ https://me:hunter2@example.com/x.whl\n\xc3\xa9\xc2\xa0\n")
    accepted = (
        "accepted: a package by its name, with extras, versions, a marker and hashes, such as pandas[parquet]>=2,<3"
    )
    assert [(each.line, str(each)) for each in found.mistakes] == [
        (
            2,
            f"""found "--pre", {accepted}, without options; the environment's `images.pip` says where packages come from""",
        ),
        (
            5,
            f'found "x @ https://...@example.com/x.whl", {accepted}; publish what has an address or a path to an index',
        ),
        (6, f'found "é", {accepted}; publish what has an address or a path to an index'),
    ]
    assert [each.name for each in found.packages] == ["numpy", "scipy"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"numpy\n\xff\n", "found the byte 0xff, accepted: text in UTF-8"),
        ("numpy".encode("utf-16"), "found the byte 0xff, accepted: text in UTF-8"),
        (b"#" * (MAX_BYTES + 1), "found more than 1048576 bytes, accepted: 1048576 bytes or less"),
        (b"a\xe2\x80\xa8b", "found the character U+2028, accepted: text without invisible characters"),
        (b"# coding=utf-7\n", 'found the encoding "utf-7", accepted: utf-8'),
    ],
)
def test_what_is_no_plain_text_is_told(content: bytes, message: str) -> None:
    assert [str(each) for each in Requirements.read(content).mistakes] == [message]


def test_a_message_shows_no_more_than_a_line_of_a_terminal_and_no_control_character() -> None:
    (found,) = Requirements.read(b"x" * 600).mistakes
    assert found.found == f'"{"x" * 77}..."'
    (found,) = Requirements.read("x == \u0661".encode()).mistakes
    assert found.found == '"x == \u0661"'


@pytest.mark.parametrize(
    ("text", "hashed"),
    [
        (f"numpy==2.4.6 --hash={DIGEST}\n", True),
        (f"numpy==2.4.6 \\\r\n    --hash={DIGEST}\r\n", True),
        ("numpy==2.4.6\n", False),
        (f"numpy==2.4.6  # one day --hash={DIGEST}\n", False),
    ],
)
def test_a_lock_file_is_told_by_its_hashes(text: str, hashed: bool) -> None:
    assert Requirements.read(text.encode()).hashed is hashed


def test_constraints_are_versions_without_hashes_and_extras() -> None:
    found = Requirements.read(f"a[b]==1 ; os_name == 'posix' --hash={DIGEST}\nc>=2\n".encode())
    assert found.constraints == 'a==1 ; os_name == "posix"\nc>=2\n'


@pytest.mark.parametrize(
    ("wanted", "text", "met"),
    [
        ("pandas", "pandas\n", True),
        ("Ruamel.YAML>=0.18", "ruamel_yaml>=0.18\n", True),
        ("pandas", "pandas-stubs\n# pandas\n", False),
        ("pandas>=2,<3", f"pandas==2.3.3 --hash={DIGEST}\n", True),
        ("pandas>=2,<3", "pandas==1.5\n", False),
        ("pandas==2.3.3", "pandas==2.*\n", False),
        ("pandas==2.3.3", "pandas\n", False),
        ("pandas", "--pre\npandas\n", True),
    ],
)
def test_what_a_file_states_or_pins_is_not_missing(wanted: str, text: str, met: bool) -> None:
    parsed = Requirement.parse(wanted)
    assert Requirements.read(text.encode()).unmet([parsed]) == ([] if met else [parsed])


def test_a_single_requirement_says_why_it_is_refused() -> None:
    with pytest.raises(RequirementError, match="pip takes this for the name of a file"):
        Requirement.parse("thing.whl")


@pytest.mark.parametrize("line", ["pandas=2.3.3", "pandas = 2.3.3"])
def test_one_equals_sign_is_named(line: str) -> None:
    (mistake,) = Requirements.read(f"numpy\n{line}\n".encode()).mistakes
    assert str(mistake) == f'found "{line}", accepted: pandas==2.3.3'
    assert mistake.line == 2
