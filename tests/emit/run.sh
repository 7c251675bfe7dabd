#!/bin/sh
# Other forms of a model: `--emit dot` is a drawing whose edges join nodes that it declares; `--emit torch` is Python that compiles,
# and, where PyTorch is installed, computes what the emitted C computes: results, losses, gradients, states (parity.py).
#
#     tests/emit/run.sh [MODEL.gdl...]      all of models/ and of this folder without one
#
# Python and PyTorch are optional: what needs them is skipped where they are missing, with a note.
B=${B:-build}
. tests/options.sh
gdlc=$B/gdlc
[ $# -gt 0 ] || set -- models/*.gdl tests/emit/*.gdl
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0

# report WHAT PROBLEM: PROBLEM is empty when all is well.
report() {
    if [ -z "$2" ]; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "failed: $1: $2"; fi
}

# has_python MODULES: sets `python` to one that has these modules.
has_python() {
    for python in "${PYTHON:-python3}" /usr/bin/python3; do
        "$python" -c "import $1" 2> /dev/null && return
    done
    return 1
}

# library NAME: NAME.so of NAME.c.
library() {
    $CACHED_CC -std=c11 $EMITTED -shared -I"$B/include" $(pkg-config --cflags openblas) -o "$folder/$1.so" "$folder/$1.c" \
        $(pkg-config --libs openblas) -lm
}

for model; do
    name=$(basename "$model" .gdl)
    "$gdlc" "$model" --emit dot > "$folder/$name.dot"
    report "$model" "$(awk '
        /->/ { sub(";", ""); joined[$1]; joined[$3]; next }
        /^ +[nr][0-9]+ \[/ { declared[$1] }
        /^digraph/ { graphs++ }
        /^}/ { for (node in joined) if (!(node in declared)) print node " is not declared"
               split("", joined); split("", declared); graphs-- }
        END { if (NR == 0 || graphs) print "not whole" }' "$folder/$name.dot" 2>&1)"
    report "$model" "$("$gdlc" "$model" --emit torch -o "$folder/$name.py" 2>&1)"
done

if has_python py_compile; then
    for model; do
        report "$model" "$("$python" -m py_compile "$folder/$(basename "$model" .gdl).py" 2>&1)"
    done
else
    echo "note: Python is not installed; the modules of PyTorch are not compiled"
fi

if has_python torch,numpy; then
    names=
    for model; do
        name=$(basename "$model" .gdl)
        report "$model" "$({ "$gdlc" "$model" --parts -o "$folder/$name.c" && "$gdlc" "$model" --emit graph -o "$folder/$name.graph" && library "$name"; } 2>&1)"
        [ -e "$folder/$name.so" ] && names="$names $name"
    done
    "$python" tests/emit/parity.py "$folder" $names > "$folder/log" 2>&1
    sed '$d' "$folder/log"
    result=$(tail -n 1 "$folder/log")
    case $result in
    *" passed, "*" failed") passed=$((passed + ${result%% passed*})) rest=${result#*, } failed=$((failed + ${rest%% failed})) ;;
    *) report "parity.py" "$result" ;;
    esac
else
    echo "note: PyTorch is not installed; emitted C is not compared with it"
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
