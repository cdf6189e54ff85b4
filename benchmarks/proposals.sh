#!/bin/sh
# The table "Raw proposals" of docs/results.md, cell by cell: proposals.sh OUT [NAME...]. Each cell has a file in OUT and is taken up
# where it was cut off; with NAMEs only these cells. Run it in the root of the checkout. QWEN: a folder or spec of Qwen2.5-Coder-0.5B-Instruct. N: proposals a cell.
set -eu
out=${1:?a folder for the proposals}
shift
n=${N:-48}
export OMP_NUM_THREADS=1
held="coatnet convmixer convnext densenet fractalnet highway mixer mlp nin senet shufflenet vit"
baselines=$(for net in $held; do printf ' --baseline %s' "$net"; done)

cell() {
    name=$1
    shift
    case " ${wanted} " in "  " | *" $name "*) ;; *) return ;; esac
    echo "$name: $(date), load $(cut -d' ' -f1-3 /proc/loadavg)" >&2
    # shellcheck disable=SC2086
    "${PYTHON:-.venv/bin/python}" -m benchmarks propose $baselines --out "$out" --json -n "$n" "$@" >"$out/$name.json"
}

wanted=$*
mkdir -p "$out"
cell random --strategy random
cell evolution --strategy evolution
for model in smollm2 qwen; do
    spec=smollm2 dtype=float32
    if [ $model = qwen ]; then
        [ -n "${QWEN:-}" ] || continue
        spec=$QWEN dtype=bfloat16
    fi
    cell $model-typed --strategy delta --decoding typed --llm "$spec" --dtype $dtype --batch 16 --max-tokens 256
    cell $model-anchored --strategy delta --decoding anchored --llm "$spec" --dtype $dtype --batch 48 --max-tokens 192
    cell $model-free --strategy delta --decoding free --llm "$spec" --dtype $dtype --batch 48 --max-tokens 192
    cell $model-full --strategy full --llm "$spec" --dtype $dtype --batch 24 --max-tokens 1100
done
