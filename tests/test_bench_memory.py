import sys

import pytest

from experiments.bench import memory


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_measured_beside_the_estimate_and_in_tiles():
    network, tiles = memory.measure(device="cpu", quick=True)
    assert (network.unit, tiles.unit) == ("MiB", "MiB")
    assert network.ours > 0 and network.theirs > 0
    assert tiles.ratio == pytest.approx(tiles.theirs / tiles.ours)
    assert tiles.ours < tiles.theirs
