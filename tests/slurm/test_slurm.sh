#!/usr/bin/env bash
# Sweeps on a real Slurm of two nodes: as an array, through a time limit, past a killed node.
# Each ends with what one undisturbed run writes.
#   tests/slurm/test_slurm.sh PROGRAM [SEARCHES]    SEARCHES: how many starts keep two cores busy for 40 s, longer than Slurm takes to notice a limit
# Exit code 77: skipped; it says why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=jobs/setup.sh
. jobs/setup.sh
# shellcheck source=tests/slurm/cluster.sh
. tests/slurm/cluster.sh

program=$(realpath "$1")
searches=${2:-200}
if [ "$(id -u)" -ne 0 ]; then
    echo "SKIPPED: Slurm's daemons run as root here, and this is not root"
    exit 77
fi
for tool in slurmctld slurmd munged; do
    if ! command -v "$tool" >/dev/null; then
        echo "SKIPPED: no $tool (Debian: slurm-wlm, munge)"
        exit 77
    fi
done

dir=$(mktemp -d "${TMPDIR:-/tmp}/deepflow-slurm-XXXXXX")
chmod 711 "$dir" # munged is another user
trap 'cluster_stop; rm -rf "$dir"' EXIT

failed() {
    echo "FAILED: $1" >&2
    echo "---- logs" >&2
    find "$dir" -name '*.log' -o -path '*/slurm/log' -o -name status -o -name '*.out' |
        while read -r file; do
            echo "-- $file" >&2
            tail -n 30 "$file" >&2
        done
    exit 1
}

# until_true SECONDS COMMAND...
until_true() {
    local left=$(($1 * 5))
    shift
    until "$@"; do
        [ $((left -= 1)) -gt 0 ] || failed "waited in vain for: $*"
        sleep 0.2
    done
}

# same A B: all but /provenance is the same.
same() {
    h5diff --exclude-path /provenance "$1/results.h5" "$2/results.h5" >"$dir/h5diff.out" ||
        failed "$1 differs from $2: $(head -n 3 "$dir/h5diff.out")"
}

nodes_idle() {
    [ "$(sinfo -h -N -o %t | grep -c '^idle$')" -eq "$1" ]
}

flags=(--exp_config configs/search/lstm_4x4.yaml --wafer_dim 2 --flush_s 0.5 --rules corrected)
export DEEPFLOW=$program DF_POLL_S=1

echo "== the cluster"
cluster_start "$dir/cluster"
until_true 30 nodes_idle 2

echo "== an array"
small=("${flags[@]}" --num_search 2)
"$program" arch_search "${small[@]}" --exp_dir "$dir/small" >/dev/null 2>&1
jobs/submit.sh --exp_dir "$dir/array" --array 3 "${small[@]}" >"$dir/array.out" ||
    failed "submit.sh --array"
same "$dir/array" "$dir/small"
[ "$(find "$dir/array/parts" -name results.h5 | wc -l)" -eq 3 ] || failed "expected three parts"
# again: nothing is submitted
jobs/submit.sh --exp_dir "$dir/array" --array 3 "${small[@]}" >"$dir/again.out" ||
    failed "submit.sh again"
! grep -q '^job' "$dir/again.out" || failed "a finished sweep was submitted again"
code=0
jobs/submit.sh --exp_dir "$dir/array" --array 3 "${flags[@]}" >/dev/null 2>"$dir/other.out" || code=$?
[ "$code" -eq 2 ] || failed "another command in the same folder: expected exit code 2, found $code"

large=("${flags[@]}" --num_search "$searches")
mpirun -n 2 "$program" arch_search "${large[@]}" --exp_dir "$dir/large" >/dev/null 2>&1

# see_through PID: waits for submit.sh. Slurm lets a job that went back into the queue wait for two
# minutes; here it begins at once.
see_through() {
    local job
    while kill -0 "$1" 2>/dev/null; do
        for job in $(squeue -h -t PD -o %i); do
            scontrol update "JobId=$job" StartTime=now 2>/dev/null || true
        done
        sleep 1
    done
    wait "$1"
}

# started NAME: its job has written results.
started() {
    [ -e "$dir/$1/results.h5" ] && squeue -h -o %t | grep -q R
}

echo "== a time limit"
# the limit is a minute, of which 58 s are for the end
jobs/submit.sh --exp_dir "$dir/limit" --nodes 2 --time 1 --sbatch --signal=B:USR1@58 \
    "${large[@]}" >"$dir/limit.out" &
submit=$!
until_true 20 started limit
grep -q Requeue=1 <<<"$(scontrol show job)" || failed "the job may not be requeued"
# a second watcher joins the job
timeout 3 jobs/submit.sh --exp_dir "$dir/limit" --nodes 2 --time 1 --sbatch --signal=B:USR1@58 \
    "${large[@]}" >"$dir/second.out" || true
grep -q 'which already exists' "$dir/second.out" || failed "a second job was submitted"
see_through "$submit" || failed "submit.sh over a time limit"
grep -q 'exit code 75 after a signal (limit)' "$dir/limit/slurm/log" || failed "no limit was met"
grep -q 'start [1-9]' "$dir/limit/slurm/log" || failed "the job was not requeued"
same "$dir/limit" "$dir/large"

echo "== a killed node"
until_true 30 nodes_idle 2
jobs/submit.sh --exp_dir "$dir/node" --nodes 2 "${large[@]}" >"$dir/node.out" &
submit=$!
until_true 20 started node
cluster_kill n2
see_through "$submit" || failed "submit.sh past a killed node"
same "$dir/node" "$dir/large"
sinfo -h -N -n n2 -o %t | grep -q down || failed "the node is not down"
echo "passed after $SECONDS s"
