#!/bin/sh
# The memory of a training process and its time from the start to the end of the first step, beside PyTorch's where that is installed.
# The data are one batch, so that next to nothing of either is theirs. Of models that read images alone.
#
#     tests/bench/footprint.sh MODEL...
B=${B:-build}
bench=$B/tests/bench
data=$(mktemp -d) || exit 1
trap 'rm -rf "$data"' EXIT
"$B/examples/garments" "$data" --count 128 > "$data/log" || exit 1

# has_torch: sets `python` to one that has PyTorch.
has_torch() {
    for python in "${PYTHON:-python3}" /usr/bin/python3; do
        "$python" -c 'import torch' 2> "$data/log" && return
    done
    return 1
}
has_torch || python=

printf '\nA training process, one step, one thread: resident memory in MB, time from start to end in milliseconds\n\n'
printf '%-18s %10s %9s %12s %12s %7s\n' model MB ms 'PyTorch MB' 'PyTorch ms' ratio
for model; do
    batch=$(sed -n 's/^ *batch //p' "models/$model.gdl" | head -n 1)
    ours=$("$bench/footprint" 10 "$bench/$model" train --data "$data/train-images-idx3-ubyte.gz" --epochs 1 --limit "$batch") || continue
    theirs=$([ -n "$python" ] && "$bench/footprint" 2 "$python" tests/bench/peers.py "$model" --once) || theirs='- -'
    echo "$model $ours $theirs" | awk '{ printf "%-18s %10s %9s %12s %12s %7s\n", $1, $3, $2, $5, $4, ($5 > 0 ? sprintf("%.3f", $3 / $5) : "-") }'
done
