#!/bin/bash
# A sweep on nodes of SLURM; its arguments are those of `dipray sweep`. See slurm.md.
#SBATCH --job-name=dipray
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --output=%x-%j.out
# symmetric-run refuses a node with another Ray on it, and at its end stops every Ray of yours there
#SBATCH --exclusive
##SBATCH --gpus-per-node=4
set -euo pipefail

cd "${DIPRAY:-$SLURM_SUBMIT_DIR}" # a checkout with its .venv, on a disk that all nodes see
export PATH="$PWD/.venv/bin:$PATH"

export RAY_USAGE_STATS_ENABLED=0
export RAY_TMPDIR="/tmp/ray-$SLURM_JOB_ID"          # /tmp/ray may be another user's
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300   # a shared disk is slow when all nodes import
# other users reach the ports of these nodes; a token of this job keeps them out
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN="$(python -c 'import secrets; print(secrets.token_hex(32))')"
export RAY_AUTH_TOKEN

head="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"
# not by name: a node may know itself as 127.0.1.1
host="${HEAD_IP:-$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname -I | awk '{print $1}')}"
address="$host:$((20000 + SLURM_JOB_ID % 10000))"

on_node=(--num-cpus="$SLURM_CPUS_PER_TASK")
[ -z "${SLURM_GPUS_ON_NODE:-}" ] || on_node+=(--num-gpus="$SLURM_GPUS_ON_NODE")

# the sweep ends by itself five minutes before SLURM would end it
budget=()
[ -z "${SLURM_JOB_END_TIME:-}" ] ||
    budget=(--time-budget-s "$((SLURM_JOB_END_TIME - $(date +%s) - 300))")

# Every node runs this line; the one with the address also runs what follows --.
status=0
srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 \
    --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=1 \
    ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" "${on_node[@]}" -- \
    python -m experiments.cli sweep "$@" --address "$address" "${budget[@]}" || status=$?

srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 \
    rm -rf "$RAY_TMPDIR" || true
exit "$status"
