"""Somebody else's folder: opening it runs none of their code, and stays inside of it."""

import ast
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from report_run import BASE, Kind, add_problem, add_trial, grid, make_run, picture

from analysis import (
    Sweep,
    draw_curves,
    leaderboard,
    load_sweep,
    report_html,
    save_figure,
    write_figures,
    write_report,
    write_tables,
)
from analysis.effects import effects
from analysis.findings import sentences
from analysis.report.page import as_json
from dipray.codec import encode_png
from dipray.config import FitConfig
from dipray.errors import DiprayError, FolderError
from dipray.folder import encode_trace, read_snapshots, safe_name, trial_id
from dipray.store import Store
from experiments.cli import main

ROOT = Path(__file__).parents[1]
PACKAGES = ("dipray", "analysis", "experiments", "search_spaces")
KIND = Kind()
SECRET = "root:x:0:0"
ESCAPE = "\x1b[31mred\x1b[0m\x07\x9b2J\x1b]0;title\x07"

PROGRAM = """
import sys
from experiments.cli import main
for arguments in (["show", RUN, "--effects"], ["report", RUN], ["audit", RUN], ["list"]):
    arguments = [sys.argv[1] if each == RUN else each for each in arguments]
    try:
        main(arguments)
    except SystemExit as ended:
        print(arguments[0], "ended with", ended.code)
""".replace("RUN", '"RUN"')


def opened(folder: Path) -> str:
    """Everything that reads the folder and writes of it; what the programs say of it."""
    sweep = read(folder)
    try_(write_tables, sweep)
    try_(write_figures, sweep)
    try_(write_report, sweep)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)], capture_output=True, check=True, cwd=ROOT
    )
    return (done.stdout + done.stderr).decode()


def read(folder: Path) -> Sweep:
    """Everything that there is to be read in a folder."""
    sweep = load_sweep(folder)
    for table in (sweep.trials, sweep.traces(), sweep.problems, sweep.baselines):
        assert table is not None
    assert isinstance(sweep.left_out, list)
    for trial in sweep.trials.index:
        for name in ("final", "ema", "peak", "peak_ema", "checkpoint"):
            try_(sweep.image, trial, name)
        for at in try_(sweep.snapshots, trial) or []:
            try_(sweep.snapshot, trial, at)
        try_(sweep.provenance, trial)
    for row in sweep.baselines.to_dict("records"):
        try_(sweep.problem_image, row["problem"], str(row["picture"]))
    for problem in sweep.problems["name"]:
        try_(sweep.problem_image, problem, "measurement")
        try_(sweep.problem_image, problem, "reference")
    leaderboard(sweep)
    sentences(effects(sweep))
    load_sweep(folder, folder / "trials" / sweep.trials.index[0])
    return sweep


def try_(work, *given):
    """What comes of it; an error is one line."""
    try:
        return work(*given)
    except DiprayError as error:
        assert "\n" not in str(error)
        return None


def audited(store: Store) -> None:
    """Give every trial a pick, so that there is something to audit."""
    for trial in store.names("trials"):
        place = store.child("trials", trial)
        said = place.read_json("outcome.json")
        pick = {"iteration": 100, "fired": 150, "psnr": 24.0, "psnr_ema": 25.0}
        held_out = {"val_psnr_ema_peak": 20.0, "psnr_ema_at_val_peak": 25.0}
        held_out |= {"iteration_val_ema_peak": 100}
        place.write_json("outcome.json", said | held_out | {"picks": {"val": pick}})


class Poison:
    """Unpickling it touches a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


@pytest.fixture
def marker(tmp_path) -> Path:
    return tmp_path / "poisoned"


@pytest.fixture
def poison(marker) -> bytes:
    data = pickle.dumps(Poison(marker))
    pickle.loads(data)
    assert marker.exists()  # the poison works
    marker.unlink()
    return data


def poisoned_parquet(poison: bytes) -> bytes:
    """A trace whose column claims to be of a type that is a pickle, as is the table's metadata."""
    table = pq.read_table(pa.BufferReader(encode_trace(rows())))
    field = pa.field(
        "psnr",
        pa.float32(),
        metadata={
            "ARROW:extension:name": "arrow.py_extension_type",
            "ARROW:extension:metadata": poison,
        },
    )
    at = table.schema.get_field_index("psnr")
    table = table.set_column(at, field, table["psnr"])
    table = table.replace_schema_metadata({"pandas": poison, "pickle": poison})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def rows() -> dict[str, np.ndarray]:
    from report_run import trace

    return trace(BASE, truth=True, run=BASE.iterations)


def test_poisoned_pickles_are_never_loaded(tmp_path, marker, poison):
    store = make_run(tmp_path / "run", {"p": KIND, "q": KIND}, grid(seeds=1))
    audited(store)
    folder = Path(str(store))
    first, second, third, *_ = sorted((folder / "trials").iterdir())
    tune = folder / "tune" / "2026-01-01_00-00-00"
    for name in ("tuner.pkl", "trainable.pkl", "searcher-state.pkl", "experiment_state.json"):
        tune.mkdir(parents=True, exist_ok=True)
        (tune / name).write_bytes(poison)
    for trial in (first, second, third):
        (trial / "checkpoint").mkdir()
        for name in (
            *("checkpoint.pt", "checkpoint.png", "outcome.pkl", "params.pkl", "config.pkl"),
            *("checkpoint/0.pt", "checkpoint/state.pkl", "checkpoint/weights.npy"),
            *("trace.parquet/part.pkl", "trace.parquet/part-00009.parquet", "snapshots/000099.png"),
        ):
            (trial / name).write_bytes(poison)
    torch.save(Poison(marker), first / "checkpoint.pt")
    np.save(second / "checkpoint/weights.npy", np.array([Poison(marker)], dtype=object))
    marker.unlink(missing_ok=True)
    (second / "trace.parquet/part-00000.parquet").write_bytes(poisoned_parquet(poison))
    for name in ("final.png", "peak.png", "provenance.json", "stopped.json"):
        (second / name).write_bytes(poison)
    (third / "outcome.json").write_bytes(poison)
    for name in ("measurement.png", "noisy_input.png", "baselines.pkl"):
        (folder / "problems/q" / name).write_bytes(poison)
    (folder / "problems/q/baselines.json").write_bytes(poison)
    for name in ("trials.parquet", "trials.csv", "report.html", "restored.png", "restored.json"):
        (folder / name).write_bytes(poison)
    (folder / "audit").mkdir()
    (folder / "audit" / "fits.parquet").write_bytes(poison)
    said = opened(folder)
    assert not marker.exists()
    assert [line for line in said.splitlines() if " ended with " in line] == [
        f"{command} ended with 0" for command in ("show", "report", "audit", "list")
    ]
    assert "Traceback" not in said
    assert len(load_sweep(folder).traces("psnr", second.name)) == BASE.iterations


LOADS = {
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "cloudpickle.load", "cloudpickle.loads"),
    *("dill.load", "dill.loads", "joblib.load", "marshal.load", "marshal.loads", "shelve.open"),
    *("pandas.read_pickle", "pd.read_pickle", "yaml.load", "yaml.unsafe_load", "yaml.full_load"),
    *("eval", "exec", "builtins.eval", "builtins.exec", "torch.hub.load", "runpy.run_path"),
}


def risky(source: str) -> list[str]:
    """Calls that may run what they load; also such functions imported by their own name."""
    tree = ast.parse(source)
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {each.asname or each.name: each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules |= {e.asname or e.name: f"{node.module}.{e.name}" for e in node.names}
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        head, dot, tail = ast.unparse(node.func).partition(".")
        name = modules.get(head, head) + dot + tail
        options = {each.arg: ast.unparse(each.value) for each in node.keywords}
        is_load = name in LOADS
        is_load |= name == "torch.load" and options.get("weights_only") != "True"
        is_load |= name == "numpy.load" and options.get("allow_pickle", "False") != "False"
        if is_load or ("allow_pickle" in options and options["allow_pickle"] != "False"):
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize(
    "line",
    [
        "import pickle as p; p.loads(b)",
        "from pickle import load as get; get(f)",
        "import torch; torch.load(f)",
        "import torch; torch.load(f, weights_only=False)",
        "import numpy as np; np.load(f, allow_pickle=True)",
        "import pandas as pd; pd.read_pickle(f)",
        "from yaml import load; load(f)",
        "eval(text)",
    ],
)
def test_risky_calls_are_found(line):
    assert len(risky(line)) == 1


def test_harmless_calls_are_not():
    assert risky("import torch, numpy as np; torch.load(f, weights_only=True); np.load(f)") == []


def test_nothing_here_unpickles_or_evaluates():
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(files) > 100
    found = {str(path.relative_to(ROOT)): risky(path.read_text()) for path in files}
    assert {path: calls for path, calls in found.items() if calls} == {}


HOSTILE = [
    *("../../evil", "/etc/passwd", "a\\..\\b", "", ".", "..", "x" * 5000, "a\nb\r\nc", ESCAPE),
    *(
        "a\0b",
        "$x^{$",
        "\\frac{",
        "[/bold]",
        "[red]",
        "%{x}",
        "__proto__",
        "\u202eabc",
        "{{title}}",
    ),
    *("\u2028", "ä" * 300, "~", "-rf", "nul\ttab", "CON", "=1+1"),
]


def named(folder: Path, names: list[str]) -> Path:
    """A sweep with a problem and a fit for each of the names."""
    store = Store(folder)
    store.write_json("sweep.json", {"metric": "psnr_peak"})
    config = BASE.replace(snapshots=0, iterations=20)
    for at, name in enumerate(names):
        add_problem(store, f"p{at}", KIND, [])
        trial = add_trial(store, f"p{at}", KIND, config)
        for place in (store.child("problems", f"p{at}"), store.child("trials", trial)):
            place.write_json("problem.json", place.read_json("problem.json") | {"name": name})
    audited(store)
    return folder


def trials(store: Store) -> list[Store]:
    return [store.child("trials", name) for name in store.names("trials")]


def steering(text: str) -> list[str]:
    """Control characters in a terminal's text, line breaks and tabs apart."""
    return re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def snapshot_of(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_hostile_problem_names_stay_in_the_folder(tmp_path, capsys):
    folder = named(tmp_path / "deep" / "er" / "run", HOSTILE)
    sweep = load_sweep(folder)
    assert set(sweep.problems["name"]) == set(HOSTILE)
    for name in HOSTILE:
        assert sweep.problem_image(name, "measurement").startswith(b"\x89PNG")
    assert sweep.left_out == []
    write_tables(sweep)
    write_report(sweep)
    for command in ("show", "audit"):
        with pytest.raises(SystemExit) as ended:
            main([command, str(folder)])
        assert ended.value.code == 0
    captured = capsys.readouterr()
    assert steering(captured.out + captured.err) == []
    assert "red" in captured.out
    assert [p for p in tmp_path.rglob("*") if p.is_file() and folder not in p.parents] == []


@pytest.mark.parametrize("name", ["../../evil", "x" * 5000, f"$x^{{$\n{ESCAPE}"])
def test_figures_of_hostile_names_stay_in_the_folder(tmp_path, name):
    folder = named(tmp_path / "deep" / "er" / "run", [name])
    files = write_figures(load_sweep(folder))
    assert len(files) == 7
    (place,) = (folder / "figures").iterdir()
    assert len(list(place.iterdir())) == 7
    assert [p for p in tmp_path.rglob("*") if p.is_file() and folder not in p.parents] == []


def test_hostile_folder_in_a_program(tmp_path):
    folder = named(tmp_path / "run", [f"../{ESCAPE}", "p"])
    (first, *_) = trials(Store(folder))
    said = first.read_json("outcome.json")
    first.write_json("outcome.json", said | {"outcome": "FAILED", "reason": f"a\n{ESCAPE}"})
    first.write_json("stopped.json", {"stopped_by": ESCAPE})
    Store(folder).child("trials", f"odd {ESCAPE}").write_json("config.json", [ESCAPE])
    text = opened(folder)
    assert steering(text) == []
    assert "Traceback" not in text
    assert "left out: " in text


@pytest.mark.parametrize(
    "file", ["../../../etc/passwd", "/etc/passwd", "..", "", "a\0b", "x" * 5000, 3, ["a"], {}, True]
)
def test_pictures_of_known_methods_stay_in_the_folder(tmp_path, file):
    store = Store(tmp_path / "run")
    store.write_json("sweep.json", {})
    add_problem(store, "p", KIND, [{"method": "m", "psnr": 20.0, "seconds": 1.0, "picture": None}])
    add_trial(store, "p", KIND, BASE)
    method = {"method": "m", "psnr": 20.0, "seconds": 1.0, "picture": file}
    store.child("problems", "p").write_json("baselines.json", [method])
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd.png").write_bytes(picture(KIND, 0))
    sweep = load_sweep(store)
    with pytest.raises(FolderError):
        sweep.problem_image("p", str(sweep.baselines["picture"].iloc[0]))
    write_figures(sweep)
    assert SECRET not in report_html(sweep)
    leaderboard(sweep)


def outside(tmp_path: Path) -> Path:
    """Somebody's files beside the sweep: a whole trial, among others."""
    there = make_run(tmp_path / "private", {"p": KIND}, [BASE.replace(seed=99)])
    (tmp_path / "private" / "secret.png").write_bytes(picture(KIND, 5))
    return Path(str(there))


@pytest.mark.parametrize(
    "what",
    [
        *("config.json", "outcome.json", "problem.json", "provenance.json", "stopped.json"),
        *("final.png", "trace.parquet", "trace.parquet/part-00000.parquet", "snapshots"),
        "snapshots/000400.png",
    ],
)
def test_links_out_of_a_trial_are_not_followed(tmp_path, what):
    private = outside(tmp_path)
    (other,) = (private / "trials").iterdir()
    (other / "stopped.json").write_text('{"stopped_by": "private"}')
    (other / "provenance.json").write_text('{"secret": "private"}')
    store = make_run(tmp_path / "run", {"p": KIND}, grid(seeds=1))
    trial = sorted((tmp_path / "run" / "trials").iterdir())[0]
    if what == "stopped.json":
        (trial / "outcome.json").unlink()
    link_instead(trial / what, other / what)
    sweep = load_sweep(store)
    if what == "config.json":
        assert trial.name not in sweep.trials.index
    else:
        assert sweep.trials.loc[trial.name, "stopped_by"] != "private"
    if what.startswith(("config", "outcome", "problem", "stopped", "trace")):
        (line,) = sweep.left_out
        assert line.startswith(f"trials/{trial.name}/")
        assert f"{what}: left out" in line or f"{what}: leads out" in line or "trial left" in line
        assert "leads out of the folder" in line
    before = snapshot_of(private)
    read(Path(str(store)))
    report = report_html(sweep)
    assert '"private"' not in report
    assert snapshot_of(private) == before


def link_instead(place: Path, target: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    place.symlink_to(target, target_is_directory=target.is_dir())


def test_a_trial_that_is_a_link_outside_is_left_out(tmp_path):
    private = outside(tmp_path)
    store = make_run(tmp_path / "run", {"p": KIND}, grid(seeds=1))
    (other,) = (private / "trials").iterdir()
    (tmp_path / "run/trials/stolen-0123").symlink_to(other, target_is_directory=True)
    (tmp_path / "run/trials/gone-0123").symlink_to(tmp_path / "nothing")
    (tmp_path / "run/trials/loop-0123").symlink_to("loop-0123")
    sweep = load_sweep(store)
    assert len(sweep.trials) == 3
    (line,) = sweep.left_out  # links to nothing are not even listed
    assert line.startswith("trials/stolen-0123/config.json: trial left out (leads out of ")
    read(Path(str(store)))


def test_a_trial_that_is_a_link_inside_is_read(tmp_path):
    store = make_run(tmp_path / "run", {"p": KIND}, grid(seeds=1))
    (tmp_path / "link").symlink_to(tmp_path / "run")  # as is a sweep that is itself a link
    trial = store.names("trials")[0]
    (tmp_path / "run/moved").mkdir()
    shutil.move(tmp_path / "run/trials" / trial, tmp_path / "run/moved" / trial)
    (tmp_path / "run/trials" / trial).symlink_to(f"../moved/{trial}")
    for place in (store, tmp_path / "link", f"file://{tmp_path}/link"):
        sweep = load_sweep(place)
        assert len(sweep.trials) == 3
        assert sweep.left_out == []


@pytest.mark.parametrize("what", ["figures", "figures/p", "trials.csv", "trials.parquet", "audit"])
def test_nothing_is_written_through_a_link(tmp_path, capsys, what):
    private = outside(tmp_path)
    store = make_run(tmp_path / "run", {"p": KIND}, grid(seeds=1))
    audited(store)
    (tmp_path / "run/figures").mkdir()
    target = private if "." not in what else private / "sweep.json"
    link_instead(tmp_path / "run" / what, target)
    before = snapshot_of(private)
    sweep = load_sweep(store)
    if what.startswith("trials"):
        try_(write_tables, sweep)
    elif what.startswith("figures"):
        try_(write_figures, sweep)
    else:
        with pytest.raises(SystemExit):
            main(["audit", str(store)])
    assert capsys.readouterr().err.count("\n") <= 1
    assert snapshot_of(private) == before


@pytest.mark.parametrize("what", ["problems", "problems/p", "problems/p/measurement.png"])
def test_links_out_of_a_problem_are_not_followed(tmp_path, what):
    private = outside(tmp_path)
    store = make_run(tmp_path / "run", {"p": KIND}, grid(seeds=1))
    (private / "problems/p/measurement.png").write_bytes(picture(KIND, 12345))
    link_instead(tmp_path / "run" / what, private / what)
    sweep = load_sweep(store)
    with pytest.raises(FolderError):
        sweep.problem_image("p", "measurement")
    if what != "problems/p/measurement.png":
        (line,) = sweep.left_out
        assert "leads out of the folder" in line
    report_html(sweep)


def test_a_link_for_all_trials_is_refused_in_one_line(tmp_path):
    private = outside(tmp_path)
    store = make_run(tmp_path / "run", {"p": KIND}, grid(seeds=1))
    link_instead(tmp_path / "run/trials", private / "trials")
    with pytest.raises(FolderError, match="leads out of the folder") as refused:
        load_sweep(store)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "..", "a\0b"])
def test_names_do_not_lead_out_of_a_store(tmp_path, name):
    for store in (Store(tmp_path / "a"), Store("mock://bucket/a"), Store(tmp_path).child("a")):
        for work in (store.read, store.exists, store.names, store.remove, store.open):
            with pytest.raises(FolderError, match="leads out of the folder"):
                work(name)
        with pytest.raises(FolderError, match="leads out of the folder"):
            store.write(name, b"")


def test_odd_snapshots_are_passed_over(tmp_path):
    store = make_run(tmp_path / "run", {"p": KIND}, grid(seeds=1))
    place = trials(store)[0]
    want = read_snapshots(place)
    odd = ["1.png", "0000001.png", "٠٠٠٠٠٣.png", "-00001.png", "9" * 30 + ".png", "x.png", ".png"]
    for name in (*odd, "000007", ESCAPE.replace("/", "") + ".png", "9" * 200 + ".png"):
        place.write(f"snapshots/{name}", picture(KIND, 3))
    assert read_snapshots(place) == want != []
    report_html(load_sweep(store))


@pytest.mark.parametrize("text", ['{"name": "\\ud800"}', '["\\udfff"]'])
def test_half_a_letter_is_no_json(tmp_path, text):
    Store(tmp_path).write("a.json", text.encode())
    with pytest.raises(FolderError, match="not whole JSON"):
        Store(tmp_path).read_json("a.json")
    Store(tmp_path).write("a.json", b'["\\ud83d\\ude00"]')
    assert Store(tmp_path).read_json("a.json") == ["😀"]


ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=400)


@given(ANY_TEXT | st.sampled_from(HOSTILE) | st.text("ä漢𝔸é", min_size=60, max_size=300))
def test_a_safe_name_is_one_component_of_a_path(name):
    for result in (safe_name(name), trial_id(name, "", FitConfig())):
        assert result not in ("", ".", "..")
        assert not set(result) & {"/", "\\", "\0"}
        assert os.sep not in result
        assert len(result.encode()) <= 255
        assert result.isprintable()
    assert safe_name(safe_name(name)) == safe_name(name)


@given(st.text("abcXYZ019._-äß", min_size=1, max_size=60))
def test_ordinary_names_are_kept(name):
    assert safe_name(f"a{name}") == f"a{name}"


def test_long_names_stay_apart():
    names = ["x" * 300, "x" * 301, "x" * 299 + "y", "ä" * 300]
    assert len({safe_name(name) for name in names}) == 4


MARKUP = (
    "<script>window.hit=1</script></script><img src=x onerror='window.hit=1'>"
    '"\'`</title></style><!--<b>{{content}}{{js}}__proto__\u2028\u2029<a href="javascript:hit=1">'
    "%{x}<br>&lt;i&gt;"
)


class Tags(HTMLParser):
    """How often each tag with its attributes occurs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: Counter[Any] = Counter()
        self.scripts: dict[str, str] = {}
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found[tag, tuple(attrs)] += 1
        self._in = str(dict(attrs).get("id")) if tag == "script" else ""

    def handle_endtag(self, tag):
        self.found["/", tag] += 1
        self._in = ""

    def handle_comment(self, data):
        self.found["comment"] += 1

    def handle_data(self, data):
        if self._in:
            self.scripts[self._in] = self.scripts.get(self._in, "") + data


def told(folder: Path, text: str) -> Path:
    """A sweep that says `text` wherever a file may say something."""
    store = Store(folder)
    asked = {"metric": "psnr_peak", "search": text, "scheduler": text, "started": text, text: text}
    space = {text: [text, {"__proto__": text, "constructor": text}], "__proto__": {"hit": text}}
    store.write_json("sweep.json", asked | {"space": space, "base": {text: text}})
    methods = [
        {"method": f"{text} {each}", "psnr": 20.0 + at, "seconds": 0.1, "picture": f"{at}.png"}
        for at, each in enumerate(("input", "other"))
    ]
    add_problem(store, "p", KIND, methods)
    for config in grid(seeds=2):
        add_trial(store, "p", KIND, config)
    endings = (
        {"outcome": "FAILED", "reason": text},
        {"outcome": "STOPPED", "stopped_by": text},
        {"outcome": text, "reason": text, "stopped_by": text},
    )
    for at, said in enumerate(endings):
        add_trial(store, "p", KIND, BASE.replace(seed=70 + at))
        name = trial_id("p", "p", BASE.replace(seed=70 + at))
        place = store.child("trials", name)
        place.write_json("outcome.json", place.read_json("outcome.json") | said)
    for place in (store.child("problems", "p"), *trials(store)):
        described = place.read_json("problem.json")
        origin = {"task": text, "noise_sigma": 25.0, "clean": text, text: text}
        place.write_json("problem.json", described | {"name": text, "origin": origin})
    for place in trials(store):
        place.write_json("provenance.json", {text: text, "packages": {text: [text, {text: text}]}})
    odd = text.translate({ord("/"): "∕", ord("\\"): "∖"})[:60]
    store.child("trials", odd).write("config.json", b"{")
    store.child("trials", "__proto__").write("config.json", b"[]")
    store.write("restored.png", picture(KIND, 0))
    record = {"picture": text, "estimated_psnr_low": 20.0, "estimated_psnr_of": text}
    store.write_json("restored.json", record)
    return folder


def test_the_report_holds_no_markup_from_files(tmp_path):
    texts = {name: report_html(load_sweep(told(tmp_path / name, text))) for name, text in PAGES}
    hostile, harmless = (Tags(texts[name].replace(f">{name} –", ">run –")) for name, _ in PAGES)
    assert hostile.found == harmless.found
    assert hostile.found["script", ()] == 1
    assert set(hostile.scripts) == {"content", "pictures", "plotly", "None"}
    for name in ("plotly", "None"):
        assert hostile.scripts[name] == harmless.scripts[name]
    content = json.loads(hostile.scripts["content"])
    assert content["problems"][0]["name"] == MARKUP
    assert all(uri.startswith("data:image/") for uri in pictures_of(hostile).values())
    assert "<" not in hostile.scripts["content"] + hostile.scripts["pictures"]


PAGES = (("hostile", MARKUP), ("harmless", "plain words"))


def pictures_of(tags: Tags) -> dict[str, str]:
    return json.loads(tags.scripts["pictures"])["by_key"]


def test_the_name_of_the_folder_is_no_markup(tmp_path):
    names = ("<script>hit()<b title='{{js}}'>", "harmless")
    pages = [report_html(load_sweep(make_run(tmp_path / name, {}, []))) for name in names]
    assert Tags(pages[0]).found == Tags(pages[1]).found


def figures_of(content: Any) -> list[str]:
    """The texts of plotly's figures: those that plotly itself takes for its kind of markup."""
    problem, factors = content["problems"][0], content["factors"]
    drawn = [problem[name] for name in ("curves", "parallel", "paths")]
    drawn += [plot["figure"] for group in problem["rates"] for plot in group["plots"]]
    drawn += [problem["seeds"]["figure"], *(part["figure"] for part in factors.values())]
    return [json.dumps(figure) for figure in drawn]


def test_plotly_gets_no_markup_from_files(tmp_path):
    content = json.loads(Tags(report_html(load_sweep(told(tmp_path, MARKUP)))).scripts["content"])
    whole = "".join(figures_of(content))
    assert "&lt;script&gt;" in whole  # a known method's name
    assert not re.findall(r"<(?!br>|/?extra>)", whole)


def test_numbers_that_json_does_not_have_do_not_break_the_page(tmp_path):
    store = make_run(tmp_path, {"p": KIND}, grid(seeds=1))
    data = b'{"metric": "psnr_peak", "space": {"lr": [NaN, Infinity, 1e999]}, "base": {"lr": NaN}}'
    store.write("sweep.json", data)
    content = json.loads(Tags(report_html(load_sweep(store))).scripts["content"])
    assert content["origin"]["space"] == {"lr": ["nan", "inf", "inf"]}
    with pytest.raises(ValueError, match="JSON"):
        as_json([float("nan")])


@pytest.mark.parametrize("text", ["$x^{$", "\\frac{1", "a\nb", "x" * 5000, ESCAPE, "$\\evil$"])
def test_titles_show_names_as_they_are(tmp_path, text):
    sweep = load_sweep(named(tmp_path / "run", [text]))
    figure = draw_curves(sweep, "psnr")
    save_figure(figure, tmp_path / "a.png")
    title = figure.axes[0].get_title("left")
    assert title.replace("\\$", "$")[:3] in text.replace("\n", " ").replace("\x1b", "")
    assert len(title) < 100


def test_in_a_browser_nothing_of_it_runs(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium")
    found = {}
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, text in PAGES:
            page = browser.new_page()
            errors: list[str] = []
            page.on("pageerror", lambda error, said=errors: said.append(str(error)))
            path = tmp_path / f"{name}.html"
            path.write_text(report_html(load_sweep(told(tmp_path / name, text))), "utf-8")
            page.goto(path.as_uri())
            page.wait_for_function("window.Plotly !== undefined")
            page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
            page.wait_for_timeout(500)
            assert page.evaluate("window.hit") is None
            assert page.evaluate("({}).hit") is None
            assert errors == []
            found[name] = page.evaluate(
                """[...document.querySelectorAll('*')].filter((each) => !each.closest('svg')).map(
                (each) => each.tagName + [...each.attributes].map((one) => one.name).sort())"""
            )
            links = (
                "[...document.querySelectorAll('a')].map((each) => each.href.baseVal || each.href)"
            )
            assert not [each for each in page.evaluate(links) if each.startswith("javascript")]
        browser.close()
    assert Counter(found["hostile"]) == Counter(found["harmless"])


def test_a_whole_picture_is_not_needed_to_be_safe(tmp_path):
    store = make_run(tmp_path, {"p": KIND}, grid(seeds=1))
    html = b"<svg onload=alert(1)>"
    trials(store)[0].write("final.png", html)
    trials(store)[1].write("final.png", encode_png(np.zeros((4, 4, 3), np.uint8)) + html)
    store.write("restored.png", html)
    uris = pictures_of(Tags(report_html(load_sweep(store))))
    assert "p/restored" not in uris
    assert f"{store.names('trials')[0]}/final" not in uris
    assert all(uri.startswith("data:image/") for uri in uris.values())
