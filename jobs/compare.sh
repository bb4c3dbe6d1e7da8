#!/usr/bin/env bash
# The methods against each other at one budget: 16 members of LeNet-5, seeds fixed here in
# advance, one line of raw result a run.
#
#   jobs/compare.sh NAME DATA_FOLDER [AT_ONCE]
#
# jobs/compare-mnist.sh and jobs/compare-fashion.sh call it.  AT_ONCE runs go side by side,
# one core each (as many as there are cores, by default).  A run whose line stands in
# runs/compare/NAME.csv already is not run again, so the same command goes on where it was
# stopped.  At the end jobs/compare_table.py prints the tables.
# COMPARE_ARMS="ltfb pb2" runs only those arms.
#
# The budget counts gradient steps, trial steps and scores of the whole population; a score
# on 3,000 images costs as much as 16 steps of 64 (a forward pass is a third of a step).
# 16 members x (16 x 100 steps + 16 scores) = 29,696 steps' worth.  DE and SHADE pay 8 trial
# steps and 2 further scores a generation, so they get 12 generations (29,312); L-SHADE,
# whose population shrinks to four, gets 24 (29,636).  SHADE with trials scored on 8 batches
# (RFA) gets 14 (28,796), LTFB, which scores twice on a quarter of the images, 15 (29,632).
# `constant` and `schedule` replay what
# the `pbt` run of the same seed found, in a run seeded anew: the budget of finding it comes
# on top and is not counted.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
name=${1:?usage: jobs/compare.sh NAME DATA_FOLDER [AT_ONCE]}
data=${2:?usage: jobs/compare.sh NAME DATA_FOLDER [AT_ONCE]}
at_once=${3:-$(nproc)}

main_seeds=(301 302 303 304 305 306 307 308 309 310)
main_arms=(pbt shade random)
other_seeds=(301 302 303)
other_arms=(exploit-only explore-only weights-only hparams-only tournament ttest mfpbt pb2
  de lshade cosine constant schedule ltfb shade-rfa)

# The settings of an arm, one a line.
settings() {
  local arm=$1 seed=$2
  local truncation=(exploit.kind=truncation exploit.fraction=0.25)
  local perturb=(explore.kind=perturb)
  local none=(exploit.kind=none)
  case $arm in
  pbt) printf '%s\n' "${truncation[@]}" "${perturb[@]}" ;;
  random) printf '%s\n' "${none[@]}" explore.kind=none ;;
  shade) printf '%s\n' "${none[@]}" explore.kind=shade budget.generations=12 ;;
  exploit-only) printf '%s\n' "${truncation[@]}" explore.kind=none ;;
  explore-only) printf '%s\n' "${none[@]}" "${perturb[@]}" explore.who=all ;;
  weights-only) printf '%s\n' "${truncation[@]}" exploit.copy=weights explore.kind=none ;;
  hparams-only) printf '%s\n' "${truncation[@]}" exploit.copy=hparams "${perturb[@]}" ;;
  tournament) printf '%s\n' exploit.kind=tournament "${perturb[@]}" ;;
  ttest) printf '%s\n' exploit.kind=ttest exploit.window=4 "${perturb[@]}" ;;
  mfpbt) printf '%s\n' exploit.kind=mfpbt 'exploit.periods=[1, 4]' "${perturb[@]}" ;;
  pb2) printf '%s\n' "${truncation[@]}" explore.kind=pb2 ;;
  de) printf '%s\n' "${none[@]}" explore.kind=de budget.generations=12 ;;
  lshade)
    printf '%s\n' "${none[@]}" explore.kind=lshade explore.evaluations=170 \
      budget.generations=24
    ;;
  ltfb) printf '%s\n' exploit.kind=ltfb "${perturb[@]}" budget.generations=15 ;;
  shade-rfa)
    printf '%s\n' "${none[@]}" explore.kind=shade explore.trial_batches=8 \
      budget.generations=14
    ;;
  cosine) printf '%s\n' "${none[@]}" explore.kind=cosine ;;
  constant | schedule) : "replays the pbt run of seed $seed" ;;
  *)
    echo "compare: no arm $arm" >&2
    return 64
    ;;
  esac
}

run_one() {
  local arm=$1 seed=$2 line
  if [[ -n ${COMPARE_ARMS:-} && " $COMPARE_ARMS " != *" $arm "* ]]; then
    return
  fi
  local folder=$runs/$arm-$seed run_seed=$seed
  if grep -q "^$name,$arm,$seed," "$csv"; then
    return
  fi
  local options=()
  while IFS= read -r line; do
    [ -z "$line" ] || options+=(--set "$line")
  done < <(settings "$arm" "$seed")
  case $arm in
  constant) options+=(--replay-final "$runs/pbt-$seed") ;;
  schedule) options+=(--replay "$runs/pbt-$seed") ;;
  esac
  case $arm in constant | schedule) run_seed=$((seed + 1000)) ;; esac
  for line in ${COMPARE_SET:-}; do # to try the script out: COMPARE_SET=ready.steps=10
    options+=(--set "$line")
  done
  rm -rf "$folder" # of an attempt that was stopped
  local began=$SECONDS version
  version=$("$program" --version | sed -n '1s/.*(\(.*\))/\1/p')
  "$program" "$root/jobs/compare.toml" --seed "$run_seed" --output "$folder" \
    --set "data.folder=$data" --set "name=compare-$name-$arm" \
    ${options[@]+"${options[@]}"} >"$folder.log" 2>&1 ||
    {
      echo "compare: $arm with seed $seed failed: see $folder.log" >&2
      return 1
    }
  line=$("$root/jobs/compare_table.py" --line "$lineage" "$folder" "$name,$arm,$seed")
  printf '%s,%s,%s\n' "$line" "$version" $((SECONDS - began)) >>"$csv" # one write: runs side by side
  rm -rf "$folder/checkpoints"
}

program=$root/build/src/pbt_mpi
lineage=$root/build/src/tools/pbt_lineage
runs=$root/runs/compare/$name
csv=$runs.csv
if [ -n "${COMPARE_RUN:-}" ]; then # called by xargs below
  read -r arm seed <<<"$COMPARE_RUN"
  run_one "$arm" "$seed"
  exit
fi

"$root/jobs/prepare.sh" run
cmake --build "$root/build" --target pbt_lineage >/dev/null
# shellcheck source-path=SCRIPTDIR source=mpi.sh
. "$root/jobs/mpi.sh" 1
mkdir -p "$runs"
if [ ! -s "$csv" ]; then
  "$root/jobs/compare_table.py" --header >"$csv"
fi
{
  for seed in "${main_seeds[@]}"; do
    printf "$seed\n%.0s" "${main_arms[@]}" | paste -d ' ' <(printf '%s\n' "${main_arms[@]}") -
  done
  for seed in "${other_seeds[@]}"; do
    printf "$seed\n%.0s" "${other_arms[@]}" | paste -d ' ' <(printf '%s\n' "${other_arms[@]}") -
  done
} | xargs -P "$at_once" -I '{}' env COMPARE_RUN='{}' "$0" "$name" "$data"
"$root/jobs/compare_table.py" "$csv"
