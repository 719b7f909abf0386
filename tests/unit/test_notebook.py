"""A notebook's tagged cells become a module, or the reason why not names the cell and the line."""

import ast
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import v3, v4

from homeport.commands import notebook
from homeport.commands.notebook import MAX_CELLS, Served, is_as_made, unnamed
from homeport.images.requirements import Requirement
from homeport.specs.problems import SpecError


def code(source: str, *tags: str, **fields: Any) -> Any:
    return v4.new_code_cell(source, metadata={"tags": list(tags)} if tags else {}, **fields)


def written(tmp_path: Path, *cells: Any, **metadata: Any) -> Path:
    path = tmp_path / "fraud.ipynb"
    nbformat.write(v4.new_notebook(cells=list(cells), metadata=metadata), path)
    return path


def problems(path: Path, entry: str | None = None) -> list[str]:
    with pytest.raises(SpecError) as caught:
        Served.read(path, entry)
    return [str(problem).replace(f"{path}: ", "") for problem in caught.value.problems]


PREDICT = "def predict(amount: float) -> float:\n    return amount * RATE\n"


def test_tagged_cells_become_a_module_and_others_do_not(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        v4.new_markdown_cell("# Fraud"),
        code("import matplotlib.pyplot as plt\nplt.plot([1])"),
        code("import numpy as np\nRATE = np.float64(0.5)", "serve"),
        code("%timeit predict(3.0)\n!ls"),
        code(PREDICT, "serve", "other"),
    )
    served = Served.read(path)
    assert served.code == (
        "# cell 3\nimport numpy as np\nRATE = np.float64(0.5)\n\n\n"
        "# cell 5\ndef predict(amount: float) -> float:\n    return amount * RATE\n"
    )
    assert served.entry == "predict"
    assert served.imports == {"numpy": "cell 3, line 1"}


def test_an_executed_notebook_with_outputs(tmp_path: Path) -> None:
    outputs = [
        v4.new_output("stream", text="trained\n"),
        v4.new_output("display_data", data={"image/png": "aGk=", "text/html": "<b>hi</b>"}),
        v4.new_output("error", ename="ValueError", evalue="no", traceback=["no"]),
    ]
    path = written(tmp_path, code("RATE = 2\n" + PREDICT, "serve", execution_count=7, outputs=outputs))
    assert "trained" not in Served.read(path).code
    path = written(tmp_path, code("x = 1\n" + PREDICT, "serve", execution_count=7, outputs=outputs))
    assert problems(path) == [
        "cell 1 (In [7]), line 3: found `RATE`, accepted: names that a cell tagged `serve` defines or imports"
    ]


def test_a_notebook_of_an_older_format_is_brought_up(tmp_path: Path) -> None:
    cell = v3.new_code_cell(input="RATE = 2\n" + PREDICT, metadata={"tags": ["serve"]})
    old = v3.new_notebook(worksheets=[v3.new_worksheet(cells=[cell])])
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps(old))
    assert json.loads(path.read_text())["nbformat"] == 3
    assert Served.read(path).entry == "predict"


def test_without_a_tagged_cell_it_says_how_to_tag(tmp_path: Path) -> None:
    (problem,) = problems(
        written(tmp_path, code(PREDICT, "server"), v4.new_markdown_cell("a", metadata={"tags": ["serve"]}))
    )
    assert problem.startswith("found no cell tagged `serve`: tag at least one; in JupyterLab, open")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("x = 1\n%matplotlib inline", ["cell 2, line 2: found `%matplotlib inline`"]),
        ("!ls\nx = 1\nfiles = !ls", ["cell 2, line 1: found `!ls`", "cell 2, line 3: found `files = !ls`"]),
        ("%%time\nx = 1", ["cell 2, line 1: found `%%time`"]),
        ("predict?", ["cell 2, line 1: found `predict?`"]),
        ("if True:\n    %time x = 1", ["cell 2, line 2: found `%time x = 1`"]),
    ],
)
def test_magics_are_named_by_cell_and_line(tmp_path: Path, source: str, found: list[str]) -> None:
    reasons = problems(written(tmp_path, code("a = 1"), code(source, "serve")))
    rest = ", which only a notebook can run, accepted: Python and `%pip install`; move it to a cell that is not tagged `serve`"
    assert reasons == [line + rest for line in found]


def test_a_remainder_is_no_magic(tmp_path: Path) -> None:
    path = written(tmp_path, code('TEXT = """\n%matplotlib\n!ls\n"""\nRATE = (7\n  % 3)\n' + PREDICT, "serve"))
    assert "%matplotlib" in Served.read(path).code


def test_what_pip_installs_is_required_and_lines_stay_where_they_are(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        code("%pip install -q 'pandas>=2,<3' xgboost==2.1.0  # for the trees\nRATE = 1", "serve"),
        code("!pip install xgboost==2.1.0\n" + PREDICT, "serve"),
    )
    served = Served.read(path)
    assert served.requirements == ("pandas>=2,<3", "xgboost==2.1.0")
    ast.parse(served.code)
    assert "pip install" not in "".join(line for line in served.code.splitlines() if not line.startswith("#"))


@pytest.mark.parametrize(
    ("arguments", "odd"),
    [
        ("-r all.txt", "-r"),
        ("git+https://github.com/team/thing", "git+https://github.com/team/thing"),
        ("'thing @ https://example.com/thing.zip'", "thing @ https://example.com/thing.zip"),
        ("./thing-1.0-py3-none-any.whl", "./thing-1.0-py3-none-any.whl"),
        ("--index-url https://pypi.example.com pandas", "--index-url"),
    ],
)
def test_other_ways_to_install_are_refused(tmp_path: Path, arguments: str, odd: str) -> None:
    path = written(tmp_path, code(f"%pip install {arguments}\n" + PREDICT, "serve"))
    assert problems(path)[0] == (
        f"cell 1, line 1: found `{odd}`, accepted: a package by its name, with extras, versions, a marker and hashes, "
        "such as pandas[parquet]>=2,<3"
    )


def test_extras_and_markers_of_packages_are_required(tmp_path: Path) -> None:
    stated = ("pandas[parquet]>=2", "tomli; python_version < '3.11'")
    arguments = " ".join(f'"{each}"' for each in stated)
    path = written(tmp_path, code(f"%pip install {arguments}\nRATE = 1\n" + PREDICT, "serve"))
    assert Served.read(path).requirements == stated


def test_all_cells_tell_their_problems_at_once(tmp_path: Path) -> None:
    assert len(problems(written(tmp_path, code("!a", "serve"), code("!b", "serve")))) == 2


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["x = 1", "def predict(:\n    pass"], "cell 2, line 1: not Python: invalid syntax"),
        (["x = 1", "\n\nreturn 3"], "cell 2, line 3: not Python: 'return' outside function"),
        (["x = 1", "x = (\n"], "cell 2, line 1: not Python: '(' was never closed"),
        (
            ["x = 1", "from __future__ import annotations"],
            "cell 2, line 1: not Python: from __future__ imports must occur",
        ),
    ],
)
def test_what_is_not_python_is_named_by_cell_and_line(tmp_path: Path, cells: list[str], reason: str) -> None:
    (problem,) = problems(written(tmp_path, *(code(source, "serve") for source in cells)))
    assert problem.startswith(reason)


def test_a_name_of_a_cell_that_is_not_tagged(tmp_path: Path) -> None:
    path = written(tmp_path, code("%load_ext x\nRATE = 0.5"), code(PREDICT + "    display(amount)\n", "serve"))
    assert problems(path) == [
        "cell 2, line 2: found `RATE`, accepted: names that a cell tagged `serve` defines or imports; "
        "cell 1 defines it: tag it too, or move the definition",
        "cell 2, line 3: found `display`, accepted: names that a cell tagged `serve` defines or imports",
    ]


@pytest.mark.parametrize(
    ("source", "entry"),
    [
        ("def clean(x: int): ...\ndef predict(x: int): ...\nclass Last: ...", "predict"),
        ("def clean(x: int): ...\nclass Scorer:\n    def predict(self, x: int): ...\ndef _helper(): ...", "Scorer"),
        ("class Scorer:\n    def predict(self, x: int): ...", "Scorer"),
    ],
)
def test_what_is_served_unless_it_is_said(tmp_path: Path, source: str, entry: str) -> None:
    assert Served.read(written(tmp_path, code(source, "serve"))).entry == entry


def test_what_is_served_is_one_of_the_definitions(tmp_path: Path) -> None:
    path = written(tmp_path, code("def clean(x: int): ...\ndef predict(x: int): ...", "serve"))
    assert Served.read(path, "clean").entry == "clean"
    assert problems(path, "train") == ['serve: found "train", accepted: clean, predict']
    assert problems(written(tmp_path, code("x = 1", "serve"))) == [
        "serve: found no function or class to serve, accepted: a function or class in the cells tagged `serve`"
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "not a notebook: JSONDecodeError"),
        ("[]", "not a notebook: "),
        ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}', "not a notebook: "),
        ('{"nbformat": 4, "nbformat_minor": 4, "metadata": {"kernelspec": 3}, "cells": []}', "not a valid notebook: "),
        (b"\xff", "cannot be read as UTF-8 text: "),
        (None, "no such file (looked in "),
    ],
)
def test_what_is_no_notebook(tmp_path: Path, content: str | bytes | None, reason: str) -> None:
    path = tmp_path / "a.ipynb"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    (problem,) = problems(path)
    assert problem.startswith(reason)


def test_a_notebook_of_another_language(tmp_path: Path) -> None:
    path = written(tmp_path, code("1", "serve"), kernelspec={"name": "ir", "display_name": "R", "language": "R"})
    assert problems(path) == ['found a notebook of "R", accepted: a Python notebook']


def test_a_module_tells_whether_it_was_changed(tmp_path: Path) -> None:
    text = Served.read(written(tmp_path, code("RATE = 1\n" + PREDICT, "serve"))).text("../fraud.ipynb", {})
    assert text.startswith("# Made from ../fraud.ipynb by `homeport init --notebook`")
    ast.parse(text)
    assert is_as_made(text)
    assert not is_as_made(text + "\n")
    assert not is_as_made(text.replace("RATE = 1", "RATE = 2"))
    assert not is_as_made("RATE = 1\n")
    assert not is_as_made("")


def test_imports_that_no_requirement_brings(tmp_path: Path) -> None:
    (tmp_path / "features.py").touch()
    imports = ["ruamel", "numpy_like_thing", "features", "typer", "jsonschema", "IPython"]
    assert unnamed(imports, [Requirement.parse("Typer>=0.15"), Requirement.parse("ipython")], tmp_path) == {
        "ruamel": f"ruamel.yaml=={version('ruamel.yaml')}",
        "numpy_like_thing": None,
        "jsonschema": f"jsonschema=={version('jsonschema')}",
    }


TOO_DEEP = "found code or data that is nested too deeply for Python"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("x = " + "-" * 50_000 + "1", TOO_DEEP),
        ("x = " + "a." * 20_000 + "b", TOO_DEEP),
        ("def predict(x: '" + "a." * 3_000 + "b'): ...", TOO_DEEP),
        ("x = '\ud800'", "not Python: found text that is not Unicode"),
        ("x = '\0'", "cell 1, line 1: not Python: source code string cannot contain null bytes"),
        ("x = 1\ry = 2\r(", "cell 1, line 3: not Python: '(' was never closed"),
        ("\r\r\r(\r\r", "cell 1, line 4: not Python: '(' was never closed"),
        ("%pip install 'a", "cell 1, line 1: found a line that no shell reads: No closing quotation"),
        (
            "x = 1\n" * 20_000,
            "found 120,000 characters in the cells tagged `serve`, accepted: at most 65,536; move code ",
        ),
    ],
)
def test_what_no_parser_takes_is_a_reason(source: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    cell: dict[str, Any] = {
        "cell_type": "code",
        "metadata": {"tags": ["serve"]},
        "execution_count": None,
        "outputs": [],
        "source": source,
    }
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [cell]}))
    assert problems(path)[0].startswith(reason)


@pytest.mark.parametrize("language", [3, [], {}, True, "R\x1b[2J"])
def test_a_language_is_told_whatever_it_is(language: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    kernel = {"name": "x", "display_name": "x", "language": language}
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {"kernelspec": kernel}, "cells": []}))
    with pytest.raises(SpecError) as caught:
        Served.read(path)
    assert str(caught.value).isprintable()


def test_outputs_are_not_looked_at(tmp_path: Path) -> None:
    output = v4.new_output("stream", text="x" * MAX_CELLS)
    path = written(tmp_path, code(PREDICT.replace("RATE", "2"), "serve", outputs=[output]))
    assert Served.read(path).entry == "predict"


def test_more_cells_than_people_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": ["x" * MAX_CELLS]}))
    assert problems(path)[0].endswith("characters besides outputs, accepted: at most 524,288")


def test_names_are_looked_for_in_other_cells_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    bound = notebook._bound

    def look(source: str) -> set[str]:
        looked.append(source)
        return bound(source)

    monkeypatch.setattr(notebook, "_bound", look)
    others = [code(f"z{number} = 1") for number in range(20)]
    path = written(
        tmp_path, *others, code("".join(f"z{number}\n" for number in range(30)) + "def predict(x: int): ...", "serve")
    )
    told = problems(path)
    assert len(told) == 30
    assert "cell 8 defines it" in told[7]
    assert len(looked) == 20


def test_what_python_warns_of_is_served_and_not_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, code("X = '\\d'\ndef predict(x: int): return X is 'a'", "serve"))
    assert Served.read(path).entry == "predict"
    assert capfd.readouterr() == ("", "")


def test_the_name_of_a_notebook_is_no_code(tmp_path: Path) -> None:
    served = Served.read(written(tmp_path, code("def predict(x: int): ...", "serve")))
    tree = ast.parse(served.text("a\nimport os\r\x0cos.system('x').ipynb", {}))
    assert [type(node) for node in tree.body] == [ast.FunctionDef]


def test_imports_for_the_reader_are_left_out_and_others_are_named(tmp_path: Path) -> None:
    source = (
        "import matplotlib.pyplot as plt\nfrom seaborn import (\n    heatmap,\n)\nimport sklearn\nimport tqdm; import xgboost\n"
        "import numpy as np\nRATE = np.float64(2)\n"
    )
    served = Served.read(written(tmp_path, code(source + PREDICT, "serve")))
    assert served.left_out == {"matplotlib": "cell 1, line 1", "seaborn": "cell 1, line 2"}
    assert served.unused == {
        "sklearn": "cell 1, line 5",
        "tqdm": "cell 1, line 6",
        "xgboost": "cell 1, line 6",
    }
    assert served.code.startswith(
        "# cell 1\n# import matplotlib.pyplot as plt\n# from seaborn import (\n#     heatmap,\n# )\nimport sklearn\n"
    )
    assert "matplotlib" not in served.imports


@pytest.mark.parametrize(
    "source",
    [
        "import matplotlib\nimport matplotlib.pyplot as plt\ndef predict(x: int): plt.plot(x)",
        "def predict(x: int):\n    import matplotlib\n    return x",
        "import matplotlib, numpy\ndef predict(x: int): return numpy.ones(x)",
    ],
)
def test_an_import_that_something_may_use_stays(source: str, tmp_path: Path) -> None:
    served = Served.read(written(tmp_path, code(source, "serve")))
    assert served.left_out == {}
    assert served.code.endswith(f"{source}\n")


def test_what_the_server_refuses_is_named_by_cell_and_line(tmp_path: Path) -> None:
    cells = [
        code("import pandas as pd", "serve"),
        code("\ndef predict(a: pd.DataFrame, b: list[float], **more): ...", "serve"),
    ]
    assert [each.partition(", accepted: ")[0] for each in problems(written(tmp_path, *cells))] == [
        "cell 2, line 2: found `**more` of `predict`, which has no name that a request can use",
        "cell 2, line 2: found `a: pd.DataFrame`",
        "cell 2, line 2: found `b: list[float]`",
    ]
    assert problems(written(tmp_path, code("class Scorer:\n    x = 1", "serve"))) == [
        "cell 1, line 1: found `Scorer`, which has no method `predict`, accepted: a function, or a class with a method "
        "`predict`"
    ]


def test_the_python_of_a_notebook(tmp_path: Path) -> None:
    cell = code("RATE = 2\n" + PREDICT, "serve")
    for said, ran in (("3.13.1", (3, 13)), ("2.7", None), ("3.9999", None), ("x", None)):
        assert Served.read(written(tmp_path, cell, language_info={"name": "python", "version": said})).python == ran
    assert Served.read(written(tmp_path, cell)).python is None
