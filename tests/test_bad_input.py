"""Whatever a user may give by mistake: one line with file and reason, a code, nothing left."""

import errno
import json
import os
import pickle
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dipray.config import MAX_PIXELS, FitConfig
from dipray.errors import ConfigError, FolderError, ImageError, SizeError
from dipray.images import encode_png
from dipray.loop import Fit
from dipray.store import Store
from dipray.sweep import read_grid, run_sweep
from dipray.sweep.draws import Draws
from dipray.sweep.search import OptunaPerPicture, Picture
from dipray.sweep.space import as_define_by_run
from dipray.tasks import TaskConfig, build_problem
from experiments.cli import main

SMALL = ["--depth", "2", "--features", "4", "--iterations", "10", "--device", "cpu"]
RGB = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def zeros(megabytes: int) -> bytes:
    """So many of them, a thousandth of that in size."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()


def header(side: int, bits: int = 8, *, interlaced: bool = False) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, bits, 2, 0, 0, interlaced))


def tiff(*tags: tuple[int, int, int], data: bytes = bytes(3000)) -> bytes:
    """A gray TIFF of 32x32 with such tags more: (tag, type, value); data at byte 200."""
    own = {256: (4, 32), 257: (4, 32), 258: (3, 8), 262: (3, 1), 277: (3, 1)}
    own |= {tag: (kind, value) for tag, kind, value in tags}
    entries = [
        struct.pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in sorted(own.items())
    ]
    start = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4)
    return start.ljust(200, b"\0") + data


def run(capfd, *arguments):
    """Exit code, standard output and standard error, C's included, of one command."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    said = capfd.readouterr()
    return ended.value.code, said.out, said.err


def saved(path: Path, array, **options) -> None:
    Image.fromarray(np.ascontiguousarray(array)).save(path, **options)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where the bad files lie, and the working directory."""
    place = tmp_path / "given"
    place.mkdir()
    monkeypatch.chdir(place)
    saved(Path("good.png"), RGB)
    saved(Path("half.png"), RGB[:16])
    saved(Path("small.png"), RGB[:8, :8])
    saved(Path("gray.png"), RGB[..., 0])
    saved(Path("half_mask.png"), np.uint8(255) * (RGB[:16, :, 0] > 99))
    good = Path("good.png").read_bytes()
    Path("truncated.png").write_bytes(good[:900])
    Path("text.png").write_text("hello\n")
    Path("empty.png").touch()
    Path("bomb.png").write_bytes(SIGNATURE + header(12_000) + chunk(b"IDAT", zeros(1)))
    other = [Image.fromarray(255 - RGB)]
    saved(Path("animated.gif"), RGB, save_all=True, append_images=other)
    saved(Path("nan.tif"), np.full((32, 32), np.nan, np.float32))
    Path("cut.tif").write_bytes(tiff((259, 3, 8), (273, 4, 200), (278, 4, 32), (279, 4, 9999)))
    Path("postscript.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n")
    Path("line\nend.png").touch()
    os.mkfifo("pipe.png")
    with Path("large.png").open("wb") as stream:
        stream.truncate(5_000_000_000)  # which takes no room
    return place


LIMIT = "if you trust it, write a larger --max-pixels (max_pixels in Python)"
BAD = {
    # arguments of fit -> what is said, behind "dipray: "
    "--image truncated.png": "truncated.png: broken picture (image file is truncated)",
    "--image text.png": "text.png: not a picture that can be read (PNG, JPEG, TIFF...)",
    "--image postscript.png": "postscript.png: not a picture that can be read (PNG, JPEG, TIFF...)",
    "--image empty.png": "empty.png: the file is empty",
    "--image none.png": "none.png: cannot be read (No such file or directory)",
    "--image good.png/x.png": "good.png/x.png: cannot be read (Not a directory)",
    "--image .": ".: cannot be read (Is a directory)",
    "--image pipe.png": "pipe.png: cannot be read (Is a pipe, device or socket)",
    "--image /dev/zero": "/dev/zero: cannot be read (Is a pipe, device or socket)",
    "--image /dev/null": "/dev/null: cannot be read (Is a pipe, device or socket)",
    "--image large.png": "large.png: 5,000,000,000 bytes; a picture of at most 100,000,000 pixels, "
    "which are read, has at most 867,108,864",
    "--image bomb.png": "bomb.png: 12000x12000 pixels; at most 100,000,000 pixels are read; "
    + LIMIT,
    "--image good.png --max-pixels 1023": "good.png: 32x32 pixels; at most 1,023 pixels are read; "
    + LIMIT,
    "--image good.png --max-pixels 100": "good.png: more than 200 pixels; at most 100 pixels are "
    "read; " + LIMIT,
    "--image animated.gif": "animated.gif: holds 2 frames; give one still picture",
    "--image nan.tif": "nan.tif: pixel format F has no known range; save it as 8 or 16 bit",
    "--image good.png --gt half.png": "half.png: the truth is 16x32 RGB, but the restored picture "
    "will be 32x32 RGB",
    "--image good.png --gt good.png --max-pixels 1000": "good.png: 32x32 pixels; at most 1,000 "
    "pixels are read; " + LIMIT,
    "--image small.png": "picture of 8x8 pixels (small.png): the smaller side must be at least 16",
    "--image half.png --depth 9": "depth=9: too deep for a picture of 16x32 pixels (half.png) with "
    "net skip; write at most 3",
    "--task inpaint --image good.png --mask half_mask.png": "half_mask.png: the mask is 16x32, but "
    "good.png is 32x32",
    "--task superres --image good.png --scale 64 --max-pixels 9999": "good.png: enlarged to "
    "2048x2048 pixels, above the limit of 9,999; write a smaller --scale or a larger --max-pixels",
    "--image good.png --save-dir good.png/x": "{folder}/good.png/x/config.json: cannot be written "
    "(Not a directory)",
    "--image good.png --save-dir /dev/full": "/dev/full/config.json: cannot be written (File "
    "exists)",
    "--image good.png --save-dir ~nobody_of_this_name/x": "~nobody_of_this_name/x: cannot be "
    "opened (Could not determine home directory.)",
}  # fmt: skip


@pytest.mark.parametrize("arguments", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(capfd, folder, arguments):
    before = sorted(folder.iterdir())
    code, _, err = run(capfd, "fit", *SMALL, *arguments.split())
    assert err == f"dipray: {BAD[arguments].format(folder=folder)}\n"
    assert code == 1
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        (
            ["--task", "inpaint", "--image", "good.png", "--mask", "gray.png"],
            "gray.png: the mask is not binary",
        ),
        (["--image", "line\nend.png"], "line\\nend.png: the file is empty"),
        (["--image", "cut.tif"], "cut.tif: broken picture"),  # libtiff itself stays silent
    ],
)
def test_more_bad_input_of_one_line(capfd, folder, arguments, begins):
    code, _, err = run(capfd, "fit", *SMALL, *arguments)
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(f"dipray: {begins}")


@pytest.mark.parametrize("picture", ["truncated.png", "pipe.png", "bomb.png", "small.png"])
@pytest.mark.parametrize("command", ["restore", "ensemble", "lr-bias", "sweep"])
def test_other_commands_say_the_same(capfd, folder, command, picture):
    (folder / "grid.json").write_text('{"depth": [2], "seed": [0, 1]}')
    rest = {
        "restore": [picture],
        "ensemble": ["--image", picture],
        "lr-bias": ["--image", picture, "--lrs", "0.1", "0.2"],
        "sweep": ["--image", picture, "--grid", "grid.json"],
    }[command]
    before = sorted(folder.iterdir())
    code, _, err = run(capfd, command, *rest, "--device", "cpu")
    (line,) = err.splitlines()
    assert code == 1
    assert line.startswith("dipray: ") and picture in line
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("command", ["restore", "ensemble", "lr-bias", "sweep"])
def test_the_limit_of_pixels_is_a_flag_everywhere(capfd, folder, command):
    rest = {
        "restore": ["good.png"],
        "ensemble": ["--image", "good.png"],
        "lr-bias": ["--image", "good.png", "--lrs", "0.1", "0.2"],
        "sweep": ["--image", "good.png", "--space", "demo"],
    }[command]
    code, _, err = run(capfd, command, *rest, "--max-pixels", "1023")
    assert (code, err.count("\n")) == (1, 1)
    assert "good.png: 32x32 pixels; at most 1,023 pixels are read" in err


def test_the_limit_of_pixels_is_no_part_of_a_problem(clean_file):
    usual = TaskConfig(clean=clean_file, noise_sigma=25)
    assert usual.max_pixels == MAX_PIXELS
    larger = usual.replace(max_pixels=400_000_000)
    one, other = build_problem(usual), build_problem(larger)
    assert one.describe() == other.describe()
    assert "max_pixels" not in one.origin
    assert TaskConfig.from_dict(one.origin) == usual
    with pytest.raises(ConfigError, match="max_pixels=0: allowed is at least 1"):
        usual.replace(max_pixels=0)


def test_a_picture_is_named_by_its_file_or_its_name(clean_file, problem):
    made = build_problem(TaskConfig(clean=clean_file, noise_sigma=25))
    assert (made.source, problem.source) == (str(clean_file), "astronaut")


def test_a_name_that_is_no_utf_8_is_kept_readable(tmp_path, truth):
    path = tmp_path / os.fsdecode(b"b\xffd.png")
    path.write_bytes(encode_png(truth))
    origin = build_problem(TaskConfig(image=path)).origin
    assert origin["image"] == f"{tmp_path}/b\\xffd.png"
    json.dumps(dict(origin), ensure_ascii=False).encode()


def test_a_picture_too_small_for_a_network_is_an_error_of_its_own(problem, tmp_path):
    with pytest.raises(SizeError) as caught:
        Fit(problem, FitConfig(depth=9, device="cpu"))
    assert isinstance(caught.value, ConfigError)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.field) == (SizeError, str(caught.value), "depth")
    path = tmp_path / "grid.json"
    path.write_text('{"depth": [2, 9], "lr": [0.1]}')
    with pytest.raises(SizeError) as caught:
        run_sweep([problem], read_grid(path), Store(tmp_path / "sweep"))
    assert str(caught.value) == (
        f"{path}: depth=9: too deep for a picture of 32x32 pixels (astronaut) with net skip; write "
        "at most 4; in the combination depth=9, lr=0.1"
    )
    drawing = OptunaPerPicture(
        as_define_by_run({"depth": [9, 10]}),
        [Picture.of(problem)],
        FitConfig(),
        metric="psnr",
        mode="max",
        num_samples=1,
        seed=0,
        known={},
        draws=Draws(Store(tmp_path / "drawn"), "a search"),
    )
    with pytest.raises(SizeError, match=r"50 draws .* pixels \(astronaut\)"):
        drawing.suggest("one")


GOOD = encode_png(torch.full((1, 3, 32, 32), 0.5))
BOMB = zeros(400)
BOMBS = {
    # name -> file, and part of what is said, or nothing if it is read
    "deep rows": (SIGNATURE + header(32, 16) + chunk(b"IDAT", BOMB), "more image data"),
    "deep interlaced rows": (
        SIGNATURE + header(32, 16, interlaced=True) + chunk(b"IDAT", BOMB),
        "more image data",
    ),
    "rows": (SIGNATURE + header(32) + chunk(b"IDAT", BOMB) + chunk(b"IEND", b""), ""),
    "text": (GOOD[:33] + chunk(b"zTXt", b"k\0\0" + BOMB) + GOOD[33:], "too large"),
    "long text": (GOOD[:33] + chunk(b"iTXt", b"k\0\1\0\0\0" + BOMB) + GOOD[33:], "too large"),
    "profile": (GOOD[:33] + chunk(b"iCCP", b"k\0\0" + BOMB) + GOOD[33:], "too large"),
    "a chunk of 2 GB": (GOOD[:33] + b"\x7f\xff\xff\xfftEXt" + GOOD[33:], "broken"),
    "strips": (
        tiff((259, 3, 8), (273, 4, 200), (278, 4, 2**32 - 1), (279, 4, len(BOMB)), data=BOMB),
        "",
    ),
    "a strip of 4 GB": (
        tiff((259, 3, 5), (273, 4, 200), (278, 4, 2**32 - 1), (279, 4, 2**32 - 16)),
        "broken",
    ),
    "a raw strip of 4 GB": (
        tiff((259, 3, 1), (273, 4, 200), (278, 4, 32), (279, 4, 2**32 - 16)),
        "",
    ),
    "tiles": (
        tiff((259, 3, 8), (322, 4, 2**24), (323, 4, 2**24), (324, 4, 200), (325, 4, 2**32 - 16)),
        "",
    ),
}

READ_WITH_LITTLE_MEMORY = """
import json, resource, sys
from pathlib import Path
from dipray.errors import ImageError
from dipray.images import read_picture
in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + 150 * 2**20,) * 2)
said = {}
for path in sys.argv[1:]:
    try:
        said[path] = list(read_picture(path).pixels.shape[2:])
    except ImageError as error:
        said[path] = str(error)
print(json.dumps(said))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and a limit of memory")
def test_bombs_take_no_memory(tmp_path):
    paths = {name: tmp_path / f"{name}.png" for name in BOMBS}
    for name, path in paths.items():
        path.write_bytes(BOMBS[name][0])
    done = subprocess.run(
        [sys.executable, "-c", READ_WITH_LITTLE_MEMORY, *map(str, paths.values())],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    said = json.loads(done.stdout)
    for name, path in paths.items():
        found, part = said[str(path)], BOMBS[name][1]
        if part or name == "tiles":
            assert found.startswith(f"{path}: ") and part in found, name
            assert "enough memory" not in found, name
        else:
            assert found == [32, 32], name


def test_a_full_disk_leaves_no_file_that_looks_whole(tmp_path, monkeypatch):
    store = Store(tmp_path / "results")
    store.write("before.json", b"1")

    def half(path, data):
        with path.open("wb") as stream:
            stream.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", half)
    for name in ("before.json", "new.json"):
        with pytest.raises(FolderError) as caught:
            store.write(name, b"12345678")
        assert str(caught.value) == f"{store}/{name}: cannot be written (No space left on device)"
    assert store.names() == ["before.json"]
    assert store.read("before.json") == b"1"


def test_a_device_is_never_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FolderError, match=r"pipe: cannot be written \(Is a pipe, device or socket"):
        Store(tmp_path).write("pipe", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
    assert (tmp_path / "pipe").is_fifo()
    for read in (Store(tmp_path).read, Store(tmp_path).open):
        with pytest.raises(FolderError, match=r"pipe: cannot be read \(Is a pipe"):
            read("pipe")


ON_A_SMALL_DISK = """
set -e
mount -t tmpfs -o size=1m none "$1"
head -c "$2" /dev/zero > "$1/filler"
shift 2
set +e
"$@"
echo "code $?"
cd "$0"
find . -type f | sort
"""


def on_a_small_disk(folder: Path, taken: int, *command: str) -> subprocess.CompletedProcess[str]:
    """Run it with a disk of 1 MB at `folder` of which so many bytes are taken."""
    folder.mkdir()
    outside = ["unshare", "-m", "sh", "-c", ON_A_SMALL_DISK, str(folder), str(folder), str(taken)]
    return subprocess.run([*outside, *command], capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="needs tmpfs")
@pytest.mark.parametrize(("left", "first"), [(20_000, "outcome"), (250_000, "figures")])
def test_a_disk_that_fills_up_during_a_fit(tmp_path, clean_file, left, first):
    disk = tmp_path / "disk"
    tried = on_a_small_disk(disk, 0, "true")
    disk.rmdir()
    if tried.returncode != 0:
        pytest.skip(f"no small disk can be mounted: {tried.stderr.strip()}")
    done = on_a_small_disk(
        disk, 2**20 - left,
        sys.executable, "-m", "experiments.cli", "fit", "--clean", str(clean_file),
        "--noise-sigma", "25", *SMALL, "--save-dir", str(disk / "run"),
    )  # fmt: skip
    assert "code 1" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"dipray: {disk}/run/")
    assert line.endswith("cannot be written (No space left on device)")
    assert first in line
    files = [name for name in done.stdout.splitlines() if name.startswith("./run")]
    assert files
    assert not any(name.endswith(".tmp") for name in files)
    assert ("./run/outcome.json" in files) == (first == "figures")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["list"], ["fit", "--help"]])
def test_output_that_cannot_be_written(arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "experiments.cli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "dipray: output: cannot be written (No space left on device)\n"


@pytest.mark.parametrize(
    ("output", "code", "said"),
    [
        ("/dev/null", 1, "/dev/null: cannot be written (Is a pipe, device or socket)"),
        (".", 2, "output=.: is a folder; write a file's name"),
        ("grid.json/page.html", 2, "output=grid.json/page.html: there is no folder"),
    ],
)
def test_a_report_in_an_impossible_place(capfd, tmp_path, monkeypatch, output, code, said):
    from synthetic import BASE, add_trial, empty_sweep, trace_rows

    store = empty_sweep(tmp_path / "sweep")
    loss = np.linspace(1, 0.1, 20)
    rows = trace_rows(loss, lr=0.01, psnr=20 - loss, psnr_ema=19 - loss, tv=loss)
    add_trial(store, BASE, rows=rows)
    (tmp_path / "grid.json").touch()
    monkeypatch.chdir(tmp_path)
    got, _, err = run(capfd, "report", tmp_path / "sweep", "--output", output)
    assert (got, err.count("\n")) == (code, 1)
    assert err.startswith(f"dipray: {said}")
    assert Path("/dev/null").is_char_device()


def test_a_name_that_no_file_can_have(tmp_path):
    with pytest.raises(ImageError, match=r"cannot be read \(embedded null byte\)"):
        build_problem(TaskConfig(image=tmp_path / "no\0name"))
