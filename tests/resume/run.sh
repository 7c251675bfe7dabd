#!/bin/sh
# Adversarial training that kill -9 ends again and again, at moments that are new in every run, and that --resume goes on with: the last
# checkpoint must have the bytes of a run that was left alone. averaged.gdl holds all kinds of state; gan_replay is a model as it ships.
cd "$(dirname "$0")/../.." || exit 1
. tests/options.sh
B=${B:-build}
case $B in /*) ;; *) B=$PWD/$B ;; esac
top=$PWD
temporary=$(mktemp -d) || exit 1
trap 'rm -rf "$temporary"' EXIT
cd "$temporary" || exit 1
passed=0 failed=0
rounds=2 seed=$$
data=data/train-images-idx3-ubyte.gz

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

# gdlc hears CFLAGS; where `make sanitize` did not set it, a trainer needs the sanitizers that this libgdl.a was built with.
if nm "$B/libgdl.a" 2>/dev/null | grep -q __asan_init; then
    : "${CFLAGS:=-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined}"
fi
[ -n "$CFLAGS" ] || CC=$CACHED_CC CFLAGS=$EMITTED
export B CC CFLAGS

# delay MILLISECONDS: waits for a random part of them. The generator is Park and Miller's.
delay() {
    seed=$(((seed % 2147483646 + 1) * 16807 % 2147483647))
    sleep "$(printf '0.%03d' $((seed % $1)))"
}

# options EPOCHS EVERY NAME: of a training to NAME.safetensors and NAME.csv.
options() { echo "--data $data --epochs $1 --save-every $2 --save $3.safetensors --history $3.csv"; }

# iterations_of FILE: how far the run in a checkpoint is; 0 without one.
iterations_of() {
    step=$([ -e "$1" ] && head -c 400 "$1" | LC_ALL=C grep -a -o '"step":"[0-9]*"' | tr -c -d 0-9)
    echo "${step:-0}"
}

# attempt MODEL EPOCHS EVERY [--resume]: trains until a kill, which comes only after the checkpoint has moved on, so that every
# attempt gets further; or to the end. Returns the trainer's status.
attempt() {
    before=$(iterations_of killed.safetensors)
    # shellcheck disable=SC2046,SC2086 # several words
    "./$1" train $(options "$2" "$3" killed) $4 2> killed.log &
    child=$!
    while kill -0 $child 2> /dev/null && [ "$(iterations_of killed.safetensors)" -le "$before" ]; do sleep 0.02; done
    delay 120
    kill -9 $child 2> /dev/null
    wait $child 2> /dev/null
}

# train_with_kills MODEL EPOCHS EVERY: to killed.safetensors and killed.csv, with one kill at least: a run that was through before
# the first does not count.
train_with_kills() {
    rm -f killed.*
    kills=0 resume= tries=0
    while :; do
        attempt "$1" "$2" "$3" "$resume"
        status=$? tries=$((tries + 1))
        [ $status -eq 0 ] && [ $kills -eq 0 ] && [ $tries -lt 9 ] && rm -f killed.* && continue
        [ $status -eq 137 ] || break
        kills=$((kills + 1)) resume="--resume killed.safetensors"
        echo "killed after iteration $(iterations_of killed.safetensors)"
    done
    cat killed.log
    [ $status -eq 0 ] && [ $kills -gt 0 ]
}

# holds FILE NAME...: the header of the checkpoint names these tensors.
holds() {
    file=$1
    shift
    for name in "$@"; do
        head -c 20000 "$file" | grep -a -q "\"$name\":{" || { echo "$file holds no $name" && return 1; }
    done
}

# compare MODEL EPOCHS EVERY: several interrupted runs beside one that was left alone.
compare() {
    # shellcheck disable=SC2046 # several words
    check "$1 trains undisturbed" "./$1" train $(options "$2" "$3" whole)
    round=0
    while [ $round -lt $rounds ]; do
        round=$((round + 1))
        check "$1, round $round: is killed and resumed" train_with_kills "$1" "$2" "$3"
        check "$1, round $round: to the same checkpoint" cmp whole.safetensors killed.safetensors
        check "$1, round $round: and the same history" cmp whole.csv killed.csv
    done
}

check "garments are drawn" "$B/examples/garments" data --count 1500
check "gdlc builds gan_replay" "$B/gdlc" "$top/models/gan_replay.gdl" -o gan_replay
check "gdlc builds averaged" "$B/gdlc" "$top/tests/resume/averaged.gdl" -o averaged

compare gan_replay 8 11
check "gan_replay's checkpoint has the buffer and both optimizers" holds whole.safetensors gan.fake.buffer gan.fake.count \
    gan.discriminate.rmsprop.v/discriminator.dense_1.kernel gan.generate.rmsprop.v/generator.dense_1.kernel
check "and the phases run" grep -a -q '"tick":"752"' whole.safetensors

compare averaged 30 7
check "averaged's checkpoint has statistics, averages, the buffer and both optimizers" holds whole.safetensors \
    generator.batch_norm_1.moving_variance gan.average/generator.dense_1.kernel gan.fake.buffer gan.discriminate.adam.t gan.generate.nadam.momenta
check "and the phases run" grep -a -q '"tick":"2160"' whole.safetensors
check "the averages generate the same, resumed or not" sh -c './averaged run generate --load whole.safetensors --count 4 --out whole.npy &&
    ./averaged run generate --load killed.safetensors --count 4 --out killed.npy && cmp whole.npy killed.npy'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
