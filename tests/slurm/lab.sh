#!/usr/bin/env bash
# A throw-away SLURM cluster on this machine, for tests.
#
#   tests/slurm/lab.sh start|stop FOLDER
#
# FOLDER holds all of it: configuration, state, logs, the key.  SLURM_CONF=FOLDER/slurm.conf
# leads every SLURM command there.  Needs root and Debian's slurm-wlm and munge; exit code
# 77 where that is not so.
#
#   NODES=4  emulated nodes, each one slurmd with its own host name and /dev/shm
#   CPUS=8   that each of them claims to have; may be more than there are
#   PORT=16817  of the controller; the nodes have the ones after it
#
# Two partitions: "main", and "low", whose jobs a job in "high" sends back to the queue.
# Job steps get 10 s after a TERM (KillWait); a preempted job has 15 s of grace.
set -euo pipefail

NODES=${NODES:-4} CPUS=${CPUS:-8} PORT=${PORT:-16817}
host=$(hostname -s)

skip() {
  echo "SKIP: $1"
  exit 77
}

alive() { # PIDFILE
  [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null
}

configuration() {
  cat <<END
ClusterName=lab
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$PORT
AuthType=auth/munge
AuthInfo=socket=$root/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$root/state
SlurmdSpoolDir=$root/spool.%n
SlurmctldPidFile=$root/run/slurmctld.pid
SlurmdPidFile=$root/run/slurmd.%n.pid
SlurmctldLogFile=$root/log/slurmctld.log
SlurmdLogFile=$root/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
ReturnToService=2
KillWait=10
MinJobAge=3600
END
  local i
  for ((i = 1; i <= NODES; i++)); do
    echo "NodeName=n$i NodeHostname=$host NodeAddr=127.0.0.1 Port=$((PORT + i)) CPUs=$CPUS"
  done
  echo "PartitionName=main Nodes=ALL Default=YES MaxTime=1-0 PriorityTier=5 PreemptMode=OFF"
  echo "PartitionName=low Nodes=ALL MaxTime=1-0 PriorityTier=1 PreemptMode=REQUEUE GraceTime=15"
  echo "PartitionName=high Nodes=ALL MaxTime=1-0 PriorityTier=9 PreemptMode=OFF"
}

start_munge() {
  head -c 1024 /dev/urandom >"$root/munge.key"
  chmod 600 "$root/munge.key"
  munged --force --key-file="$root/munge.key" --socket="$root/munge.socket" \
    --pid-file="$root/run/munged.pid" --log-file="$root/log/munged.log" \
    --seed-file="$root/munge.seed" 2>"$root/log/munged.err"
}

# One emulated node: its own name, shared memory and place for PMIx, and a hosts file that
# knows all of them (without one mpirun waits seconds for each name).
start_node() { # NAME
  mkdir -p "$root/spool.$1"
  unshare --mount --uts bash -c "hostname $1
    mount -t tmpfs tmpfs /dev/shm
    mount -t tmpfs tmpfs '$root/pmix'
    mount --bind '$root/hosts' /etc/hosts
    exec slurmd -N $1"
}

start() {
  [ "$(id -u)" = 0 ] || skip "SLURM's lab needs root"
  command -v slurmctld slurmd munged sbatch >/dev/null || skip "slurm-wlm is not installed"
  unshare --mount --uts true 2>/dev/null || skip "SLURM's lab needs namespaces of its own"
  if alive "$root/run/slurmctld.pid"; then
    echo "a lab runs in $root already" >&2
    exit 1
  fi
  rm -rf "$root"
  mkdir -p "$root"/{state,log,run,pmix}
  chmod 755 "$root"
  local i
  cp /etc/hosts "$root/hosts"
  for ((i = 1; i <= NODES; i++)); do
    echo "127.0.0.1 n$i" >>"$root/hosts"
  done
  configuration >"$SLURM_CONF"
  echo "PMIxCliTmpDirBase=$root/pmix" >"$root/mpi.conf"
  start_munge
  slurmctld
  for ((i = 1; i <= NODES; i++)); do
    start_node "n$i"
  done
  for ((i = 0; i < 100; i++)); do
    if [ "$(sinfo -h -p main -o %T 2>/dev/null | sort -u)" = idle ]; then
      echo "a lab of $NODES nodes with $CPUS processors each; SLURM_CONF=$SLURM_CONF"
      return
    fi
    sleep 0.2
  done
  sinfo -N >&2 || true
  tail -n 5 "$root"/log/*.log >&2
  stop
  exit 1
}

stop_daemon() { # PIDFILE
  local pid i
  pid=$(cat "$1" 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null || return 0
  for ((i = 0; i < 50; i++)); do
    [ -e "$1" ] || return 0
    sleep 0.1
  done
}

stop() {
  local file
  for file in "$root"/run/slurmd.*.pid "$root"/run/slurmctld.pid "$root"/run/munged.pid; do
    stop_daemon "$file"
  done
  rm -rf "$root"
}

if [ $# != 2 ] || { [ "$1" != start ] && [ "$1" != stop ]; }; then
  echo "usage: lab.sh start|stop FOLDER" >&2
  exit 64
fi
root=$(realpath -m "$2")
export SLURM_CONF=$root/slurm.conf
"$1"
