"""Addresses at which no Ray answers: one line, soon."""

import socket
import time

import pytest

from experiments.cli import main


@pytest.fixture
def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("by", ["flag", "environment"])
def test_nothing_at_the_address(by, unused_port, clean_file, tmp_path, monkeypatch, capsys):
    address = f"127.0.0.1:{unused_port}"
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "grid.json").write_text('{"seed": [0]}')
    arguments = [
        "sweep", "--clean", str(clean_file), "--noise-sigma", "25", "--depth", "2",
        "--grid", str(tmp_path / "grid.json"), "--save-dir", str(tmp_path / "sweep"),
    ]  # fmt: skip
    if by == "flag":
        arguments += ["--address", address]
    else:
        monkeypatch.setenv("RAY_ADDRESS", address)
    began = time.monotonic()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert time.monotonic() - began < 10
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"dipray: address='{address}': no Ray cluster answers")
    assert (said.out, said.err.count("\n")) == ("", 1)
