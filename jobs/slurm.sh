# shellcheck shell=bash
# Sourced by the batch scripts: how a search lives with a batch system.

# df_slurm_run FOLDER COMMAND...: runs a search that has --resume, and leaves in FOLDER/status how
# it ended: "complete", or "failed CODE" where another try would not help. Shortly before the time
# limit (USR1, see #SBATCH --signal), and when a rank or node was lost, the job goes back into the
# queue, and goes on there where it stopped.
df_slurm_run() {
    local folder=$1 code=0 child signalled='' failures
    shift
    mkdir -p "$folder"
    echo "$(date -u +%FT%TZ) job ${SLURM_JOB_ID:-none} on ${SLURM_JOB_NODELIST:-$(hostname)}," \
        "start ${SLURM_RESTART_COUNT:-0}: $*"
    "$@" &
    child=$!
    # mpirun passes USR1 on to all ranks; TERM would make it kill them
    trap 'signalled=limit; kill -USR1 "$child" 2>/dev/null || true' USR1
    trap 'signalled=cancel; kill -USR1 "$child" 2>/dev/null || true' TERM INT
    while true; do
        code=0
        wait "$child" || code=$?
        # a signal ends `wait`, not the child
        if [ "$code" -le 128 ] || ! kill -0 "$child" 2>/dev/null; then
            break
        fi
    done
    if [ "$code" -gt 128 ] && [ -n "$signalled" ]; then
        code=0
        wait "$child" || code=$?
    fi
    echo "$(date -u +%FT%TZ) exit code $code ${signalled:+after a signal ($signalled)}"
    case $code in
    0)
        rm -f "$folder/failures"
        echo complete >"$folder/status"
        return 0
        ;;
    2 | 3)
        echo "failed $code" >"$folder/status"
        return "$code"
        ;;
    75) ;;
    *)
        # a lost node, or something that lasts: a few tries tell
        echo "$code" >>"$folder/failures"
        failures=$(wc -l <"$folder/failures")
        if [ "$failures" -gt "${DF_MAX_FAILURES:-5}" ]; then
            echo "failed $code" >"$folder/status"
            return "$code"
        fi
        ;;
    esac
    if [ "$signalled" != cancel ] && [ -n "${SLURM_JOB_ID:-}" ] && scontrol requeue "$SLURM_JOB_ID"; then
        sleep 60 # until the batch system ends this
    fi
    return "$code"
}
