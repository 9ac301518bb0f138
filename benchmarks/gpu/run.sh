#!/usr/bin/env bash
# A quarter of an hour of a GPU, used well: the GPU tests, the time of training and inversion at 256 px with a profile,
# and with what is left a base. Needs bash, and a python3 with torch for CUDA and the library's own packages
# (numpy, pillow, pyarrow, pandas, safetensors, scipy, filelock, jaxtyping, lpips, matplotlib, tensorboard, pytest).
#
#   bash benchmarks/gpu/run.sh --images avatars.zip            # results in gpu-results/, at most 60 MiB
#   bash benchmarks/gpu/run.sh --images avatars.zip --resume gpu-results/base --out gpu-results-2
#   bash benchmarks/gpu/run.sh --rehearse                      # tiny numbers on the CPU, in two minutes
#
# A part that fails is reported, and the next one runs; the exit status is then 1.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1

python=${PYTHON:-python3} out=gpu-results images="" resume="" seconds=540 resolution=128 rehearse="" patience=1
while [ $# -gt 0 ]; do
  case "$1" in
    --rehearse) rehearse=1 ;;
    --out | --images | --resume | --seconds | --resolution)
      [ $# -gt 1 ] || { echo "error: $1 came without a value, expected one; see the head of $0" >&2; exit 2; }
      declare "${1#--}=$2"
      shift ;;
    *) echo "error: $1 is unknown, expected --images, --out, --resume, --seconds, --resolution or --rehearse" >&2; exit 2 ;;
  esac
  shift
done
if [ -z "$rehearse" ] && ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  echo "error: $python finds no CUDA device, expected one; run it where there is one, or try --rehearse" >&2
  exit 2
fi
mkdir -p "$out" || exit 2
out=$(cd "$out" && pwd)
failed=""

part() { # NAME LIMIT COMMAND...: runs a part with a time limit, shows the end of what it says, keeps all of it
  local name=$1 limit=$2
  shift 2
  echo "== $name ($SECONDS s)"
  timeout "$((limit * patience))" "$@" >"$out/$name.txt" 2>&1
  local status=$?
  [ $status -eq 0 ] || { failed="$failed $name"; echo "-- $name FAILED with status $status (124: after $((limit * patience)) s)"; }
  tail -n 25 "$out/$name.txt"
  return $status
}

if [ -n "$rehearse" ]; then
  patience=5 # a rehearsal may share its processor
  export OMP_NUM_THREADS=1
  scale=(--dry-run --precision fp32) inversion=(--device cpu --images 2 --steps 2 --turns 1 --threads 1)
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  "$python" "$here/rehearsal_images.py" "$work/images" || exit 1
  base=(--resolution 32 --images "$work/images" --work "$work" --device cpu)
  base+=(--training '{"batch_size": 4, "precision": "fp32", "snapshot_kimg": 0.04, "total_kimg": 0.2}')
else
  scale=(--cycles 3) inversion=(--device cuda --resolution 256 --images 32 --turns 1 --steps 20 --only together)
  base=(--resolution "$resolution" --images "$images" --work "$out/../gpu-work")
fi

part training-graphs 90 "$python" "$here/time_training.py" "${scale[@]}" --json "$out/training-graphs.json" \
  --profile "$out/profile.txt"
part training-eager 90 "$python" "$here/time_training.py" "${scale[@]}" --cycles 1 --no-graphs \
  --json "$out/training-eager.json"
part inversion 90 "$python" "$root/benchmarks/bench_inversion.py" "${inversion[@]}" --json "$out/inversion.json"
# Kernels are compiled for each shape, which takes minutes on few cores: beside the training of the base.
part tests 300 "$python" -m pytest "$root/tests/gpu" --confcutdir="$root/tests/gpu" -p no:cacheprovider -q -o addopts= &
tests=$!
if [ -n "$rehearse" ] || [ -n "$images" ]; then
  left=$((seconds - SECONDS - 30)) # to write what was trained
  [ -z "$rehearse" ] || left=100
  if [ "$left" -lt 1 ]; then
    failed="$failed base"
    echo "-- base FAILED: the parts before it took all of the $seconds s; give more, with --seconds"
  else
    [ -z "$resume" ] || base+=(--resume "$resume")
    part base $((left + 30)) "$python" "$here/train_base.py" "${base[@]}" --seconds "$left" --out "$out/base"
  fi
fi
wait "$tests" || failed="$failed tests"
echo "== done in $SECONDS s${failed:+; failed:$failed}"
[ -z "$failed" ]
