#!/bin/sh
# Emitted C from a user's side: it compiles without a warning with every compiler there is, keeps to its promises, and needs
# only what it says.
case ${B:=build} in /*) ;; *) B=$PWD/$B ;; esac
CC=${CC:-cc}
here=$PWD/tests/emitted
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
warnings='-std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror'
includes="-I$B/include $(pkg-config --cflags openblas)"
passed=0 failed=0

# holds NAME COMMAND...: must succeed; what it prints is shown if it does not.
holds() {
    what=$1
    shift
    if "$@" > "$scratch/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $what"
        head -n 20 "$scratch/log"
    fi
}

# counts NAME PROGRAM: adds up the program's last line.
counts() {
    "$2" > "$scratch/log" 2>&1
    result=$(tail -n 1 "$scratch/log")
    case $result in
    *" passed, "*" failed")
        grep -v ' passed, ' "$scratch/log"
        passed=$((passed + ${result%% passed*})) rest=${result#*, }
        failed=$((failed + ${rest%% failed})) ;;
    *) failed=$((failed + 1)) && echo "FAILED $1 ended early" && cat "$scratch/log" ;;
    esac
}

# number_before TEXT FILE: wherever comments break their lines.
number_before() { tr -s '\n *' ' ' < "$2" | grep -o "[0-9]* $1" | cut -d ' ' -f 1; }

# variant NAME FLAGS LIBRARIES OPTIONS...: the small model emitted with the options, and used by programs/use.c.
variant() {
    name=$1 flags=$2 libraries=$3
    shift 3
    mkdir "$scratch/$name"
    holds "gdlc $*" "$B/gdlc" "$here/small.gdl" "$@" -o "$scratch/$name/small.c"
    floats=$(number_before 'floats of all tensors' "$scratch/$name/small.h")
    gradients=$(number_before 'floats in the order' "$scratch/$name/small.h")
    case " $* " in *" --parts "*) flags="$flags -DPARTS" ;; esac
    for compiler in $compilers; do
        holds "$compiler, $name" $compiler $warnings -O2 $flags -c "$scratch/$name/small.c" -o "$scratch/$name/small.o"
        holds "$compiler, use of $name" $compiler $warnings -Wno-missing-prototypes -O1 $flags -I"$scratch/$name" -DTENSORS="$floats" -DPARAMETERS="$gradients" \
            -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc -o "$scratch/$name/use" "$here/programs/use.c" \
            "$scratch/$name/small.o" $libraries -lm -lpthread
        counts "$compiler, $name" "$scratch/$name/use"
    done
}

# profiled NAME FLAGS LIBRARIES OPTIONS...: the same with --profile, by programs/profile.c.
profiled() {
    name=$1 flags=$2 libraries=$3
    shift 3
    mkdir "$scratch/$name"
    holds "gdlc --profile $*" "$B/gdlc" --profile "$here/small.gdl" "$@" -o "$scratch/$name/small.c"
    for compiler in $compilers; do
        holds "$compiler, $name" $compiler $warnings -O1 $flags -I"$scratch/$name" -D_POSIX_C_SOURCE=200809L -o "$scratch/$name/use" \
            "$here/programs/profile.c" "$scratch/$name/small.c" $libraries -lm
        counts "$compiler, $name" "$scratch/$name/use"
    done
}

undefined() { nm -u "$1" | awk '{ print $2 }' | grep -v '^_' | sort -u | tr '\n' ' '; }

# needs NAME OBJECT SYMBOLS: the object needs no others.
needs() {
    for symbol in $(undefined "$2"); do
        case " $3 " in *" $symbol "*) ;; *) echo "needs $symbol" && return 1 ;; esac
    done
}

compilers=$CC
same_compiler() { [ "$(command -v "$1" | xargs readlink -f)" = "$(command -v "$2" | xargs readlink -f)" ]; }
for compiler in gcc clang; do
    command -v $compiler > "$scratch/log" && ! same_compiler "$CC" $compiler && compilers="$compilers $compiler"
done
blas=$(pkg-config --libs openblas)
export OPENBLAS_NUM_THREADS=1

variant cblas "$includes" "$blas"
variant plain "-I$B/include" "" --blas=none
variant parts "$includes" "$blas" --parts
variant standalone "-DSTANDALONE $(pkg-config --cflags openblas)" "$blas" --standalone
variant alone "-DSTANDALONE" "" --standalone --blas=none --parts
profiled counted "$includes" "$blas"
profiled counted_alone "-DSTANDALONE" "" --standalone --blas=none
library='memset memcpy malloc free aligned_alloc sqrt sqrtf powf floorf nearbyintf'
holds "--blas=none needs only the C library" needs plain "$scratch/plain/small.o" "$library"
holds "--standalone needs only BLAS" needs standalone "$scratch/standalone/small.o" "$library cblas_sgemm cblas_sgemv"
"$B/gdlc" models/stacked.gdl --standalone -o "$scratch/stacked.c"
threads='pthread_create pthread_join pthread_sigmask sigfillset fegetenv fesetenv calloc
    pthread_mutex_init pthread_mutex_lock pthread_mutex_unlock pthread_mutex_destroy
    pthread_cond_init pthread_cond_wait pthread_cond_broadcast pthread_cond_destroy'
holds "stacked, standalone" $CC $warnings -O2 $(pkg-config --cflags openblas) -c "$scratch/stacked.c" -o "$scratch/stacked.o"
holds "--standalone needs only BLAS and threads" needs stacked "$scratch/stacked.o" "$library cblas_sgemm cblas_sgemv $(echo $threads)"
holds "the header says how many threads there can be" [ "$(number_before 'for a larger one' "$scratch/stacked.h")" = \
    "$(sed -n 's/.*support_most_threads = \([0-9]*\).*/\1/p' "$scratch/stacked.c")" ]
if grep -n 'gdl\.h\|gdl_' "$scratch/alone/small.c" "$scratch/alone/small.h"; then failed=$((failed + 1)); else passed=$((passed + 1)); fi

# The same input gives the same bytes, wherever it is compiled.
mkdir "$scratch/a" "$scratch/b"
for folder in a b; do cp "$here/small.gdl" "$scratch/$folder" && (cd "$scratch/$folder" && "$B/gdlc" small.gdl -o small.c); done
holds "the same C twice" diff -r "$scratch/a" "$scratch/b"

# Two models, and two copies of one, link into a program.
for name in one two; do "$B/gdlc" "$here/small.gdl" -o "$scratch/$name.c"; done
holds "two models compile" $CC $warnings $includes -I"$scratch" -o "$scratch/both" "$here/programs/two.c" "$scratch/one.c" "$scratch/two.c" $blas -lm
counts "two models" "$scratch/both"

# One emitted function for sequences of every length, in both kinds of code.
for name in lengths lengths_alone; do
    case $name in *_alone) options="--standalone --blas=none" flags=-DSTANDALONE ;; *) options= flags=$includes ;; esac
    mkdir "$scratch/$name"
    holds "gdlc $options lengths.gdl" "$B/gdlc" $options "$here/lengths.gdl" -o "$scratch/$name/lengths.c"
    holds "$name compiles" $CC $warnings -O2 $flags -I"$scratch/$name" -o "$scratch/$name/use" "$here/programs/lengths.c" \
        "$scratch/$name/lengths.c" $blas -lm
    counts "$name" "$scratch/$name/use"
done

# A number that is none is not lost, whatever the width of vectors.
"$B/gdlc" --standalone --blas=none "$here/nans.gdl" -o "$scratch/nans.c"
for compiler in $compilers; do
    for width in "" "-mavx -mno-avx2" "-mavx2 -mfma" "-march=native"; do
        echo 'int main(void) { return !__builtin_cpu_supports("avx2"); }' > "$scratch/avx.c"
        case $width in -mavx*) $CC -o "$scratch/avx" "$scratch/avx.c" > "$scratch/log" 2>&1 && "$scratch/avx" || continue ;; esac
        holds "$compiler, nans, $width" $compiler $warnings -O2 $width -I"$scratch" -o "$scratch/nans" "$here/programs/nans.c" "$scratch/nans.c" -lm -lpthread
        counts "$compiler, nans, $width" "$scratch/nans"
    done
done

# Loops of layers of the same sizes differ in names only, and are the same function, unless they compute something else. (The first layer's
# is in place, the last one's result is the caller's: those are functions of their own.)
loops() {
    printf 'net deep: [40] |> dense(40, tanh) |> dense(40, %s) |> dense(40, %s) |> dense(40, tanh)\n' "$1" "$2" > "$scratch/deep.gdl"
    "$B/gdlc" "$scratch/deep.gdl" --emit c | grep -c 'void loop_deep_'
}
holds "loops alike are one function" [ "$(loops tanh tanh)" -eq 3 ]
holds "others are not" [ "$(loops tanh sigmoid)" -eq 4 ]

holds "--memory says for which length" sh -c '"$1" --memory "$2" | grep -qx "with time of 64"' - "$B/gdlc" "$here/lengths.gdl"

# All models, and names that C uses itself: no warning from the second compiler (reference/run.sh tries the first), and headers that C++ reads.
for model in models/*.gdl "$here/names.gdl" "$here/lengths.gdl"; do
    name=$(basename "$model" .gdl)
    holds "gdlc $model" "$B/gdlc" "$model" -o "$scratch/$name.c"
    if command -v clang > "$scratch/log"; then holds "clang, $model" clang $warnings $includes -fsyntax-only "$scratch/$name.c"; fi
    if command -v c++ > "$scratch/log"; then holds "C++, $model" c++ -x c++ -Wall -Wextra -Wpedantic -Werror -I"$B/include" -fsyntax-only "$scratch/$name.h"; fi
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
