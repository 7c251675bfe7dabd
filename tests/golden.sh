#!/bin/sh
# Golden tests: a case is a model beside what gdlc is expected to print for it. The ending says how gdlc is run:
#
#     NAME.err                          gdlc -o nothing.c NAME.gdl fails with status 1 and these diagnostics
#     NAME.ast .graph .kernels .plan .c gdlc --emit ENDING NAME.gdl prints this
#     NAME.summary .memory              gdlc --summary, --memory
#
# Options of a case, such as --recompute, stand in NAME.flags.
#
#     tests/golden.sh [--renew] [FOLDER/NAME...]      all cases without a name; --renew writes what is printed now
#
# A new case starts with an empty file of that ending, renewed and read with care. A model without any of these is imported by
# others. Paths are printed relative to the case's folder.
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
case ${B:=build} in /*) ;; *) B=$root/$B ;; esac
ulimit -t 20 # seconds of one case: a compiler that hangs fails
gdlc=$B/gdlc
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
endings='err ast graph kernels plan c summary memory'
passed=0 failed=0 renew=

# run ENDING MODEL: what is to be compared goes to standard output, the exit status is gdlc's.
run() {
    flags=
    [ -e "${2%.gdl}.flags" ] && flags=$(cat "${2%.gdl}.flags")
    case $1 in
    err) "$gdlc" $flags "$2" -o "$scratch/nothing.c" 2>&1 > /dev/null ;;
    summary | memory) "$gdlc" $flags "--$1" "$2" 2>&1 ;;
    *) "$gdlc" $flags --emit "$1" "$2" 2>&1 ;;
    esac
}

# check CASE ENDING: in the case's folder.
check() {
    expected=$1.$2
    wanted=0
    [ "$2" = err ] && wanted=1
    run "$2" "$1.gdl" > "$scratch/actual"
    status=$?
    if [ -n "$renew" ] && [ $status -eq $wanted ]; then
        cmp -s "$scratch/actual" "$expected" || { cp "$scratch/actual" "$expected" && echo "renewed $expected"; }
    fi
    if [ $status -ne $wanted ]; then
        echo "FAILED ${PWD##*/}/$expected: exit status $status, not $wanted"
    elif ! diff -u "$expected" "$scratch/actual" > "$scratch/diff"; then
        echo "FAILED ${PWD##*/}/$expected: - expected, + printed"
        tail -n +3 "$scratch/diff"
    elif [ -e "$scratch/nothing.c" ]; then
        echo "FAILED ${PWD##*/}/$expected: wrote an output in spite of errors"
        rm -f "$scratch/nothing.c"
    else
        passed=$((passed + 1))
        return
    fi
    failed=$((failed + 1))
}

[ "${1:-}" = --renew ] && renew=yes && shift
[ -x "$gdlc" ] || { echo "there is no $gdlc: build it with make"; exit 1; }
[ $# -gt 0 ] || set -- $(cd "$root/tests" && for model in */*.gdl; do echo "${model%.gdl}"; done)
for case in "$@"; do
    cd "$root/tests/$(dirname "$case")" || exit 1
    for ending in $endings; do
        [ -e "$(basename "$case").$ending" ] && check "$(basename "$case")" $ending
    done
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
