#!/bin/sh
# The memory of a training process and its time from the start to where its first step can begin, and to the end of that, beside PyTorch's
# where that is installed; and the time that it takes to make one. The data are one batch, so that next to nothing of either is theirs. Of models that read
# images alone.
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

# trained MODEL EPOCHS: with one batch, which is one step an epoch.
trained() {
    batch=$(sed -n 's/^ *batch //p' "models/$1.gdl" | head -n 1)
    "$bench/footprint" 10 "$bench/$1" train --data "$data/train-images-idx3-ubyte.gz" --epochs "$2" --limit "$batch"
}

printf '\nA training process, one thread: resident memory in MB; milliseconds from its start to where the first step can begin, and to the end of it\n\n'
printf '%-18s %8s %9s %9s %12s %12s %7s\n' model MB begin end 'PyTorch MB' 'PyTorch end' ratio
for model; do
    begun=$(trained "$model" 0) && ended=$(trained "$model" 1) || continue
    theirs=$([ -n "$python" ] && "$bench/footprint" 2 "$python" tests/bench/peers.py "$model" --once) || theirs='- -'
    echo "$model $begun $ended $theirs" |
        awk '{ printf "%-18s %8s %9s %9s %12s %12s %7s\n", $1, $5, $2, $4, $7, $6, ($7 > 0 ? sprintf("%.3f", $5 / $7) : "-") }'
done

printf '\nMaking it: gdlc from the text to C, in milliseconds; the C compiler with the options of trainers, in seconds\n\n'
printf '%-18s %10s %9s\n' model gdlc cc
cp runtime/gdl.h "$data"
for model; do
    text=$("$bench/footprint" 10 "$B/gdlc" "models/$model.gdl" -o "$data/$model.c") || continue
    code=$("$bench/footprint" 1 "${CC:-cc}" -std=c11 -O3 -march=native -ffp-contract=fast -fno-trapping-math -I"$data" \
        $(pkg-config --cflags openblas) -c "$data/$model.c" -o "$data/$model.o") || continue
    echo "$model $text $code" | awk '{ printf "%-18s %10s %9.2f\n", $1, $2, $4 / 1000 }'
done
