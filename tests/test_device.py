import pytest
import torch

from dipray.automatic import decided
from dipray.compiling import compiled
from dipray.config import FitConfig
from dipray.device import Precision, resolve_device
from dipray.errors import ConfigError
from dipray.loop import Fit, fit


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


def test_auto_is_what_was_measured_on_such_a_device(monkeypatch):
    asked = FitConfig(precision="auto", compile="auto")
    monkeypatch.setattr("dipray.automatic.PASSED", {"cpu": ("bf16", "on")})
    here = decided(asked, torch.device("cpu"))
    assert (here.precision, here.compile) == ("bf16", "on")
    elsewhere = decided(asked, torch.device("cuda"))  # which was not measured
    assert (elsewhere.precision, elsewhere.compile) == ("fp32", "off")
    fixed = FitConfig(precision="fp32")
    assert decided(fixed, torch.device("cpu")) is fixed


def test_auto_fits_and_is_kept_in_the_configuration(problem, tiny):
    config = tiny.replace(precision="auto", compile="auto")
    run = Fit(problem, config)
    assert run.config.precision == "auto"
    exact = fit(problem, tiny)
    assert fit(problem, config).trace["loss"].tolist() == exact.trace["loss"].tolist()


def test_compiling_needs_a_compiler(monkeypatch):
    monkeypatch.setattr("dipray.compiling.shutil.which", lambda _: None)
    with pytest.raises(ConfigError, match=r"compile='on': there is no C\+\+ compiler") as caught:
        compiled(torch.nn.Linear(1, 1))
    assert caught.value.field == "compile"


def test_a_compiled_network_is_fitted(monkeypatch, problem, tiny):
    # compiling takes minutes: that the loop runs what comes of it is seen without
    made = []

    def stand_in(net):
        made.append(net)
        return net.forward

    monkeypatch.setattr("dipray.descent.compiled", stand_in)
    on = fit(problem, tiny.replace(compile="on"))
    assert len(made) == 1
    assert on.trace["loss"].tolist() == fit(problem, tiny).trace["loss"].tolist()
