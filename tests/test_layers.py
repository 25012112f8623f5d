import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("dipray", "search_spaces", "experiments", "analysis")
PARTS = (
    "models",
    "tasks",
    "metrics",
    "operators",
    "inputs",
    "optim",
    "capture",
    "stepping",
    "stopping",
    "images",
    "keeper",
    "held_out",
    "risk",
    "variance",
    "watch",
    "tiling",
    "tile_problem",
)


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Every module that a file may load, but for those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                for other in node.orelse:
                    yield from imports(other, package)
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                above = package.split(".")[: len(package.split(".")) + 1 - node.level]
                base = ".".join([*above, node.module or ""] if node.level else [node.module or ""])
                yield base.rstrip(".")
                yield from (f"{base}.{alias.name}" for alias in node.names)
            case _:
                yield from imports(node, package)


def read_graph() -> dict[str, set[str]]:
    """Module -> what it imports: modules of this project whole, others by their first name."""
    paths = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph = {}
    for module, path in paths.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        found = set()
        for name in imports(ast.parse(path.read_text()), package):
            if name.split(".")[0] not in PACKAGES:
                found.add(name.split(".")[0])
            elif name in paths:  # and not a function of a module
                found.add(name)
        graph[module] = found - {module}
    return graph


GRAPH = read_graph()


def reached(module: str) -> set[str]:
    """Everything that importing a module loads of this project, and what that names beyond it."""
    seen, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        waiting += GRAPH.get(name, set())
        if name in GRAPH and "." in name:
            waiting.append(name.rpartition(".")[0])
    return seen - {module}


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def modules(package: str) -> list[str]:
    return [name for name in GRAPH if inside(name, package)]


def knows_ray(module: str) -> bool:
    return inside(module, "dipray.sweep")


def test_the_graph_is_that_of_the_code():
    assert {"torch", "dipray.descent", "dipray.keeper"} <= GRAPH["dipray.loop"]
    assert "dipray.models" in reached("dipray.loop")
    assert "dipray.models.skip" in GRAPH["dipray.models"]
    assert "torch" in reached("dipray.recorder")
    assert not GRAPH["dipray"] & set(GRAPH)


@pytest.mark.parametrize("module", [name for name in modules("dipray") if not knows_ray(name)])
def test_only_sweeps_know_ray(module):
    assert not reached(module) & {"ray", "optuna"}
    assert not any(knows_ray(name) for name in reached(module))


@pytest.mark.parametrize("module", modules("dipray"))
def test_the_engine_knows_nothing_above_it(module):
    assert not [name for name in reached(module) if not name.startswith("dipray") and name in GRAPH]


@pytest.mark.parametrize("part", PARTS)
def test_parts_do_not_know_the_loop(part):
    known = set().union(*(reached(name) for name in modules(f"dipray.{part}")))
    above = ("loop", "recorder", "sweep")
    assert not [name for name in known for layer in above if inside(name, f"dipray.{layer}")]


@pytest.mark.parametrize(
    "part",
    ["models", "metrics", "operators", "inputs", "optim", "keeper", "held_out", "risk", "variance"],
)
def test_parts_do_not_know_each_other(part):
    known = set().union(*(reached(name) for name in modules(f"dipray.{part}")))
    others = [other for other in PARTS if other != part]
    assert not [name for name in known for other in others if inside(name, f"dipray.{other}")]


@pytest.mark.parametrize("module", ["stopping", "watch", "kept", "trace"])
def test_rules_and_what_follows_them_do_without_torch(module):
    assert not reached(f"dipray.{module}") & {"torch", "dipray.problem"}


@pytest.mark.parametrize("module", modules("analysis"))
def test_the_analysis_knows_files_alone(module):
    known = reached(module)
    assert not known & {"torch", "ray", "optuna"}
    assert not [name for name in known if name.split(".")[0] in ("experiments", "search_spaces")]


@pytest.mark.parametrize("module", ["errors", "config", "trace", "store", "folder"])
def test_what_the_analysis_may_know_is_light(module):
    assert not reached(f"dipray.{module}") & {"torch", "PIL", "ray", "optuna", "matplotlib"}


def loaded_by(statements: str) -> set[str]:
    """The top-level modules of a fresh interpreter after some statements, a line each."""
    script = f"import sys\n{statements}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    loaded = loaded_by("import dipray; dipray.__version__")
    heavy = {"torch", "numpy", "pandas", "pyarrow", "PIL", "pydantic", "ray", "optuna", "skimage"}
    assert not loaded & heavy


def test_no_help_loads_anything_heavy():
    statements = """
import contextlib, io, typing
from experiments.cli import PROGRAMS, Command, main
names = [typing.get_args(each)[1].name for each in typing.get_args(Command)]
assert len(names) == len(PROGRAMS)
for command in [[], *([name] for name in names)]:
    said = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(said):
        main([*command, "--help"])
    assert "usage: dipray" in said.getvalue(), command"""
    heavy = {"torch", "numpy", "pandas", "pyarrow", "PIL", "ray", "optuna", "scipy", "sklearn"}
    assert not loaded_by(statements) & (heavy | {"matplotlib", "plotly", "skimage", "rich"})


def test_the_analysis_loads_what_tables_need_and_no_more():
    loaded = loaded_by("import analysis")
    assert "pandas" in loaded
    heavy = {"torch", "ray", "optuna", "matplotlib", "plotly", "scipy", "sklearn", "skimage"}
    assert not loaded & (heavy | {"rich"})


def test_the_configuration_does_without_torch():
    assert not loaded_by("from dipray import FitConfig; FitConfig()") & {"torch", "numpy", "ray"}


def test_the_package_has_what_it_names():
    import dipray

    for name in dipray.__all__:
        assert getattr(dipray, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dipray.nothing
