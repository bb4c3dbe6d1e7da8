#!/usr/bin/env bash
# Tests and then measures the CUDA backend on a machine with a GPU and no package manager.
#
#   tests/bench/gpu.sh BUILD [OUT] [--dry-run]
#
# BUILD: a build folder that was built elsewhere and carried here (cmake -B BUILD
# -DPBT_CUDA=ON; cmake --build BUILD).  OUT: where results.jsonl and logs go (default
# gpu-results).  --dry-run: the cpu backend in place of cuda, short; shows that the script
# runs, measures nothing.  Needs no MPI: ranks are processes that begin together.
#
# GPU_PARTS="tests steps ranks copies pytorch" names what to do, where time is short.
# Fails if a test fails, or if none ran.  PyTorch is measured beside where python3 has it.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
usage="usage: gpu.sh BUILD [OUT] [--dry-run]"
build=$(cd "${1:?$usage}" && pwd) || exit 64
shift
out=gpu-results dry=0
for word in "$@"; do
  if [ "$word" = --dry-run ]; then dry=1; else out=$word; fi
done
mkdir -p "$out" && out=$(cd "$out" && pwd)
results=$out/results.jsonl
: >"$results"

backend=cuda seconds=3 counts="1 4 16 32" lenet_batch=64 resnet_batch=128
if [ "$dry" = 1 ]; then
  backend=cpu seconds=0.2 counts="1 2" lenet_batch=16 resnet_batch=4
fi
plain_library_path=${LD_LIBRARY_PATH:-} # what PyTorch is run with
site=$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' 2>/dev/null || true)
for folder in /usr/local/cuda/lib64 "$site"/nvidia/{cudnn,cu13,cublas}/lib; do
  if [ -d "$folder" ]; then
    export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
  fi
done
export PBT_CUDA_MODULE=$build/src/pbt_cuda.so PBT_TEST_BACKEND=$backend
gpu=$build/tests/bench/gpu
chmod +x "$gpu" "$build"/tests/backend/*_test 2>/dev/null

wants() { [[ " ${GPU_PARTS:-tests steps ranks copies pytorch} " == *" $1 "* ]]; }
say() { printf '\n== %s\n' "$*"; }

say "machine"
nvidia-smi --query-gpu=name,driver_version,memory.free,clocks.sm --format=csv 2>/dev/null || true
nproc

# ---- tests: the suite, then under compute-sanitizer ----
say "tests"
ran=0 failed=0
wants tests || ran=none
run_test() { # NAME PRECISION [PATH]
  local name=$1 what="$1 $2 ${3:-}" program=$build/tests/backend/$1 log=$out/$1.$2.${3:-}.log
  if ! { [ -x "$program" ] && wants tests; }; then return; fi
  (cd "$out" && export PBT_TEST_PRECISION=$2 &&
    if [ -n "${3:-}" ]; then export PBT_CUDA_CONV=$3 PBT_CUDA_DENSE=$3; fi &&
    "$program") >"$log" 2>&1
  case $? in
    0) ran=$((ran + 1)) && echo "$what: passed" ;;
    77) echo "$what: skipped: $(tail -1 "$log")" ;;
    *) failed=$((failed + 1)) && echo "$what: FAILED" && tail -5 "$log" ;;
  esac
}
for name in layers_test training_test update_test augment_test cuda_test; do
  run_test "$name" float32
done
if [ "$dry" = 0 ]; then # the libraries for every shape that they take
  for name in layers_test cuda_test; do
    for precision in float32 tf32 bf16; do run_test "$name" "$precision" library; done
  done
fi
if [ "$dry" = 0 ] && wants tests && command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck; do
    log=$out/$tool.log
    # The tests fork; a member whole, on all its kernels, every step recorded and replayed.
    timeout 150 compute-sanitizer --tool "$tool" --target-processes all --error-exitcode 9 \
      "$build/tests/backend/cuda_test" >"$log" 2>&1
    case $? in
      0) echo "compute-sanitizer $tool: clean" ;;
      124) echo "compute-sanitizer $tool: not done after 150 s" ;;
      *) failed=$((failed + 1)) && echo "compute-sanitizer $tool: FAILED" && tail -5 "$log" ;;
    esac
  done
fi
if [ "$ran" = 0 ]; then
  echo "no test ran" >&2
  exit 69
fi

# ---- measurements ----
measure() { # one line of JSON into the results, with what else is known of it
  local extra=$1
  shift
  local line
  line=$("$gpu" --backend "$backend" --seconds "$seconds" "$@" 2>>"$out/errors.log") || {
    failed=$((failed + 1)) && echo "FAILED: gpu $*" && tail -1 "$out/errors.log"
    return
  }
  echo "${line%\}}, $extra}" | tee -a "$results"
}

ranks() { # N processes that begin together; their rates add up
  local n=$1 mps=$2 start
  start=$(($(date +%s) + 10 + n / 2))
  if [ "$dry" = 1 ]; then start=0; fi
  for ((i = 0; i < n; i++)); do
    "$gpu" --backend "$backend" --seconds "$seconds" --start "$start" \
      --batch "$lenet_batch" >"$out/rank.$i.json" 2>>"$out/errors.log" &
  done
  wait
  python3 - "$out" "$n" "$mps" <<'PYTHON' | tee -a "$results"
import json, sys
out, n, mps = sys.argv[1], int(sys.argv[2]), sys.argv[3]
lines = [open(f"{out}/rank.{i}.json").read() for i in range(n)]
rows = [json.loads(line) for line in lines if line.strip()]
print(json.dumps({"what": "ranks", "ranks": n, "answered": len(rows), "mps": mps, "net": "lenet5",
                  "steps_per_second": round(sum(row["steps_per_second"] for row in rows), 1)}))
PYTHON
  rm -f "$out"/rank.*.json
}

if wants steps; then
  say "steps a second, one member"
  for precision in float32 tf32 bf16; do
    measure '"choice": "default"' --net lenet5 --batch "$lenet_batch" --precision "$precision"
    measure '"choice": "default"' --net resnet20 --batch "$resnet_batch" --precision "$precision"
  done
  if [ "$dry" = 0 ]; then
    PBT_CUDA_CONV=library measure '"choice": "conv library"' --net lenet5 --batch "$lenet_batch"
    PBT_CUDA_DENSE=library measure '"choice": "dense library"' --net lenet5 --batch "$lenet_batch"
    for precision in float32 tf32; do
      PBT_CUDA_TIME_ENGINES=1 measure '"choice": "timed engines"' --net resnet20 --batch "$resnet_batch" \
        --precision "$precision"
      PBT_CUDA_ANY_ENGINE=1 PBT_CUDA_TIME_ENGINES=1 measure '"choice": "any engine, timed"' \
        --net resnet20 --batch "$resnet_batch" --precision "$precision"
    done
  fi
  say "members of one rank"
  for n in $counts; do
    measure '"choice": "default"' --batch "$lenet_batch" --members "$n"
  done
fi

if wants ranks; then
  say "ranks on one device"
  for n in $counts; do ranks "$n" no; done
  if [ "$dry" = 0 ] && command -v nvidia-cuda-mps-control >/dev/null; then
    mps=$(mktemp -d)
    export CUDA_MPS_PIPE_DIRECTORY=$mps/pipe CUDA_MPS_LOG_DIRECTORY=$mps/log
    mkdir -p "$mps/pipe" "$mps/log"
    if nvidia-cuda-mps-control -d; then
      for n in $counts; do ranks "$n" yes; done
      echo quit | nvidia-cuda-mps-control
    else
      echo "MPS does not start here"
    fi
    unset CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
    rm -rf "$mps"
  fi
fi

if wants copies; then
  say "copies of a member's state"
  measure '"route": "pinned, two chunks; on the device"' --copies
fi

say "PyTorch"
if [ "$dry" = 0 ] && wants pytorch && python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
  for precision in float32 tf32 bf16; do
    for net in "lenet5 $lenet_batch" "resnet20 $resnet_batch"; do
      # shellcheck disable=SC2086 # two words
      LD_LIBRARY_PATH=$plain_library_path timeout 240 python3 "$root/tests/bench/gpu_pytorch.py" \
        $net "$precision" 2>>"$out/pytorch.log" | tee -a "$results"
    done
  done
else
  echo "not asked for, or none here that sees a GPU"
fi

say "table"
python3 - "$results" <<'PYTHON'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1]) if line.strip()]
for row in rows:
    name = " ".join(str(row.get(key, "")) for key in
                    ("what", "way", "net", "precision", "members", "ranks", "mps", "choice"))
    if "steps_per_second" in row:
        print(f"{' '.join(name.split()):60s} {row['steps_per_second']:12.1f} steps/s")
    else:
        print(f"{' '.join(name.split()):60s} to device {row['to_device_per_second'] / 1e9:.1f}, "
              f"to host {row['to_host_per_second'] / 1e9:.1f}, "
              f"between members {row['between_members_per_second'] / 1e9:.1f} GB/s")
best = {}
for row in rows:
    if row["what"] in ("steps", "pytorch") and row.get("members", 1) == 1:
        key = (row["net"], row["precision"], row.get("way", "ours"))
        best[key] = max(best.get(key, 0.0), row["steps_per_second"])
for net, precision in sorted({key[:2] for key in best}):
    for way in ("eager", "graph", "compile"):
        if (net, precision, way) in best and (net, precision, "ours") in best:
            ratio = best[net, precision, "ours"] / best[net, precision, way]
            print(f"{net} {precision}: {ratio:.2f} x PyTorch {way}")
PYTHON
say "$ran tests passed, $failed failures; $results"
[ "$failed" = 0 ]
