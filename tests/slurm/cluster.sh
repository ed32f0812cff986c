# shellcheck shell=bash disable=SC2317
# Sourced: a Slurm cluster of two nodes with one CPU each on this machine, in a folder of its own,
# as root and without systemd. Callers have `set -euo pipefail`.

# cluster_start FOLDER: starts munged, slurmctld and both slurmd; sets SLURM_CONF.
cluster_start() {
    cluster_dir=$1
    local host port key=$cluster_dir/munge.key
    host=$(hostname -s)
    # ports of its own, so that two builds' tests do not meet
    port=$((20000 + $$ % 20000))
    mkdir -p "$cluster_dir"/{state,spool.n1,spool.n2}
    # A munged of its own too: the system's may run or not.
    install -d -o munge -g munge -m 711 "$cluster_dir/munge"
    chmod 711 "$cluster_dir"
    head -c 1024 /dev/urandom >"$key"
    mv "$key" "$cluster_dir/munge/key"
    chown munge:munge "$cluster_dir/munge/key"
    chmod 400 "$cluster_dir/munge/key"
    cat >"$cluster_dir/slurm.conf" <<EOF
ClusterName=test
SlurmctldHost=$host
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$cluster_dir/munge/socket
CredType=cred/munge
StateSaveLocation=$cluster_dir/state
SlurmdSpoolDir=$cluster_dir/spool.%n
SlurmctldPidFile=$cluster_dir/slurmctld.pid
SlurmdPidFile=$cluster_dir/slurmd.%n.pid
SlurmctldLogFile=$cluster_dir/slurmctld.log
SlurmdLogFile=$cluster_dir/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,sched_min_interval=100000,bf_interval=1
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
KillWait=5
OverTimeLimit=0
MaxArraySize=100
NodeName=n1 NodeHostname=$host Port=$((port + 1)) CPUs=1 State=UNKNOWN
NodeName=n2 NodeHostname=$host Port=$((port + 2)) CPUs=1 State=UNKNOWN
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
EOF
    export SLURM_CONF=$cluster_dir/slurm.conf
    setpriv --reuid munge --regid munge --clear-groups munged \
        --key-file="$cluster_dir/munge/key" --socket="$cluster_dir/munge/socket" \
        --pid-file="$cluster_dir/munge/pid" --log-file="$cluster_dir/munge/log" \
        --seed-file="$cluster_dir/munge/seed"
    slurmctld
    slurmd -N n1
    slurmd -N n2
}

# cluster_stop: stops what cluster_start started, by its pid files.
cluster_stop() {
    local file pid
    for file in "$cluster_dir"/slurmd.n[12].pid "$cluster_dir"/slurmctld.pid \
        "$cluster_dir"/munge/pid; do
        if [ -r "$file" ] && pid=$(cat "$file") && [ -n "$pid" ]; then
            kill "$pid" 2>/dev/null || true
            for _ in $(seq 100); do
                kill -0 "$pid" 2>/dev/null || break
                sleep 0.1
            done
            kill -9 "$pid" 2>/dev/null || true
        fi
    done
}

# cluster_kill NODE: what its breakdown does: the daemon and all of the node's processes end.
cluster_kill() {
    local pid
    kill -9 "$(cat "$cluster_dir/slurmd.$1.pid")"
    for pid in /proc/[0-9]*; do
        pid=${pid#/proc/}
        if grep -zqx "SLURMD_NODENAME=$1" "/proc/$pid/environ" 2>/dev/null ||
            tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q "^slurmstepd: .*$cluster_dir/none"; then
            kill -9 "$pid" 2>/dev/null || true
        fi
    done
}
