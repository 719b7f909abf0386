"""Rendered files: complete, stable, and nothing else is touched."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from homeport import Environment, Model, Release, Stack, manifests
from homeport.commands.render import HEADER, ForeignFileError, render, rendered, write
from homeport.rules.places import Files
from homeport.specs.documents import Document

MODEL = Model.model_validate({"name": "iris", "owner": "ds", "image": "registry.example.com/iris"})
ENVIRONMENT = Environment.model_validate({"cluster": {"identifier": "x"}})
NOWHERE = Files(Document(Path("environment.yaml"), {}, 0), Document(Path("models.yaml"), {}, 0), {})


def release(image: Any = "registry.example.com/iris:1", model: Model = MODEL) -> Release:
    return Release(model, ENVIRONMENT, "1", image, "abc")


def test_file_has_the_very_objects_of_the_release() -> None:
    text = rendered(release())
    assert list(YAML(typ="safe").load_all(text)) == manifests(release())
    assert text.startswith(HEADER + "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: iris\n")


def test_objects_begin_as_people_know_them() -> None:
    for each in manifests(release()):
        assert list(each)[:3] == ["apiVersion", "kind", "metadata"]
        assert list(each["metadata"])[:2] == (
            ["name", "labels"] if each["kind"] == "Namespace" else ["name", "namespace"]
        )


def test_one_file_a_model_and_always_the_same() -> None:
    other = MODEL.model_copy(update={"name": "a-rose"})
    stack = Stack(ENVIRONMENT, (release(), release(model=other)), NOWHERE)
    assert list(render(stack)) == ["a-rose.yaml", "iris.yaml"]
    assert render(stack) == render(replace(stack, releases=stack.releases[::-1]))


def test_image_that_only_pulumi_knows_is_a_visible_placeholder() -> None:
    class Output:
        def __repr__(self) -> str:
            return "hunter2"

    assert "        image: <known only to Pulumi>\n" in rendered(release(Output()))
    assert "hunter2" not in rendered(release(Output()))


def test_only_rendered_files_of_models_that_left_are_removed(tmp_path: Path) -> None:
    write({"a.yaml": HEADER + "a: 1\n", "b.yaml": HEADER}, tmp_path)
    (tmp_path / "kustomization.yaml").write_text("resources: []\n")
    (tmp_path / "README.md").write_text(HEADER)
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "binary.yaml").write_bytes(b"\xff")
    done = write({"a.yaml": HEADER + "a: 2\n"}, tmp_path)
    assert (done.written, done.removed) == ([tmp_path / "a.yaml"], [tmp_path / "b.yaml"])
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["README.md", "a.yaml", "binary.yaml", "folder.yaml", "kustomization.yaml"]


def test_unchanged_file_is_not_written_again(tmp_path: Path) -> None:
    write({"a.yaml": HEADER}, tmp_path)
    before = (tmp_path / "a.yaml").stat()
    assert write({"a.yaml": HEADER}, tmp_path).unchanged == [tmp_path / "a.yaml"]
    assert (tmp_path / "a.yaml").stat() == before


def test_nothing_is_changed_where_a_file_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("mine: true\n")
    with pytest.raises(ForeignFileError, match=r"b\.yaml: found a file that homeport did not write: move it away"):
        write({"a.yaml": HEADER, "b.yaml": HEADER}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["b.yaml"]


def test_links_of_a_branch_are_not_followed(tmp_path: Path) -> None:
    elsewhere, out = tmp_path / "elsewhere", tmp_path / "rendered"
    elsewhere.mkdir()
    (elsewhere / "z.yaml").write_text(HEADER)
    out.mkdir()
    (out / "prod").symlink_to(elsewhere)
    with pytest.raises(ForeignFileError, match="rendered/prod: found a file that homeport did not write"):
        write({"a.yaml": HEADER}, out / "prod")
    (tmp_path / "all").symlink_to(out)
    with pytest.raises(ForeignFileError, match="all: found a file that homeport did not write"):
        write({"a.yaml": HEADER}, tmp_path / "all" / "dev")
    assert [path.name for path in elsewhere.iterdir()] == ["z.yaml"]
    (out / "dev").mkdir()
    (out / "dev" / "a.yaml").symlink_to("/dev/zero")
    with pytest.raises(ForeignFileError, match=r"dev/a\.yaml: found a file that homeport did not write"):
        write({"a.yaml": HEADER}, out / "dev")
    (out / "dev" / "a.yaml").unlink()
    (out / "dev" / "z.yaml").symlink_to(elsewhere / "z.yaml")
    assert write({"a.yaml": HEADER}, out / "dev").removed == []


def test_reader_never_sees_a_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write({"a.yaml": HEADER + "old: 1\n"}, tmp_path)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write({"a.yaml": HEADER + "new: 1\n"}, tmp_path)
    assert (tmp_path / "a.yaml").read_text() == HEADER + "old: 1\n"
    assert os.listdir(tmp_path) == ["a.yaml"]  # noqa: PTH208 - hidden files too
