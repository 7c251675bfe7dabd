#!/bin/sh
# The example programs and the demo, run as a user would run them; and the README's example.
B=${B:-build}
. tests/options.sh
temporary=$(mktemp -d) || exit 1
trap 'rm -rf "$temporary"' EXIT
passed=0 failed=0

# check DESCRIPTION COMMAND...: the command must succeed
check() {
    what=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "failed: $what"; fi
}
fails() { ! "$@"; }
# bytes FILE.gz FROM COUNT: as hexadecimal digits
bytes() { gzip -dc "$1" | tail -c +"$(($2 + 1))" | head -c "$3" | od -An -v -tx1 | tr -d ' \n'; }
bytes_of_png() { tail -c +17 "$1" | head -c 8 | od -An -v -tx1 | tr -d ' \n'; } # width and height
is() { [ "$1" = "$2" ] || { echo "expected $2, found $1"; false; }; }

garments() { "$B/examples/garments" "$@" 2> "$temporary/errors"; }
images=train-images-idx3-ubyte.gz
labels=train-labels-idx1-ubyte.gz

check "garments draws" garments "$temporary/a" --count 600 --sheet "$temporary/sheet.png"
check "the header of the images is IDX's" is "$(bytes "$temporary/a/$images" 0 16)" 00000803000002580000001c0000001c
check "the header of the labels is IDX's" is "$(bytes "$temporary/a/$labels" 0 8)" 0000080100000258
check "there are as many pixels as the header says" is "$(gzip -dc "$temporary/a/$images" | wc -c | tr -d ' ')" $((16 + 600 * 784))
check "a sixth is for tests" is "$(bytes "$temporary/a/t10k-labels-idx1-ubyte.gz" 4 4)" 00000064
check "all ten classes appear, and no other" is \
    "$(bytes "$temporary/a/$labels" 8 600 | sed 's/../&\n/g' | sort -u | tr -d '\n')" 00010203040506070809
check "no picture is empty" is "$(gzip -dc "$temporary/a/$images" | tail -c +17 | od -An -v -w784 -tu1 |
    awk '{ sum = 0; for (i = 1; i <= NF; i++) sum += $i; if (sum < 5000) print NR }')" ""
garments "$temporary/b" --count 600
check "the same seed draws the same" cmp "$temporary/a/$images" "$temporary/b/$images"
garments "$temporary/c" --count 60
check "fewer pictures are the beginning of more" is "$(bytes "$temporary/c/$images" 16 47040 | cksum)" "$(bytes "$temporary/a/$images" 16 47040 | cksum)"
garments "$temporary/d" --count 600 --seed 2
check "another seed draws others" fails cmp -s "$temporary/a/$images" "$temporary/d/$images"
garments "$temporary/e" --count 6 --size 32
check "--size 32 has 32 pixels on each side" is "$(bytes "$temporary/e/$images" 8 8)" 0000002000000020
check "the contact sheet is a PNG" is "$(head -c 4 "$temporary/sheet.png" | od -An -tx1 | tr -d ' \n')" 89504e47
check "a bad count is refused" fails garments "$temporary/f" --count many
check "and the message says what is wanted" grep -q 'takes a number from 1 to' "$temporary/errors"
check "a folder that cannot be made is an error" fails garments /dev/null/x
check "and the message says why" grep -q 'Not a directory' "$temporary/errors"

codings=$temporary/conv_vae.safetensors
train_codings() {
    CC=$CACHED_CC CFLAGS="$EMITTED $CFLAGS" "$B/gdlc" models/conv_vae.gdl -o "$temporary/conv_vae" &&
        "$temporary/conv_vae" train --data "$temporary/a/$images" --limit 128 --epochs 1 --save "$codings" 2> "$temporary/errors"
}
arithmetic() { "$B/examples/arithmetic" "$@" 2> "$temporary/errors"; }
check "a model of codings trains" train_codings
check "arithmetic with its codings" arithmetic "$codings" "$temporary/a/$images" "$temporary/a/$labels" "$temporary/arithmetic.png"
check "gives ten rows of eleven pictures" is "$(bytes_of_png "$temporary/arithmetic.png")" 0000014c0000012e
check "pictures with the labels of others are refused" fails arithmetic "$codings" "$temporary/c/$images" "$temporary/a/$labels" x.png
check "and the message names both" grep -q "$temporary/c/$images.*$temporary/a/$labels\|$temporary/a/$labels.*$temporary/c/$images" "$temporary/errors"
"$B/examples/garments" "$temporary/few" --count 6 > "$temporary/errors" 2>&1
check "a class without pictures is an error" fails arithmetic "$codings" "$temporary/few/$images" "$temporary/few/$labels" x.png
check "and the message says which" grep -q 'there is no picture of class' "$temporary/errors"

signals() { "$B/examples/signals" "$@" > "$temporary/table" 2> "$temporary/errors"; }
check "signals trains on series of different lengths" signals "$temporary/signals.png" 20
check "and draws them: two rows of six, twice" is "$(bytes_of_png "$temporary/signals.png")" "$(printf '%08x%08x' 590 202)"
check "padding changes nothing" grep -q '^0 of 768 errors change' "$temporary/table"
check "a bad number of iterations is refused" fails signals "$temporary/signals.png" many

readme_model() { awk '/^```$/ { if (inside) exit; inside = 1; next } inside' README.md; }
check "the model that README.md shows is models/vae.gdl" is "$(readme_model | cksum)" "$(cksum < models/vae.gdl)"

# The lines of C that README.md shows, in a main that has what they use, compiled as README.md says.
readme_lines() { awk '/^```$/ { inside = 0 } inside; /^```c$/ { inside = 1 }' README.md; }
readme_program() {
    echo '#include <stdio.h>'
    readme_lines | grep '^#'
    echo 'int main(void) { static float images[640][784], mean[10], log_var[10]; const size_t count = 640;'
    readme_lines | grep -v '^#'
    echo '}'
}
readme_command() { sed -n "s|^    \(cc .*\)|\1|p" README.md | sed "s|^cc|${CC:-cc} $CFLAGS|; s|build/|$(cd "$B" && pwd)/|"; }
host() {
    readme_program > "$temporary/program.c" && "$B/gdlc" models/vae.gdl -o "$temporary/vae.c" &&
        (command=$(readme_command) && cd "$temporary" && sh -c "$command") && "$temporary/program"
}
check "the C program of README.md compiles as it says, and trains" is "$(host | grep -c '^loss 0')" 5

demo() { DEMO=$temporary/demo COUNT=1200 examples/demo.sh 1 > "$temporary/demo.log" 2>&1 || { cat "$temporary/demo.log"; false; }; }
check "the demo runs" demo
for picture in garments reconstructions generated interpolation; do
    check "the demo made $picture.png" test -s "$temporary/demo/$picture.png"
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
