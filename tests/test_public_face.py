"""The public face is what the package says it is."""

import ast
from pathlib import Path

import pytest

import fetusmap as fm

SOURCE = Path(fm.__file__).parent


@pytest.mark.parametrize("name", fm.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    thing = getattr(fm, name)
    assert name == "__version__" or thing.__doc__


def test_type_checkers_see_the_same_names_as_users() -> None:
    tree = ast.parse((SOURCE / "__init__.py").read_text())
    seen = {
        alias.name
        for block in ast.walk(tree)
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen | {"__version__"} == set(fm.__all__) == set(dir(fm))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'frobnicate'"):
        _ = fm.frobnicate


def test_the_package_is_typed_and_ships_its_data() -> None:
    for name in (
        "py.typed",
        "anatomy/fetus-16.json",
        "anatomy/fetus-22.json",
        "io/poses/schemas/fetusmap-pose-1.schema.json",
    ):
        assert (SOURCE / name).is_file()
