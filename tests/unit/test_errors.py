"""Errors: all that homeport raises on purpose have one base, and what people see of them is a message."""

import ast
import builtins
import importlib
import inspect

import pytest

import homeport
from homeport import HomeportError, SpecError
from tests.unit.test_layers import MODULES

LEFT = {
    # Pydantic makes an error of a field of it, which becomes a SpecError.
    ("homeport.specs.environment", "ValueError"),
    ("homeport.specs.fields", "ValueError"),
    ("homeport.specs.model", "ValueError"),
    ("homeport.specs.quantities", "ValueError"),
    # pip tells of it, in a process of its own.
    ("homeport.images.wheels_only", "PermissionError"),
    # Python's own protocol for a module's attributes.
    ("homeport", "AttributeError"),
}
"""Built-in errors that are raised, by module: none of them reaches a program as it is."""


def raised(source: str) -> set[str]:
    """Names of the classes that a module raises; not errors that it caught and lets go on."""
    calls = (node.exc for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Raise) and node.exc)
    functions = (call.func if isinstance(call, ast.Call) else call for call in calls)
    return {function.id for function in functions if isinstance(function, ast.Name)}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_error_of_the_library_has_the_base(module: str) -> None:
    classes = [each for _, each in inspect.getmembers(importlib.import_module(module), inspect.isclass)]
    own = [each for each in classes if each.__module__ == module and issubclass(each, BaseException)]
    assert [each for each in own if not issubclass(each, HomeportError)] == []


def test_built_in_errors_are_raised_only_where_they_go_no_further() -> None:
    found = {(module, name) for module, source in MODULES.items() for name in raised(source) if hasattr(builtins, name)}
    assert found == LEFT


def test_a_program_catches_one_class() -> None:
    with pytest.raises(HomeportError, match="no such file"):
        homeport.Environment.load("absent.yaml")
    assert issubclass(SpecError, HomeportError)
