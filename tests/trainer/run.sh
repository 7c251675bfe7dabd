#!/bin/sh
# Trainers that gdlc builds, run as a user runs them: trained, killed, resumed, interrupted, asked for pictures. (What the command line
# accepts and refuses is tested in tests/runtime, without the compiler.) Data are drawn; MNIST is used too where ../shared/data has it.
cd "$(dirname "$0")/../.." || exit 1
B=${B:-build}
case $B in /*) ;; *) B=$PWD/$B ;; esac
mnist=$PWD/../shared/data/mnist/train-images-idx3-ubyte.gz
models=$PWD/models
temporary=$(mktemp -d) || exit 1
trap 'rm -rf "$temporary"' EXIT
cd "$temporary" || exit 1
passed=0 failed=0

# check WHAT COMMAND...: counts whether the command succeeds.
check() {
    what=$1
    shift
    if "$@" > log 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what: $*"
        tail -n 20 log
    fi
}

finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}

# fails STATUS PHRASE COMMAND...: the command ends with this status and says this.
fails() {
    status=$1 phrase=$2
    shift 2
    "$@" > said 2>&1
    found=$?
    cat said
    [ $found -eq "$status" ] && grep -q -e "$phrase" said
}

# png FILE: it is one, and not a tiny one.
png() { [ "$(head -c 4 "$1" | od -An -tx1 | tr -d ' \n')" = 89504e47 ] && [ "$(wc -c < "$1")" -gt 2000 ]; }

# below LIMIT FILE COLUMN: the last row's value in this column of a CSV file.
below() { awk -F, -v limit="$1" -v column="$3" '{ last = $column } END { print last; exit !(NR > 1 && last < limit) }' "$2"; }

if nm "$B/libgdl.a" 2>/dev/null | grep -q __asan_init; then
    echo "skipped: a trainer is linked without the sanitizers that this libgdl.a needs"
    finish
fi

# Killed at moments of which nothing is known, resumed each time, until it is through.
train_with_kills() {
    rm -f killed.*
    kills=0 resume=
    while :; do
        # shellcheck disable=SC2086
        ./vae train --data "$data" --validation-split 0.1 --epochs 6 --batch 50 --save-every 7 --history killed.csv \
            --save killed.safetensors $resume 2> /dev/null &
        child=$!
        [ $kills -lt 8 ] && sleep "0.$((kills * 37 % 90 + 11))" && kill -9 $child 2> /dev/null && kills=$((kills + 1))
        wait $child 2> /dev/null
        status=$?
        [ $status -eq 137 ] || break
        [ -e killed.safetensors ] && resume="--resume killed.safetensors"
    done
    echo "killed $kills times"
    [ $status -eq 0 ] && [ $kills -gt 0 ]
}

interrupt() {
    ./vae train --data "$data" --save interrupted.safetensors --epochs 1000 2> said &
    child=$!
    sleep 0.5
    kill -TERM $child
    wait $child
    status=$?
    cat said
    [ $status -eq 130 ] && grep -q 'go on with --resume' said
}

check "garments are drawn" "$B/examples/garments" data --count 3000
data=data/train-images-idx3-ubyte.gz
check "gdlc builds a trainer" "$B/gdlc" "$models/vae.gdl" -o vae
[ -x vae ] && [ -e "$data" ] || finish

check "--help" ./vae train --help
check "summary counts 269,504 parameters" sh -c './vae summary | grep -q "269504 trainable parameters"'
check "it trains" ./vae train --data "$data" --validation-split 0.1 --epochs 6 --batch 50 --save-every 7 --history whole.csv --save whole.safetensors
check "the loss falls" below 0.4 whole.csv 3
check "the history has a row for each epoch" [ "$(wc -l < whole.csv)" -eq 7 ]
check "the same command gives the same bytes" sh -c './vae train --data "$1" --validation-split 0.1 --epochs 6 --batch 50 --save again.safetensors &&
    cmp whole.safetensors again.safetensors' - "$data"
check "kill -9 and --resume" train_with_kills
check "give the checkpoint of an undisturbed run" cmp whole.safetensors killed.safetensors
check "and its history" cmp whole.csv killed.csv
check "an interrupted run saves" interrupt
check "another batch cannot be resumed" fails 1 'its run has 50' ./vae train --data "$data" --validation-split 0.1 --resume whole.safetensors --batch 40
check "reconstructions" ./vae run reconstruct --load whole.safetensors --data "$data" --count 12 --out reconstructions.png
check "are a picture" png reconstructions.png
check "generated images" ./vae run generate --load whole.safetensors --count 12 --seed 1 --out generated.png
check "are a picture" png generated.png
check "codings" ./vae run encoder --load whole.safetensors --data image="$data" --out mean=mean.npy --out log_var=log_var.csv
check "are one for each example" [ "$(wc -l < log_var.csv)" -eq 3001 ]
check "a full disk is an error" fails 1 'whole.safetensors could not be written: File too large' \
    sh -c 'trap "" XFSZ; ulimit -f 8; exec ./vae train --data "$1" --epochs 1 --save whole.safetensors' - "$data"
check "and keeps the old checkpoint" cmp whole.safetensors again.safetensors

if [ -e "$mnist" ]; then
    check "gdlc builds stacked" "$B/gdlc" "$models/stacked.gdl" -o stacked
    check "stacked trains on MNIST" ./stacked train --data "$mnist" --validation-split 5000 --epochs 1 --history mnist.csv
    check "to a validation loss below 0.2 after an epoch" below 0.2 mnist.csv 5
else
    echo "skipped: there is no $mnist"
fi
finish
