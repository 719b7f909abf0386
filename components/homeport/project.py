"""The project: the folder that the files of a stack are in. What is outside of it is not read for a stack."""

import os
from pathlib import Path

from homeport import git

PROJECT_FILE = "Pulumi.yaml"
"""https://www.pulumi.com/docs/iac/concepts/projects/project-file/"""


def project(stack: Path) -> Path:
    """The project of a stack's folder.

    It is the working tree of git that the folder is in; without git, the nearest folder, from this one upwards, that has
    a `Pulumi.yaml`; without one, the folder that `stacks/` is in.
    """
    here = _unlinked(Path(os.path.abspath(stack)))  # noqa: PTH100  # links are followed below
    try:
        return git.working_tree(here)
    except git.NoWorkingTreeError:
        around = [here, *here.parents]
        found = (folder for folder in around if (folder / PROJECT_FILE).is_file())
        return next(found, around[min(2, len(around) - 1)])


def is_inside(file: Path, folder: Path) -> bool:
    """Whether a file is in a folder when all links are followed."""
    return Path(os.path.realpath(file)).is_relative_to(folder)


def _unlinked(folder: Path) -> Path:
    """The folder without links; where a commit may have brought one of the links, the folder that this link is in.

    Otherwise a link from `stacks/` to somewhere else would make that place the project.
    """
    for link in reversed([folder, *folder.parents]):
        if link.is_symlink() and _is_in_working_tree(link.parent):
            return link.parent.resolve()
    return folder.resolve()


def _is_in_working_tree(folder: Path) -> bool:
    try:
        git.working_tree(folder)
    except git.NoWorkingTreeError:
        return False
    return True
