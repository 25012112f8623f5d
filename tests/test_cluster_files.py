"""The files of experiments/clusters: held against Ray's schema and KubeRay's fields, and run."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from analysis import load_sweep
from experiments.cli import main

TOP = Path(__file__).parent.parent
FILES = TOP / "experiments" / "clusters"
BIN = Path(sys.executable).parent
TINY = (
    "--noise-sigma", "25", "--depth", "2", "--features", "4", "--iterations", "20",
    "--device", "cpu", "--report-every", "10", "--grace-period", "10",
)  # fmt: skip

# of RayJobSpec, RayClusterSpec, HeadGroupSpec and WorkerGroupSpec in KubeRay's API ray.io/v1
JOB_FIELDS = {
    "activeDeadlineSeconds", "backoffLimit", "clusterSelector", "entrypoint", "entrypointNumCpus",
    "entrypointNumGpus", "entrypointResources", "jobId", "managedBy", "metadata",
    "rayClusterSpec", "runtimeEnvYAML", "shutdownAfterJobFinishes", "submissionMode",
    "submitterConfig", "submitterPodTemplate", "suspend", "ttlSecondsAfterFinished",
}  # fmt: skip
CLUSTER_FIELDS = {
    "authOptions", "autoscalerOptions", "enableInTreeAutoscaling", "gcsFaultToleranceOptions",
    "headGroupSpec", "headServiceAnnotations", "managedBy", "rayVersion", "suspend",
    "workerGroupSpecs",
}  # fmt: skip
HEAD_FIELDS = {"enableIngress", "headService", "rayStartParams", "serviceType", "template"}
WORKER_FIELDS = {
    "groupName", "idleTimeoutSeconds", "maxReplicas", "minReplicas", "numOfHosts",
    "rayStartParams", "replicas", "scaleStrategy", "suspend", "template",
}  # fmt: skip


def pinned(name):
    lines = (TOP / "constraints.txt").read_text().splitlines()
    return next(line for line in lines if line.startswith(f"{name}==")).partition("==")[2]


@pytest.fixture
def ray_up():
    return yaml.safe_load((FILES / "ray-up.yaml").read_text())


def test_ray_up_is_what_ray_accepts(ray_up):
    prepared = prepare_config(ray_up)
    validate_config(prepared)
    assert set(prepared["available_node_types"]) == {"head", "worker"}
    assert ray_up["max_workers"] == ray_up["available_node_types"]["worker"]["min_workers"]


@pytest.fixture
def simulated_aws(monkeypatch, tmp_path):
    """An account with the group and the instance profiles of ray-up.md; answers on loopback."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(
        "127.0.0.1", port=0, verbose=False
    )
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("HOME", str(tmp_path))  # Ray makes a key pair in ~/.ssh
    (tmp_path / ".ssh").mkdir()
    yield
    server.stop()


# botocore's and the test server's own habits
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_ray_up_starts_nodes_that_are_closed_to_the_world(ray_up, simulated_aws):
    import boto3
    from ray.autoscaler._private.aws.config import bootstrap_aws
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    region = ray_up["provider"]["region"]
    ec2, iam = (boto3.client(name, region_name=region) for name in ("ec2", "iam"))
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = ec2.create_security_group(GroupName="dipray", Description="dipray", VpcId=vpc)
    ssh = {"FromPort": 22, "ToPort": 22, "IpProtocol": "tcp"}
    ec2.authorize_security_group_ingress(
        GroupId=group["GroupId"], IpPermissions=[ssh | {"IpRanges": [{"CidrIp": "192.0.2.7/32"}]}]
    )
    before = [each["GroupId"] for each in ec2.describe_security_groups()["SecurityGroups"]]
    for kind in ray_up["available_node_types"].values():
        assert kind["node_config"]["SecurityGroupIds"] == ["sg-EDIT"]
        kind["node_config"]["SecurityGroupIds"] = [group["GroupId"]]
        iam.create_instance_profile(
            InstanceProfileName=kind["node_config"]["IamInstanceProfile"]["Name"]
        )
    made = bootstrap_aws(prepare_config(ray_up))
    provider = AWSNodeProvider(made["provider"], made["cluster_name"])
    for name, kind in made["available_node_types"].items():
        provider.create_node(kind["node_config"], {"ray-user-node-type": name}, 1)
    reservations = ec2.describe_instances()["Reservations"]
    nodes = [node for reservation in reservations for node in reservation["Instances"]]
    assert {node["InstanceType"] for node in nodes} == {"m6i.large", "g5.xlarge"}
    for node in nodes:
        assert [each["GroupId"] for each in node["SecurityGroups"]] == [group["GroupId"]]
    after = [each["GroupId"] for each in ec2.describe_security_groups()["SecurityGroups"]]
    assert sorted(before) == sorted(after)


def test_ray_up_keeps_the_dashboard_to_itself_and_asks_for_a_token(ray_up):
    (head,) = (line for line in ray_up["head_start_ray_commands"] if "ray start" in line)
    assert "--dashboard-host=127.0.0.1" in head
    assert any("RAY_AUTH_MODE=token" in line for line in ray_up["setup_commands"])
    assert all("source ~/.profile" in line for line in ray_up["worker_start_ray_commands"])
    assert "0.0.0.0" not in (FILES / "ray-up.yaml").read_text()


def test_the_ray_job_has_fields_that_kuberay_knows():
    job = yaml.safe_load((FILES / "kuberay-rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert set(job) == {"apiVersion", "kind", "metadata", "spec"}
    assert set(job["spec"]) <= JOB_FIELDS
    cluster = job["spec"]["rayClusterSpec"]
    assert set(cluster) <= CLUSTER_FIELDS
    assert cluster["rayVersion"] == pinned("ray")
    assert cluster["authOptions"] == {"mode": "token"}
    head, (workers,) = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    assert set(head) <= HEAD_FIELDS and set(workers) <= WORKER_FIELDS
    assert (head["serviceType"], head["enableIngress"]) == ("ClusterIP", False)
    assert workers["replicas"] == workers["minReplicas"] == workers["maxReplicas"]
    for group in (head, workers):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["requests"] == container["resources"]["limits"]


def test_the_ray_job_calls_what_the_command_line_takes(capsys):
    job = yaml.safe_load((FILES / "kuberay-rayjob.yaml").read_text())
    name, command, *arguments = job["spec"]["entrypoint"].split()
    assert (name, command) == ("dipray", "sweep")
    with pytest.raises(SystemExit) as ended:
        main([command, *arguments])
    # the flags are understood; the picture lies on the cluster
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("dipray: /pictures/astronaut.png: cannot be read")


def test_every_file_has_its_page_and_no_secret():
    pages = {"ray-up.md", "kuberay.md", "slurm.md", "job-submit.md"}
    files = {
        "ray-up.yaml",
        "kuberay-rayjob.yaml",
        "slurm.sh",
        "Dockerfile",
        "Dockerfile.dockerignore",
    }
    assert {path.name for path in FILES.iterdir()} == pages | files | {"README.md"}
    for page in pages:
        text = (FILES / page).read_text()
        for heading in ("## Run it", "## Go on", "## Stop it", "## Tested", "## Results"):
            assert heading in text, page
    for path in FILES.iterdir():
        assert "AKIA" not in path.read_text()
        assert "SECRET_ACCESS_KEY=" not in path.read_text()


def test_the_slurm_script_is_a_script():
    subprocess.run(["bash", "-n", FILES / "slurm.sh"], check=True)
    lines = (FILES / "slurm.sh").read_text().splitlines()
    code = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    # sbatch reads no directive after the first command
    assert not any(line.startswith("#SBATCH") for line in lines[code:])


def offline(**variables):
    """The environment of a program that finds this Python first and no Ray but its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "RAY_USAGE_STATS_ENABLED": "0"} | variables


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in held]
    for server in held:
        server.close()
    return ports


@pytest.fixture
def short_folder():
    # sockets lie below it, and their paths may have 107 characters
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def job_server(short_folder):
    """The environment that reaches a cluster of this machine alone, as in job-submit.md."""
    pytest.importorskip("aiohttp", reason="the job server needs ray[default]")
    port, dashboard, agent = free_ports(3)
    env = offline(
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="a" * 64
    )
    head = subprocess.Popen(
        [
            BIN / "ray", "start", "--head", "--block", "--num-cpus=1", f"--port={port}",
            "--include-dashboard=true", "--dashboard-host=127.0.0.1",
            f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}",
            f"--temp-dir={short_folder}",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, start_new_session=True,
    )  # fmt: skip
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", dashboard)) == 0:
                    break
            assert head.poll() is None
            time.sleep(0.1)
        yield env | {"RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}"}
    finally:
        head.terminate()  # it ends what it started
        head.wait(timeout=30)


@pytest.mark.ray
def test_a_sweep_as_a_submitted_job(job_server, clean_file, tmp_path, short_folder):
    results = tmp_path / "sweep"
    grid = tmp_path / "grid.json"
    grid.write_text('{"seed": [0]}')
    submit = [BIN / "ray", "job", "submit", "--submission-id", "tiny", "--working-dir", ".", "--"]
    sweep = [
        "python", "-m", "experiments.cli", "sweep", "--clean", clean_file, *TINY, "--grid", grid,
        "--save-dir", results,
    ]  # fmt: skip
    done = subprocess.run(
        [*submit, *sweep],
        capture_output=True, text=True, timeout=120, check=False, cwd=TOP, env=job_server,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Job 'tiny' succeeded" in done.stdout + done.stderr
    assert "1 trials run, 0 kept from before, 0 failed" in done.stdout
    assert list(load_sweep(results).trials["outcome"]) == ["BUDGET"]
    # what is no part of the code stays here
    (uploaded,) = short_folder.glob("session_2*/runtime_resources/working_dir_files/_ray_pkg_*/")
    assert (uploaded / "dipray").is_dir()
    assert not (uploaded / ".venv").exists() and not (uploaded / "runs").exists()
    assert sum(path.stat().st_size for path in uploaded.rglob("*")) < 20e6


SRUN = """#!/bin/bash
# one node, this one: what is no option of srun is the command
while [[ "$1" == --* ]]; do shift; done
exec "$@"
"""


@pytest.mark.ray
def test_the_slurm_script_on_one_node(clean_file, tmp_path, short_folder):
    # symmetric-run refuses where another Ray runs, and `ray stop` at its end would stop that one:
    # in a space of its own the script sees no other process
    alone = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    alone += ["--kill-child"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("no PID namespace can be made here, and `ray stop` would stop other Rays")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "srun").write_text(SRUN)
    (tools / "scontrol").write_text("#!/bin/bash\necho node1\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    job = str(os.getpid())
    env = offline(
        PATH=f"{tools}{os.pathsep}{BIN}{os.pathsep}{os.environ['PATH']}",
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", DIPRAY=str(TOP), HEAD_IP="127.0.0.1",
        SLURM_JOB_ID=job, SLURM_JOB_NODELIST="node1", SLURM_JOB_NUM_NODES="1",
        SLURM_CPUS_PER_TASK="1", SLURM_JOB_END_TIME=str(int(time.time()) + 1000),
    )  # fmt: skip
    results = tmp_path / "sweep"
    grid = tmp_path / "grid.json"
    grid.write_text('{"seed": [0]}')
    running = subprocess.Popen(
        [*alone, "bash", FILES / "slurm.sh", "--clean", clean_file, *TINY, "--grid", grid,
         "--save-dir", results],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, env=env,
        start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = running.communicate(timeout=120)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 0, said
    assert "On head node. Starting Ray cluster head" in said
    assert "1 trials run, 0 kept from before, 0 failed" in said
    assert list(load_sweep(results).trials["outcome"]) == ["BUDGET"]
    assert not Path(f"/tmp/ray-{job}").exists()
