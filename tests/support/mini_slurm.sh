#!/usr/bin/env bash
# A real Slurm on this machine: a controller and several virtual nodes, each with four processors and one GPU that is none. No munge, no
# cgroups, no systemd; nothing outside FOLDER is written. Root only. Needs the packages slurmctld, slurmd and slurm-client.
# Usage: mini_slurm.sh start|stop FOLDER      FOLDER is absolute; callers export SLURM_CONF=FOLDER/slurm.conf
#   NODES       how many (2)
#   PORT        the controller's; the nodes listen on the next ones (26817)
#   KILL_WAIT   seconds between TERM and KILL where a job is ended (30)
# Virtual nodes share a host name and /dev/shm: ranks on several of them need OMPI_MCA_btl=self,tcp.
set -eu

folder=$2
host=$(hostname -s)
nodes=${NODES:-2}
port=${PORT:-26817}
export SLURM_CONF=$folder/slurm.conf

write_configuration() {
    cat >"$SLURM_CONF" <<C
ClusterName=mini
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort=$port
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.%n.log
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool.%n
TmpFS=$folder/tmp.%n
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/jobcomp.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1
GresTypes=gpu
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=${KILL_WAIT:-30}
C
    : >"$folder/gres.conf"
    for k in $(seq "$nodes"); do
        echo "NodeName=n$k NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + k)) CPUs=4 RealMemory=4000 Gres=gpu:1" >>"$SLURM_CONF"
        echo "NodeName=n$k Name=gpu File=/dev/null" >>"$folder/gres.conf"
    done
    echo "PartitionName=main Nodes=ALL Default=YES State=UP" >>"$SLURM_CONF"
    # From 23 on slurmd wants its cgroup plugin named; in a container none can be used.
    case $(slurmd -V) in
    *\ 22.*) ;;
    *\ 23.*) echo "CgroupPlugin=cgroup/v1" >"$folder/cgroup.conf" ;;
    *) echo "CgroupPlugin=disabled" >"$folder/cgroup.conf" ;;
    esac
}

start() {
    mkdir -p "$folder/state"
    write_configuration
    slurmctld -c
    for k in $(seq "$nodes"); do
        mkdir -p "$folder/spool.n$k" "$folder/tmp.n$k"
        slurmd -N "n$k"
    done
    # Without a controller sinfo alone takes seconds.
    end=$((SECONDS + 60))
    while [ $SECONDS -lt $end ]; do
        [ "$(timeout 10 sinfo -h -o %D -t idle 2>/dev/null)" != "$nodes" ] || return 0
        sleep 0.05
    done
    timeout 10 sinfo >&2 || :
    return 1
}

# any_alive PID...: whether one of them lives.
any_alive() {
    for pid; do
        ! kill -0 "$pid" 2>/dev/null || return 0
    done
    return 1
}

stop() {
    timeout 20 scancel -u root 2>/dev/null || :
    # shellcheck disable=SC2046 # one word a process
    set -- $(cat "$folder/slurmctld.pid" "$folder"/slurmd.*.pid 2>/dev/null)
    [ $# -gt 0 ] || return 0
    kill "$@" 2>/dev/null || :
    for _ in $(seq 300); do
        any_alive "$@" || return 0
        sleep 0.05
    done
    kill -9 "$@" 2>/dev/null || :
}

case $1 in
start) start ;;
stop) stop ;;
*)
    echo "mini_slurm.sh: start or stop, not '$1'" >&2
    exit 2
    ;;
esac
