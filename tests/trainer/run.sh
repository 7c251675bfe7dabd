#!/bin/sh
# Trainers that gdlc builds, run as a user runs them: trained, killed, resumed, interrupted, asked for pictures. (What the command line
# accepts and refuses is tested in tests/runtime, without the compiler.) Data are drawn; MNIST is used too where ../shared/data has it.
cd "$(dirname "$0")/../.." || exit 1
. tests/options.sh
B=${B:-build}
case $B in /*) ;; *) B=$PWD/$B ;; esac
mnist=$PWD/../shared/data/mnist/train-images-idx3-ubyte.gz
models=$PWD/models tests=$PWD/tests
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

# says STATUS PHRASE COMMAND...: the command ends with this status and says this.
says() {
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

# gdlc hears CFLAGS; where `make sanitize` did not set it, a trainer needs the sanitizers that this libgdl.a was built with.
if nm "$B/libgdl.a" 2>/dev/null | grep -q __asan_init; then
    : "${CFLAGS:=-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined}"
    export CFLAGS
fi

# train_with_kills TRAINER OPTION...: killed at moments of which nothing is known, resumed each time, until it is through. Leaves
# killed.safetensors and killed.csv.
train_with_kills() {
    rm -f killed.*
    kills=0 resume=
    while :; do
        # shellcheck disable=SC2086
        "$@" --history killed.csv --save killed.safetensors $resume 2> /dev/null &
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

# stages NAME OPTION...: two stages of models/pretrained.gdl, to NAME.safetensors and NAME.csv.
two_stages="train pretrain head_only --data x=data/train-images-idx3-ubyte.gz --data label=data/train-labels-idx1-ubyte.gz
    --limit 500 --balanced --epochs 4 --save-every 6"
stages() {
    name=$1
    shift
    # shellcheck disable=SC2086
    ./pretrained $two_stages --save "$name.safetensors" --history "$name.csv" "$@"
}

kill_in_second_stage() {
    # shellcheck disable=SC2086
    ./pretrained $two_stages --save second.safetensors --history second.csv 2> second.log &
    child=$!
    while kill -0 $child && ! grep -q 'head_only epoch 1' second.log; do sleep 0.002; done 2> /dev/null
    kill -9 $child
    wait $child
    status=$?
    cat second.log
    [ $status -eq 137 ] && grep -q '"stage":"head_only"' second.safetensors
}

check "garments are drawn" "$B/examples/garments" data --count 3000
data=data/train-images-idx3-ubyte.gz labels=data/train-labels-idx1-ubyte.gz
check "gdlc builds a trainer" "$B/gdlc" "$models/vae.gdl" -o vae
[ -x vae ] && [ -e "$data" ] || finish
[ -n "$CFLAGS" ] || CC=$CACHED_CC CFLAGS=$EMITTED # the first one is as users have it
export B CC CFLAGS

check "--help" ./vae train --help
check "summary counts 269,504 parameters" sh -c './vae summary | grep -q "269504 trainable parameters"'
check "it trains" ./vae train --data "$data" --validation-split 0.1 --epochs 6 --batch 50 --save-every 7 --history whole.csv --save whole.safetensors
check "the loss falls" below 0.4 whole.csv 3
check "the history has a row for each epoch" [ "$(wc -l < whole.csv)" -eq 7 ]
check "the same command gives the same bytes" sh -c './vae train --data "$1" --validation-split 0.1 --epochs 6 --batch 50 --save again.safetensors &&
    cmp whole.safetensors again.safetensors' - "$data"
check "kill -9 and --resume" train_with_kills ./vae train --data "$data" --validation-split 0.1 --epochs 6 --batch 50 --save-every 7
check "give the checkpoint of an undisturbed run" cmp whole.safetensors killed.safetensors
check "and its history" cmp whole.csv killed.csv
check "an interrupted run saves" interrupt
check "another batch cannot be resumed" says 1 'its run has 50' ./vae train --data "$data" --validation-split 0.1 --resume whole.safetensors --batch 40
check "reconstructions" ./vae run reconstruct --load whole.safetensors --data "$data" --count 12 --out reconstructions.png
check "are a picture" png reconstructions.png
check "generated images" ./vae run generate --load whole.safetensors --count 12 --seed 1 --out generated.png
check "are a picture" png generated.png
check "codings" ./vae run encoder --load whole.safetensors --data image="$data" --out mean=mean.npy --out log_var=log_var.csv
check "are one for each example" [ "$(wc -l < log_var.csv)" -eq 3001 ]
check "a full disk is an error" says 1 'whole.safetensors could not be written: File too large' \
    sh -c 'trap "" XFSZ; ulimit -f 8; exec ./vae train --data "$1" --epochs 1 --save whole.safetensors' - "$data"
check "and keeps the old checkpoint" cmp whole.safetensors again.safetensors

check "a trainer without --profile has nothing to tell" says 64 'compile vae.gdl with gdlc --profile' \
    ./vae train --data "$data" --epochs 1 --profile-out profile.csv
check "gdlc --profile" "$B/gdlc" --profile "$models/vae.gdl" -o counted
check "prints where the time went" says 0 'vae.gdl:.* vae_run ' ./counted train --data "$data" --limit 256 --epochs 2
check "in a file where one is named" ./counted train --data "$data" --limit 256 --epochs 2 --profile-out profile.csv
check "each kernel was called in each step" sh -c 'awk -F, "/^vae_run/ && !/,4,[0-9.e-]+,[0-9.e+]+,[0-9.e+]+\$/ { exit 1 }" profile.csv'
check "gdlc builds pretrained" "$B/gdlc" "$models/pretrained.gdl" -o pretrained
check "a stage alone" ./pretrained train pretrain --data x="$data" --epochs 2 --save pretrain.safetensors
check "--init starts another from it, and says what it took" says 0 '16 of 16 tensors taken from pretrain.safetensors' ./pretrained train head_only \
    --init pretrain.safetensors --data x="$data" --data label="$labels" --limit 500 --balanced --save head.safetensors
check "two stages" stages whole_stages
check "the second is killed" kill_in_second_stage
check "and resumed" stages second --resume second.safetensors
check "to the checkpoint of an undisturbed run" cmp whole_stages.safetensors second.safetensors
check "and its history" cmp whole_stages.csv second.csv
check "confusion" sh -c './pretrained confusion classify --load head.safetensors --data x="$1" --data label="$2" > said' - "$data" "$labels"
check "has a row for each class and the accuracy" sh -c 'grep -c " %$" said | grep -q "^10$" && grep -q "^accuracy [0-9.]* %: [0-9]* of 3000" said'
check "inspect" sh -c './pretrained inspect encoder --load head.safetensors --data "$1" --top 5 --out top.png > said' - "$data"
check "has a row for each unit" sh -c 'grep -c "|$" said | grep -q "^30$"'
check "and a picture" png top.png

check "gdlc builds gan" "$B/gdlc" "$models/gan.gdl" -o gan
check "it trains" ./gan train --data "$data" --epochs 4 --save plain.safetensors
check "it trains with snapshots" ./gan train --data "$data" --epochs 4 --save watched.safetensors --snapshot-every 2 --snapshot-to gan
check "which are pictures" sh -c '[ -s gan-0002.png ] && [ -s gan-0004.png ] && [ ! -e gan-0003.png ]'
check "and a strip" png gan-strip.png
check "that change nothing" cmp plain.safetensors watched.safetensors
check "gdlc builds gan_replay" "$B/gdlc" "$models/gan_replay.gdl" -o gan_replay
check "it trains" ./gan_replay train --data "$data" --epochs 3 --save whole.safetensors
check "kill -9 and --resume" train_with_kills ./gan_replay train --data "$data" --epochs 3 --save-every 40
check "give the checkpoint of an undisturbed run, with what it replays" cmp whole.safetensors killed.safetensors

# Sequences: an IDX file of bytes for each number of steps; masks of ones.
sequences() {
    length=$(printf '\\%03o' "$1")
    printf "\\000\\000\\010\\003\\000\\000\\000\\100\\000\\000\\000$length\\000\\000\\000\\004" > "x$1.idx"
    yes 'sequences of steps' | head -c $((64 * $1 * 4)) >> "x$1.idx"
    printf "\\000\\000\\010\\002\\000\\000\\000\\100\\000\\000\\000$length" > "mask$1.idx"
    tr '\000' '\377' < /dev/zero | head -c $((64 * $1)) >> "mask$1.idx"
}
# shape FILE.npy SHAPE
shape() { head -c 128 "$1" | grep -q "'shape': ($2)"; }

for steps in 5 7 65; do sequences $steps; done
check "gdlc builds lengths" "$B/gdlc" "$tests/emitted/lengths.gdl" -o lengths
check "it trains, and validates on shorter sequences" ./lengths train --data x=x7.idx --data mask=mask7.idx --valid x=x5.idx --valid mask=mask5.idx \
    --save lengths.safetensors
check "a net of sequences" ./lengths run steps --load lengths.safetensors --data x5.idx --out steps.npy
check "gives sequences" shape steps.npy '64, 5, 4, '
check "a picture of them" ./lengths run steps --load lengths.safetensors --data x7.idx --out steps.png
check "inspect" ./lengths inspect steps --load lengths.safetensors --data x7.idx
check "a size that no data say" ./lengths run noise --load lengths.safetensors --size time=9 --count 2 --out noise.npy
check "is as asked" shape noise.npy '2, 9, 3, '
check "else the largest" sh -c './lengths run noise --load lengths.safetensors --count 2 --out noise.npy'
check "within its bounds" shape noise.npy '2, 64, 3, '
check "which are said" says 64 'time is from 1 to 64' ./lengths run noise --size time=65 --out noise.npy
check "inputs of one length" says 1 'time is 5 for input mask, but 7' ./lengths train --data x=x7.idx --data mask=mask5.idx
check "data within the bounds" says 1 'shape .time, 4., time from 1 to 64, but the file holds 64 examples of shape .65, 4.' \
    ./lengths run steps --data x65.idx --out steps.npy
check "summary says the sizes" says 0 'time up to 64' ./lengths summary

if [ -e "$mnist" ]; then
    check "gdlc builds stacked" "$B/gdlc" "$models/stacked.gdl" -o stacked
    check "stacked trains on MNIST" ./stacked train --data "$mnist" --validation-split 5000 --epochs 1 --history mnist.csv
    check "to a validation loss below 0.2 after an epoch" below 0.2 mnist.csv 5
else
    echo "skipped: there is no $mnist"
fi
finish
