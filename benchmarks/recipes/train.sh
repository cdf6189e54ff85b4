#!/usr/bin/env bash
# Train the tables of the study of losses and optimizers. The same command goes on with them, whatever ended it; deltanas is on PATH.
#
#   benchmarks/recipes/train.sh [--minutes 60] [--workers 2]     (options are handed on; minutes: for each table)
#   deltanas study recipes benchmarks/recipes/fashion-mnist.jsonl
#   cat benchmarks/recipes/{control,fashion-mnist}.jsonl > both.jsonl && deltanas study recipes both.jsonl --arm fixed
#
# control:       NLL of the log-softmax, the same function as cross-entropy: 102 trainings, 5 CPU minutes.
# decay:         Adam and AdamW with one weight decay: 170 trainings, 9 CPU minutes.
# fashion-mnist: cross-entropy and NGL with six optimizers, NGL under SGD at the scale of cross-entropy too; 17 networks,
#                both arms, 5 seeds: 3,315 trainings of 3.2 CPU seconds on the average, 2.9 CPU hours.
# digits:        the same with 20 epochs: 4.1 CPU seconds each, 3.8 CPU hours.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
fashion=(--dataset fashion-mnist --train-size 4000 --epochs 1 --timeout 600)
study=(--loss ce --loss ngl --ngl-scale 12.3 --arm both --rates 5 --seeds 5)
deltanas recipes run --out "$here/control.jsonl" "${fashion[@]}" --loss nll --arm fixed --seeds 1 "$@"
deltanas recipes run --out "$here/decay.jsonl" "${fashion[@]}" --loss ce --optimizer adam --optimizer adamw --decay 0.01 --arm fixed --seeds 5 "$@"
deltanas recipes run --out "$here/fashion-mnist.jsonl" "${fashion[@]}" "${study[@]}" "$@"
deltanas recipes run --out "$here/digits.jsonl" --dataset digits --epochs 20 --timeout 600 "${study[@]}" "$@"
