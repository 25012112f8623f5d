"""A local Ray for a test module: two CPUs, no dashboard, gone at the end."""

import logging
import os
import shutil
import tempfile

import pytest
import ray


@pytest.fixture(scope="module")
def local_ray():
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # sockets lie below it, and their paths may have 107 characters
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _temp_dir=folder,
    )
    yield
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
