"""What a requirements file is understood to ask pip for."""

import pytest

from homeport.images.requirements import has_hashes, requirements, unmet

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("pandas", ["pandas"]),
        ("pandas[parquet,excel] >=2,<3  # for the tables", ["pandas"]),
        ("tomli ; python_version < '3.11'", ["tomli"]),
        (f"numpy==2.4.6 \\\n    --hash={DIGEST} \\\n    --hash={DIGEST}\n    # via pandas\nscipy", ["numpy", "scipy"]),
        ("thing @ git+https://github.com/team/thing@v1", ["thing"]),
        ("git+https://github.com/team/thing@v1", []),
        ("git+https://github.com/team/thing@v1#egg=thing&subdirectory=python", ["thing"]),
        ("-e git+ssh://git@github.com/team/thing.git@v1#egg=thing", ["thing"]),
        ("--editable=git+https://github.com/team/thing#egg=thing[fast]", ["thing"]),
        ("https://example.com/wheels/Thing_Two-1.0-py3-none-any.whl", ["thing-two"]),
        ("https://example.com/thing.zip#sha256=0123 ; python_version >= '3.11'", []),
        ("./wheels/thing-1.0-py3-none-any.whl", ["thing"]),
        ("./thing", []),
        ("-e .", []),
        ("-r base.txt\n-c constraints.txt\n--index-url https://pypi.example.com/simple\n--no-binary :all:", []),
        ("--extra-index-url https://pypi.example.com/simple\npandas", ["pandas"]),
        ("# pandas\n\n  # numpy\n", []),
        ("pandas==", []),
    ],
)
def test_packages_that_lines_name(line: str, names: list[str]) -> None:
    assert [each.name for each in requirements(line)] == names


@pytest.mark.parametrize(
    ("text", "locked"),
    [
        (f"numpy==2.4.6 --hash={DIGEST}\n", True),
        (f"numpy==2.4.6 \\\n    --hash={DIGEST}\n", True),
        (f"numpy==2.4.6 \\\r\n    --hash={DIGEST}\r\n", True),
        ("--require-hashes\nnumpy==2.4.6\n", True),
        ("numpy==2.4.6\n", False),
        (f"numpy==2.4.6  # one day --hash={DIGEST}\n", False),
        ("https://example.com/thing-1.0-py3-none-any.whl#sha256=0123\n", False),
    ],
)
def test_a_lock_file_is_told_by_its_hashes(text: str, locked: bool) -> None:
    assert has_hashes(text) is locked


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
        ("thing @ git+https://github.com/team/thing@v1", "thing==1.0\n", False),
        ("thing @ git+https://github.com/team/thing@v1", "thing@git+https://github.com/team/thing@v1\n", True),
    ],
)
def test_what_a_file_states_or_pins_is_not_missing(wanted: str, text: str, met: bool) -> None:
    assert unmet([wanted], text) == ([] if met else [wanted])
