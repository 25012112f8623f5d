import pytest
import torch

from dipray.config import FitConfig
from dipray.errors import NoMemoryError
from dipray.footprint import advice, explained, footprint, is_out_of_memory, memory_there
from dipray.models import NETWORKS

CPU = torch.device("cpu")
SHAPE = (3, 64, 64)


def saved_bytes(config, shape):
    """What the backward pass keeps of a real forward pass, by pointer."""
    from dipray.inputs import make_input
    from dipray.models import build_network

    net = build_network(config, inputs=32, outputs=shape[0])
    weights = {p.untyped_storage().data_ptr() for p in net.parameters()}
    kept, alive = {}, []

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        net(make_input(config, *shape[1:]))
    return sum(kept.values())


@pytest.mark.parametrize("net", NETWORKS)
def test_what_is_counted_on_no_device_is_what_is_kept_on_one(net):
    config = FitConfig(net=net, depth=3, features=16, variance_window=0)
    real = saved_bytes(config, SHAPE)
    other = footprint(config, SHAPE) - real
    # the rest: scratch, weights and moments, pictures
    assert 0.2 * real < other < 1.5 * real + 2**22


def test_more_of_anything_needs_more():
    config = FitConfig(depth=3, features=16)
    least = footprint(config, SHAPE)
    more = ({"features": 32}, {"variance_window": 200}, {"sure_sigma": 25.0}, {"probe_every": 100})
    for each in more:
        assert footprint(config.replace(**each), SHAPE) > least
    assert footprint(config.replace(linearised=True), SHAPE) > 1.3 * least
    assert footprint(config, (3, 128, 128)) > 2 * least
    assert footprint(config.replace(optimizer="sgd"), SHAPE) < least


def test_advice_names_what_fits_and_no_more():
    config = FitConfig(depth=3, features=64, variance_window=0)
    there = footprint(config, (3, 128, 128)) // 3
    found = advice(config, (3, 128, 128), there)
    assert 0 < found.features < 64 and 16 <= found.side < 128
    assert footprint(config.replace(features=found.features), (3, 128, 128)) <= there
    assert footprint(config, (3, found.side, found.side)) <= there
    assert footprint(config, (3, 2 * found.side, 2 * found.side)) > there
    assert f"features={found.features} or a picture of {found.side}x{found.side}" in str(found)
    assert f"(dipray fit --tile {found.side}) fits" in str(found)
    assert "neither fewer features nor a smaller picture fits" in str(advice(config, SHAPE, 0))


def test_a_lack_of_memory_is_known_from_other_errors():
    with pytest.raises(RuntimeError) as lack:
        torch.empty(2**60, dtype=torch.uint8)
    config = FitConfig(depth=2, features=4)
    assert is_out_of_memory(lack.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    said = explained(lack.value, config, SHAPE, CPU)
    assert isinstance(said, NoMemoryError)
    assert "out of memory: net skip, depth 2, 4 features at 64x64 pixels needs about" in str(said)
    assert "\n" not in str(said)
    other = RuntimeError("shapes do not match")
    assert explained(other, config, SHAPE, CPU) is other


def test_some_memory_is_there():
    assert memory_there(CPU) > 2**20
