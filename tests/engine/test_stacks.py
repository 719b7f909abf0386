"""`pulumi up` on the stacks of this repository: what people get wrong, and what previews need."""

from pathlib import Path

from tests.support import ROOT, Cluster, running


def test_mistakes_in_the_files_stop_the_preview_and_are_all_shown(cluster: Cluster, tmp_path: Path) -> None:
    with running(cluster, ROOT, tmp_path) as program:
        environment = program.folder / "stacks" / "dev" / "environment.yaml"
        environment.write_text(environment.read_text() + "limit: {}\n")
        model = program.folder / "examples" / "iris" / "model.yaml"
        model.write_text(model.read_text().replace("owner:", "owned_by:"))
        shown = program("preview", "--stack=dev", fails=True)
        line = len(environment.read_text().splitlines())
        assert (
            f"error: stacks/dev/environment.yaml:{line}: limit: unknown field, perhaps `limits` is meant, accepted: "
            in shown
        )
        assert "error: examples/iris/model.yaml:2: owned_by: unknown field" in shown
        assert "owner: missing" in shown
        assert "Traceback" not in shown
