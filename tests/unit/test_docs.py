"""Links in pages lead somewhere; their YAML is accepted; what they tell of the code is so."""

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from homeport import Environment, Model, Release, violations
from homeport.specs.live_models import LiveModels
from tests.support import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if "://" not in target and not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_yaml_of_pages_is_accepted(page: Path) -> None:
    """Whole files only: what has a model's name, an environment's cluster, or live models."""
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
        content = YAML(typ="safe").load(block.replace("…", "0" * 64))
        specs: dict[str, type[BaseModel]] = {"name": Model, "cloud": Environment, "models": LiveModels}
        if spec := specs.get(next(iter(content), "")):
            spec.model_validate(content)


def test_readme_shows_what_check_says() -> None:
    text = (ROOT / "examples" / "iris" / "model.yaml").read_text(encoding="utf-8").replace("max: 3,", "max: 8,")
    line = next(number for number, row in enumerate(text.splitlines(), 1) if "max: 8," in row)
    model = Model.model_validate(YAML(typ="safe").load(text))
    environment = Environment.load(ROOT / "stacks" / "dev" / "environment.yaml")
    (violation,) = violations(Release(model, environment, "1", "image"))
    said = f"examples/iris/model.yaml:{line}: iris.scale.max: {violation.message}"
    assert said in (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_lists_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"\[docs/[a-z-]+\.md\]\((docs/[a-z-]+\.md)\)", text)
    assert sorted(listed) == sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md"))


def test_every_decision_has_its_number_and_is_linked_where_it_belongs() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    numbers = [int(page.name[:4]) for page in decisions]
    assert len(set(numbers)) == len(numbers)
    heads = [page.read_text(encoding="utf-8").partition(".")[0] for page in decisions]
    assert heads == [f"# {number}" for number in numbers]
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES if page.parent.name != "decisions")
    assert [page.name for page in decisions if f"decisions/{page.name})" not in pages] == []


def test_every_decision_has_a_status_and_a_date_and_its_row_in_the_index() -> None:
    rows = []
    for page in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")):
        head = re.match(
            r"# (\d+)\. (.+)\n\n- Status: (accepted|superseded by \d+)\n- Date: \d{4}-\d\d-\d\d\n\n",
            page.read_text(encoding="utf-8"),
        )
        assert head, f"{page.name} does not begin with number, title, status and date"
        number, title, status = head.groups()
        rows.append(f"| [{number}]({page.name}) | {title} | {status} |")
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[.*", index, flags=re.M) == rows


PLATFORM = re.compile(
    r"\b(kubernetes|k8s|kubectl|helm|pods?|namespaces?|deployments?|replicas?|replicasets?|daemonsets?|statefulsets?|"
    r"containers?|nodes?|clusters?|manifests?|ingress|taints?|tolerations?|crds?|configmaps?|sidecars?|quotas?|yaml file)\b",
    re.IGNORECASE,
)
"""What a data scientist need not know."""


@pytest.mark.parametrize(
    "page",
    [
        ROOT / "docs" / "for-data-scientists.md",
        ROOT / "examples" / "from-notebook" / "README.md",
        *sorted(
            path
            for path in (ROOT / "components" / "homeport" / "commands" / "templates").rglob("*.*")
            if path.suffix not in {".onnx", ".skops"}
        ),
    ],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_data_scientists_read_no_word_of_the_platform(page: Path) -> None:
    assert PLATFORM.findall(page.read_bytes().decode(errors="ignore")) == []


def test_the_function_of_the_page_is_that_of_the_notebook() -> None:
    page = (ROOT / "docs" / "for-data-scientists.md").read_text(encoding="utf-8")
    (function,) = re.findall(r"```python\n(.*?)\n```", page, flags=re.DOTALL)
    notebook = json.loads((ROOT / "examples" / "from-notebook" / "fraud-score.ipynb").read_text(encoding="utf-8"))
    assert any("".join(cell["source"]).endswith(function) for cell in notebook["cells"])
