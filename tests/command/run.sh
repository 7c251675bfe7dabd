#!/bin/sh
# The command line of gdlc: exit statuses, messages, and that an output is written whole or not at all.
case ${B:=build} in /*) gdlc=$B/gdlc ;; *) gdlc=$PWD/$B/gdlc ;; esac
models=$PWD/models
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
ulimit -t 20 # seconds of one run: what hangs fails
passed=0 failed=0

# expect STATUS TEXT ARGUMENT...: gdlc must end with that status and print that text.
expect() {
    status=$1 text=$2
    shift 2
    "$gdlc" "$@" > printed 2>&1 < /dev/null
    actual=$?
    if [ $actual -eq "$status" ] && { [ -z "$text" ] || grep -qF -- "$text" printed; }; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED gdlc $*: status $actual, not $status; or it does not print: $text"
        head -n 20 printed
    fi
}

# holds COMMAND...: must succeed.
holds() {
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $*"
    fi
}

# repeated TEXT COUNT: the text so many times.
repeated() { awk -v text="$1" -v count="$2" 'BEGIN { while (count-- > 0) printf "%s", text }'; }

no_temporaries() { [ -z "$(find . -name '*.tmp')" ]; }

echo 'net f: [3] |> dense(2)' > good.gdl
echo 'net f: [3] |> )' > wrong.gdl

expect 0 'Usage: gdlc' --help
expect 0 'gdlc ' --version
expect 0 'layer dense' --prelude
expect 2 'no model is given'
expect 2 'no output is given' good.gdl
expect 2 'one model at a time' good.gdl other.gdl -o out.c
expect 2 'unrecognized option' --unknown good.gdl
expect 2 'the stages are' --emit nothing good.gdl
expect 2 'NAME=VALUE' -D width good.gdl --summary
expect 2 'cblas, all or none' --blas=fast good.gdl -o out.c
expect 2 'the output good.gdl is the model itself' good.gdl -o good.gdl
expect 2 '`float` cannot stand before symbols' good.gdl -o float.c
expect 2 'give a name made of' good.gdl -o out.c --name 'a b'

expect 1 'cannot read missing.gdl: No such file' missing.gdl -o out.c
expect 1 'Is a directory' . -o out.c
expect 1 'cannot write nowhere/out.gdl: No such file' good.gdl --emit ast -o nowhere/out.gdl
expect 1 'No space left' good.gdl --emit ast -o /dev/full

printf 'let width = 2\nnet g: [3] |> dense(width)\n' > sized.gdl
expect 0 'out: [2]' sized.gdl --summary
expect 0 'out: [7]' -D width=3+4 sized.gdl --summary
expect 1 'did you mean `width`' -D widht=5 sized.gdl --summary
expect 1 'expected an expression' -D 'width=)' sized.gdl --summary
mkdir folder
echo 'let size = 5' > folder/shared.gdl
printf 'import "shared.gdl"\nnet g: [3] |> dense(size)\n' > importing.gdl
expect 1 'cannot be read: No such file' importing.gdl --summary
expect 0 'out: [5]' -I folder importing.gdl --summary

echo kept > out.gdl
expect 1 'expected an expression' wrong.gdl --emit ast -o out.gdl
holds grep -q kept out.gdl
expect 0 '' good.gdl --emit ast -o out.gdl
holds grep -q 'net f(x: \[3\]) = x |> dense(2)' out.gdl
expect 0 'net f(x: [3]) = x' good.gdl --emit ast -o /dev/stdout
ln -s printed link
expect 0 'net f(x: [3]) = x' good.gdl --emit ast -o link
holds test -L link
holds no_temporaries

expect 0 '' --prelude -o prelude.gdl
"$gdlc" --prelude > shown.gdl
holds cmp prelude.gdl shown.gdl

# What is read may be a pipe.
holds sh -c '"$1" --emit ast /dev/stdin < good.gdl | grep -q dense' sh "$gdlc"

# Sizes that no text by hand has. Some awks cannot print a zero byte, so dd does.
repeated '(' 10000000 > brackets.gdl
expect 1 'expected a declaration' brackets.gdl -o out.c
{ printf 'let a = ' && cat brackets.gdl; } > nested.gdl
expect 1 'nested too deeply' nested.gdl -o out.c
{ printf 'let a = ' && repeated '-' 1000000; } > signs.gdl
expect 1 'nested too deeply' signs.gdl -o out.c
{ printf 'let a = 1' && repeated ' + 1' 100000; } > chain.gdl
expect 1 'nested too deeply' chain.gdl -o out.c
{ printf 'let a = [1' && repeated ', 1' 100000 && echo ']'; } > list.gdl
expect 0 'let a = [1, 1' --emit ast list.gdl
repeated 'a' 1000000 > name.gdl
expect 1 'expected a declaration' name.gdl -o out.c
dd if=/dev/zero of=zeros.gdl bs=1000000 count=1 2> /dev/null
expect 1 'not a text file' zeros.gdl -o out.c
dd if=/dev/zero bs=1000000 count=70 2> /dev/null | tr '\000' ' ' > large.gdl
expect 1 'File too large' large.gdl -o out.c
dd if="$gdlc" of=program.gdl bs=100000 count=1 2> /dev/null
expect 1 'not a text file' program.gdl -o out.c
holds test ! -e out.c

# Every model is printed as GDL that prints the same.
for model in "$models"/*.gdl; do
    "$gdlc" --emit ast "$model" > once.gdl && "$gdlc" --emit ast once.gdl > twice.gdl
    holds cmp once.gdl twice.gdl
done

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
