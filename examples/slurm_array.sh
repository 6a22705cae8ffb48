#!/bin/bash
# Twenty jobs compress a cohort, and one more merges their manifests: sbatch slurm_array.sh
#SBATCH --job-name=sknic
#SBATCH --array=1-20
#SBATCH --cpus-per-task=8
#SBATCH --mem=8G
#SBATCH --time=04:00:00
set -euo pipefail

command=(sknic compress cohort.csv --out /shared/grids --on-error skip)

if [[ ${SLURM_ARRAY_TASK_ID} == 1 ]]; then
    # It waits until all twenty have ended, well or not, and names the shards that have to run again.
    sbatch --dependency="afterany:${SLURM_ARRAY_JOB_ID}" --wrap "${command[*]} --merge"
fi

"${command[@]}" --shard "${SLURM_ARRAY_TASK_ID}/${SLURM_ARRAY_TASK_COUNT}"
