#!/usr/bin/env bash
# A sweep on a Slurm cluster with one command: sizes the job, submits it, sees it through time
# limits and lost nodes to its end, merges parts, prints the ten best. Safe to run again at any
# time: it continues what exists, and watches a job that is still queued.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
    cat <<'EOF'
usage: jobs/submit.sh --exp_dir DIR [OPTIONS] ARCH_SEARCH-FLAGS...

  --array N        N parts, each a job of one CPU, in place of one large job; 0: one strategy
                   and layout in each part, as far as the cluster allows
  --nodes N        most nodes of a job; by default enough for half an hour
  --time T         time limit of a job, as for sbatch; by default twice the estimate
  --sbatch "..."   more options for sbatch, such as "--partition=long --account=mine"
  --no_wait        submit and return; the same command later continues and merges

  jobs/submit.sh --exp_dir output/sweep --exp_config configs/search/lstm_4x4.yaml --wafer_dim 4

DEEPFLOW names the program (build/deepflow).
EOF
}

fail() {
    echo "submit.sh: error: $1" >&2
    exit "${2:-1}"
}

dir='' array='' nodes='' limit='' more=() wait=1 flags=()
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --no_wait | --no-wait) wait=0 ;;
    --exp_dir | --exp-dir | --array | --nodes | --time | --sbatch)
        [ $# -gt 1 ] || fail "$1: expected a value, found nothing" 2
        case $1 in
        --exp*) dir=$2 ;;
        --array) array=$2 ;;
        --nodes) nodes=$2 ;;
        --time) limit=$2 ;;
        --sbatch) read -ra more <<<"$2" ;;
        esac
        shift
        ;;
    --exp_dir=* | --exp-dir=*) dir=${1#*=} ;;
    --array=*) array=${1#*=} ;;
    --nodes=*) nodes=${1#*=} ;;
    --time=*) limit=${1#*=} ;;
    --sbatch=*) read -ra more <<<"${1#*=}" ;;
    *) flags+=("$1") ;;
    esac
    shift
done
[ -n "$dir" ] || fail "--exp_dir: expected a folder, found nothing (--help shows all options)" 2
[[ "${array:-0}" =~ ^[0-9]+$ ]] || fail "--array: expected a whole number, found $array" 2
[[ "${nodes:-1}" =~ ^[1-9][0-9]*$ ]] || fail "--nodes: expected a whole number, found $nodes" 2
for tool in sbatch squeue sinfo scontrol; do
    command -v "$tool" >/dev/null || fail "$tool: expected Slurm's commands on the PATH"
done
export DF_ROOT=$here DEEPFLOW=${DEEPFLOW:-$here/build/deepflow}
[ -x "$DEEPFLOW" ] || fail "$DEEPFLOW: expected the program (jobs/quickstart.sh builds it)"
mkdir -p "$dir/slurm"
dir=$(cd "$dir" && pwd)
state=$dir/slurm

# The same sweep as last time?
command=$(printf '%q ' "${flags[@]}" "${array:+--array=$array}" | sed "s/ '' *$//")
if [ -e "$state/command" ] && [ "$(cat "$state/command")" != "$command" ]; then
    fail "--exp_dir: expected a new folder or the command of $state/command, found another" 2
fi

# How much work it is.
plan=$("$DEEPFLOW" arch_search "${flags[@]}" --no_launch) || exit $?
layouts=$(sed -n 's/^layouts .* \([0-9]*\) of them feasible$/\1/p' <<<"$plan")
core_s=$(awk '$1 == "time" {for (i = 2; i < NF; i++) if ($i == "core") print $(i - 1) * 3600}' \
    <<<"$plan")
echo "$plan"
echo "$command" >"$state/command"

# What the cluster has: nodes that may be had, the least CPUs of one.
read -r cluster_nodes cpus < <(sinfo -h -N -o '%N %c %t' | sort -u |
    awk '$3 !~ /down|drain|fail|maint|unk/ {n++; if (!c || $2 < c) c = $2}
        END {print n + 0, c + 0}')
[ "$cluster_nodes" -gt 0 ] || echo "submit.sh: no node answers at the moment" >&2
cpus=$((cpus > 0 ? cpus : 1))

# minutes SECONDS: twice that, and ten more.
minutes() {
    awk -v s="$1" 'BEGIN {printf "%d", 2 * s / 60 + 10}'
}

# is_final FOLDER: whether the search of that folder has ended for good.
is_final() {
    [ -e "$1/slurm/status" ]
}

# The elements of the array that are not complete, as "1,3,4".
missing() {
    local k list=()
    for k in $(seq "$array"); do
        is_final "$dir/parts/$k" || list+=("$k")
    done
    (
        IFS=,
        echo "${list[*]}"
    )
}

submit() {
    local options=(--parsable "--chdir=$here")
    if [ -n "$array" ]; then
        sbatch "${options[@]}" "--array=$(missing)" "--output=$state/part-%a.log" \
            "--time=${limit:-$(minutes "$(awk -v s="$core_s" -v n="$array" 'BEGIN {print s / n}')")}" \
            "${more[@]}" "$here/jobs/gd_array.sbatch" "$array" "$dir" "${flags[@]}"
    else
        sbatch "${options[@]}" "--nodes=1-$nodes" "--ntasks-per-node=$cpus" \
            "--output=$state/log" \
            "--time=${limit:-$(minutes "$(awk -v s="$core_s" -v n=$((nodes * cpus)) \
                'BEGIN {print s / n}')")}" \
            "${more[@]}" "$here/jobs/arch_search.sbatch" "$dir" "${flags[@]}"
    fi
}

if [ -n "$array" ]; then
    most=$(scontrol show config | awk '$1 == "MaxArraySize" {print $3 - 1}')
    [ "$array" -gt 0 ] || array=$layouts
    array=$((array < layouts ? array : layouts))
    array=$((array < ${most:-1000} ? array : ${most:-1000}))
    echo "parts        $array, each a job of one CPU"
else
    if [ -z "$nodes" ]; then
        nodes=$(awk -v s="$core_s" -v c="$cpus" 'BEGIN {n = s / 1800 / c; print int(n) + (n > int(n))}')
        nodes=$((nodes > cluster_nodes ? cluster_nodes : nodes))
        nodes=$((nodes > 0 ? nodes : 1))
    fi
    echo "size         1 to $nodes node(s) of $cpus CPU(s)"
fi

# in_queue JOB: whether Slurm still has it. While Slurm does not answer, it has.
in_queue() {
    local out
    if out=$(squeue -h -j "$1" -o %T 2>&1); then
        [ -n "$out" ]
    elif grep -q "Invalid job id" <<<"$out"; then
        return 1
    fi
}

all_final() {
    if [ -n "$array" ]; then
        [ -z "$(missing)" ]
    else
        is_final "$dir"
    fi
}

tries=0
while ! all_final; do
    job=$(cat "$state/job" 2>/dev/null || true)
    if [ -z "$job" ] || ! in_queue "$job"; then
        all_final && break
        [ $((tries += 1)) -le 20 ] || fail "20 jobs ended before their work: see $state"
        job=$(submit)
        echo "$job" >"$state/job"
        echo "job          ${job%%;*}"
    elif [ "$tries" -eq 0 ]; then
        echo "job          ${job%%;*}, which already exists"
        tries=1
    fi
    if [ "$wait" -eq 0 ]; then
        echo "The same command continues later; squeue -j ${job%%;*} shows the job."
        exit 0
    fi
    while in_queue "${job%%;*}"; do
        sleep "${DF_POLL_S:-10}"
    done
    # the batch system may be done before a file server
    sleep 1
done

folders=("$dir")
[ -z "$array" ] || folders=("$dir"/parts/*)
for folder in "${folders[@]}"; do
    read -r how code <"$folder/slurm/status"
    [ "$how" = complete ] || fail "$folder: the search failed, exit code $code: see $state" "$code"
done
if [ -n "$array" ]; then
    "$DEEPFLOW" merge "${folders[@]}" --overwrite -o "$dir/results.h5"
fi
# Nothing is left to do: this prints the ten best.
"$DEEPFLOW" arch_search "${flags[@]}" --exp_dir "$dir" --resume
