#!/bin/bash
# sbatch --array=0-199%64 docker/slurm.sh worker --study-name STUDY
#
# Runs a command of moo-bnas on a Slurm cluster. The command above submits 200 workers, one per
# task, of which at most 64 run at a time: when the time of one is up the next begins, and those
# left when the run is over exit at once. For GPUs, insert `--gres=gpu:1 --mem=8G` before
# docker/slurm.sh.
#
# Start the driver first. It trains nothing, so it can run on a login node, or as a job of its own:
#   docker/slurm.sh run DEFINITION --workers 0 --study-name STUDY
#   sbatch --time=7-0 docker/slurm.sh run DEFINITION --workers 0 --study-name STUDY
# When its time is up, the same command continues the run.
#
# The URL of the storage is taken from MOO_BNAS_STORAGE in the environment, or else from the file
# ~/.moo-bnas-storage, which only you may read (chmod 600). PostgreSQL's password may be in
# ~/.pgpass instead of the URL. `moo-bnas` must be in the PATH of the shell that calls sbatch.
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
# One thread per process: on a busy machine, two can be ten times slower than one.
export OMP_NUM_THREADS=1

# exec, so that SIGTERM (from scancel, or from Slurm 60 s before the time is up) reaches the worker
# itself, which then returns the candidate that it is training.
exec moo-bnas "$@"
