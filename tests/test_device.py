import pytest
import torch

from dipray.config import FitConfig
from dipray.device import Precision, resolve_device
from dipray.errors import ConfigError


@pytest.fixture
def cudnn():
    setting = torch.backends.cudnn.conv
    before = setting.fp32_precision
    yield setting
    setting.fp32_precision = before


@pytest.mark.parametrize(("precision", "inside"), [("fp32", "ieee"), ("tf32", "tf32")])
def test_tf32_is_for_the_network_alone(cudnn, precision, inside):
    # the setting is there without a GPU, so that its bounds can be seen
    cudnn.fp32_precision = "tf32"
    chosen = Precision(FitConfig(precision=precision), torch.device("cuda"))
    with chosen.iteration():
        assert cudnn.fp32_precision == "ieee"
        with chosen.backward():
            assert cudnn.fp32_precision == inside
        assert cudnn.fp32_precision == "ieee"
    assert cudnn.fp32_precision == "tf32"


def test_bf16_is_for_the_forward_pass_alone():
    chosen = Precision(FitConfig(precision="bf16"), torch.device("cpu"))
    weight = torch.ones(2, 2)
    with chosen.iteration():
        with chosen.forward():
            assert (weight @ weight).dtype == torch.bfloat16
        assert (weight @ weight).dtype == torch.float32


def test_tf32_needs_cuda():
    with pytest.raises(ConfigError, match="precision='tf32': only CUDA devices have it"):
        Precision(FitConfig(precision="tf32"), torch.device("cpu"))


def test_a_device_that_is_not_there_is_told():
    wanted = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ConfigError, match=f"device='{wanted}': this machine has"):
        resolve_device(FitConfig(device=wanted))


def test_auto_is_a_device():
    assert resolve_device(FitConfig()).type in ("cpu", "cuda", "mps")
