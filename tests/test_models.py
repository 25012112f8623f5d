from itertools import product

import pytest
import torch

from dipray.config import FitConfig
from dipray.models import NETWORKS, build_network
from dipray.models.layers import ACTIVATIONS, NORMS

UPSAMPLINGS = ("nearest", "bilinear", "transposed")
DOWNSAMPLINGS = ("stride", "avg", "max")
PADDINGS = ("reflect", "zeros", "replicate", "circular")
WITH_SKIPS = [net for net in NETWORKS if net != "encdec"]


def config(**changes) -> FitConfig:
    return FitConfig(**{"depth": 2, "features": 4, **changes})


def noise(height: int = 16, width: int = 19, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(1, channels, height, width, generator=generator)


def check(config: FitConfig, z: torch.Tensor, outputs: int = 3) -> torch.Tensor:
    """The picture, after what every network keeps to."""
    net = build_network(config, inputs=z.shape[1], outputs=outputs)
    picture = net(z)
    assert picture.shape == (1, outputs, *z.shape[2:])
    assert picture.dtype == torch.float32
    assert 0 <= float(picture.detach().min()) <= float(picture.detach().max()) <= 1
    assert float(picture.detach().std()) > 0
    (picture - 0.2).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if parameter.ndim > 1:  # a bias before a norm has a gradient of zero
            assert parameter.grad.abs().sum() > 0, name
    return picture.detach()


@pytest.mark.parametrize("downsampling", DOWNSAMPLINGS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("net", NETWORKS)
def test_contract(net, norm, downsampling):
    seen = []
    for upsampling, padding in product(UPSAMPLINGS, PADDINGS):
        settings = {"upsampling": upsampling, "padding": padding, "downsampling": downsampling}
        seen.append(check(config(net=net, norm=norm, **settings), noise()))
    for at, picture in enumerate(seen):
        assert not any(torch.equal(picture, other) for other in seen[:at])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("net", NETWORKS)
def test_activations(net, activation):
    check(config(net=net, activation=activation, features=8), noise())


@pytest.mark.parametrize("size", [(16, 16), (17, 23), (31, 16), (33, 47)])
@pytest.mark.parametrize("net", NETWORKS)
def test_odd_sizes(net, size):
    for upsampling, downsampling in product(UPSAMPLINGS, DOWNSAMPLINGS):
        settings = {"upsampling": upsampling, "downsampling": downsampling}
        build = build_network(config(net=net, **settings), inputs=2, outputs=1)
        assert build(noise(*size, channels=2)).shape == (1, 1, *size)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("net", NETWORKS)
def test_depth_and_width_count(net, depth):
    def size(**changes):
        built = build_network(config(net=net, **changes), inputs=3, outputs=3)
        return sum(parameter.numel() for parameter in built.parameters())

    check(config(net=net, depth=depth), noise(32, 33))
    assert size(depth=1) < size(depth=2) < size(depth=3)
    assert size(features=4) < size(features=5)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("net", NETWORKS)
def test_the_weights_follow_their_seed_alone(net, norm):
    def weights(**seeds):
        built = build_network(config(net=net, norm=norm, **seeds), inputs=3, outputs=3)
        return torch.cat([parameter.detach().flatten() for parameter in built.parameters()])

    first = weights(seed=1)
    torch.rand(5)
    assert torch.equal(weights(seed=1), first)
    assert torch.equal(weights(seed=1, seed_input=5, seed_jitter=6), first)
    assert not torch.equal(weights(seed=2), first)
    assert not torch.equal(weights(seed=1, seed_weights=2), first)
    assert torch.equal(weights(seed=8, seed_weights=2), weights(seed=9, seed_weights=2))


@pytest.mark.parametrize("net", NETWORKS)
def test_building_leaves_the_global_generator_alone(net):
    before = torch.get_rng_state()
    build_network(config(net=net), inputs=3, outputs=3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("norm", NORMS)
def test_a_fit_has_no_test_mode(norm):
    net = build_network(config(norm=norm), inputs=3, outputs=3)
    trained = net(noise())
    assert torch.equal(net.eval()(noise()), trained)
    assert not list(net.buffers())


@pytest.mark.parametrize("net", WITH_SKIPS)
def test_skip_channels_take_effect(net):
    def shapes(skip_channels):
        settings = config(net=net, skip_channels=skip_channels)
        check(settings, noise())
        built = build_network(settings, inputs=3, outputs=3)
        return [tuple(parameter.shape) for parameter in built.parameters()]

    seen = [shapes(skip_channels) for skip_channels in (0, 1, 7, None)]
    assert all(one != other for at, one in enumerate(seen) for other in seen[:at])


@pytest.mark.parametrize("net", WITH_SKIPS)
def test_without_skips_nothing_goes_round_the_deepest_level(net):
    def depends(skip_channels):
        built = build_network(config(net=net, skip_channels=skip_channels), inputs=3, outputs=3)
        deepest = built.downs[-1] if net == "skip" else built.down[-1]
        deepest.register_forward_hook(lambda module, args, made: made.detach())
        z = noise().requires_grad_()
        picture = built(z)
        if not picture.requires_grad:
            return False
        (gradient,) = torch.autograd.grad(picture.square().sum(), z, allow_unused=True)
        return gradient is not None

    assert depends(2)
    assert depends(None)
    assert not depends(0)


def test_the_papers_skip_net_carries_four_channels():
    four = build_network(config(skip_channels=4), inputs=3, outputs=3)
    own = build_network(config(), inputs=3, outputs=3)
    assert torch.equal(four(noise()), own(noise()))


def test_the_papers_net_has_the_papers_size():
    net = build_network(FitConfig(), inputs=32, outputs=3)
    assert sum(parameter.numel() for parameter in net.parameters()) == 2_217_831


def test_every_name_in_the_configuration_is_a_network():
    assert set(NETWORKS) == set(FitConfig.model_fields["net"].annotation.__args__)
    assert set(NORMS) == set(FitConfig.model_fields["norm"].annotation.__args__)
    assert set(ACTIVATIONS) == set(FitConfig.model_fields["activation"].annotation.__args__)
    for name, values in (
        ("upsampling", UPSAMPLINGS),
        ("downsampling", DOWNSAMPLINGS),
        ("padding", PADDINGS),
    ):
        assert set(values) == set(FitConfig.model_fields[name].annotation.__args__)
