#!/bin/bash
# sbatch --array=0-199%64 docker/slurm.sh worker --study-name STUDY
#
# Runs a command of moo-bnas on a Slurm cluster. Here that is 200 workers, one a task, at most 64 at
# a time: as the time of one is up the next begins, and those left when the run is over end at once.
# On GPUs, add `--gres=gpu:1 --mem=8G` for sbatch before docker/slurm.sh.
#
# The driver goes first. It trains nothing, so a login node will do, else a job of its own:
#   docker/slurm.sh run DEFINITION --workers 0 --study-name STUDY
#   sbatch --time=7-0 docker/slurm.sh run DEFINITION --workers 0 --study-name STUDY
# When its time is up, the same command goes on.
#
# The URL of the storage is read from the file ~/.moo-bnas-storage, which only you may read (chmod
# 600), unless the environment has it as MOO_BNAS_STORAGE. PostgreSQL's password may also stand in
# ~/.pgpass, and not in the URL. `moo-bnas` must be in the PATH of the shell that calls sbatch.
#SBATCH --job-name=moo-bnas
#SBATCH --output=moo-bnas-%j.log
#SBATCH --open-mode=append
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@60
#SBATCH --requeue
set -euo pipefail

if [[ -z ${MOO_BNAS_STORAGE:-} ]]; then
    file=$HOME/.moo-bnas-storage
    if [[ ! -r $file ]]; then
        echo "cannot read $file; write the URL of the storage into it, and chmod 600 $file" >&2
        exit 1
    fi
    if [[ -n $(find -L "$file" -perm /077) ]]; then
        echo "others may read $file; chmod 600 $file" >&2
        exit 1
    fi
    MOO_BNAS_STORAGE=$(<"$file")
    export MOO_BNAS_STORAGE
fi
# One thread a process: two of them on a busy machine can be ten times slower than one.
export OMP_NUM_THREADS=1

# exec: the SIGTERM of scancel, or that 60 s before the time is up, reaches the worker itself, which
# gives back what it trains.
exec moo-bnas "$@"
