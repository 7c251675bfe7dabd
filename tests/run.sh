#!/bin/sh
# Runs every part of the tests, several at a time, and adds up their results. `make test` calls it.
#
#     tests/run.sh [PART...]     PART: a name as printed, such as golden or unit/test_parser, or the folder of several, unit; all without one
#
# A part is: tests/golden.sh; every executable tests/FOLDER/run.sh; and, in folders without a run.sh, every program
# built from tests/FOLDER/test_*.c. A part's result is its last line `N passed, N failed`, or Criterion's synthesis.
# A part that ends with a status and no failures, without a result, or not within PART_SECONDS counts as one failure.
cd "$(dirname "$0")/.." || exit 1
B=${B:-build}
CC=${CC:-cc}
OPENBLAS_NUM_THREADS=1 # the parts share the processor already
export B CC OPENBLAS_NUM_THREADS
logs=$B/tests/log
limit=$(command -v timeout > /dev/null && echo "timeout ${PART_SECONDS:-900}")
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

# The parts, one a line: NAME COMMAND. Those that take the longest come first, so that none of them is left alone at the end.
list_parts() {
    for folder in tests/reference tests/emit tests/models tests/torch tests/threads tests/support tests/trainer tests/*; do
        [ -x "$folder/run.sh" ] && echo "${folder#tests/} $folder/run.sh"
    done | awk '!listed[$1]++'
    [ -x tests/golden.sh ] && echo "golden tests/golden.sh"
    for source in tests/*/test_*.c; do
        [ -e "$source" ] || continue
        [ -x "${source%/*}/run.sh" ] && continue
        name=${source#tests/} && name=${name%.c} && echo "$name $B/tests/$name"
    done
}

# run_part NAME COMMAND: leaves NAME.log, and NAME.result holding `PASSED FAILED SECONDS`.
run_part() {
    log=$logs/$(echo "$1" | tr / -)
    start=$(date +%s)
    $limit "$2" > "$log.log" 2>&1 < /dev/null
    status=$?
    awk -v status=$status -v seconds=$(($(date +%s) - start)) '
        /^[0-9]+ passed, [0-9]+ failed/ { passed = $1; failed = $3; found = 1 }
        /Synthesis: Tested:/ { gsub(/\033\[[0-9;]*m/, ""); n = split($0, f, /[^0-9]+/)
                               passed = f[3]; failed = f[2] - f[3]; found = 1 }
        END { if (!found || (status && !failed)) failed++
              print passed + 0, failed + 0, seconds, status }' "$log.log" > "$log.result"
    read -r passed failed seconds status < "$log.result"
    {
        printf '%-32s %5d passed %3d failed %4d s\n' "$1" "$passed" "$failed" "$seconds"
        if [ "$failed" -gt 0 ]; then
            echo "--- $1 (exit status $status), the end of $log.log:"
            tail -n 60 "$log.log"
            echo "---"
        fi
    } > "$log.report"
    cat "$log.report" # in one piece: other parts print too
}

if [ "${1:-}" = --part ]; then
    run_part "$2" "$3"
    exit 0
fi

rm -rf "$logs" && mkdir -p "$logs" "$B/tests/objects" || exit 1
find "$B/tests/objects" -type f -mtime +2 -exec rm -f {} + # of cached.sh: not used for days
parts=$(list_parts)
for wanted in "$@"; do
    echo "$parts" | grep -q "^$wanted[ /]" || { echo "no test is named $wanted; there are:" $(echo "$parts" | cut -d' ' -f1) >&2; exit 2; }
done
[ $# -gt 0 ] && parts=$(for wanted in "$@"; do echo "$parts" | grep "^$wanted[ /]"; done)
echo "$parts" | xargs -L 1 -P "$jobs" "$0" --part
cat "$logs"/*.result | awk -v expected="$(echo "$parts" | grep -c .)" '
    { passed += $1; failed += $2 }
    END { if (NR < expected) failed += expected - NR
          printf "%d passed, %d failed\n", passed, failed; exit failed > 0 || passed == 0 }'
