#!/bin/sh
# make install and uninstall: the installed compiler finds its runtime, and pkg-config describes it to a program that embeds a model.
B=${B:-build}
CC=${CC:-cc}
temporary=$(mktemp -d) || exit 1
trap 'rm -rf "$temporary"' EXIT
prefix=$temporary/prefix
passed=0 failed=0

# check DESCRIPTION COMMAND...: the command must succeed
check() {
    what=$1
    shift
    if "$@" > "$temporary/log" 2>&1; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "failed: $what" && cat "$temporary/log"; fi
}
embed() {
    "$prefix/bin/gdlc" models/vae.gdl -o "$temporary/vae.c" &&
        $CC -std=c11 $CFLAGS -I"$temporary" examples/interpolation.c "$temporary/vae.c" \
            $(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs gdl) $LDFLAGS -o "$temporary/interpolation"
}

check "make install" ${MAKE:-make} B="$B" CC="$CC" install PREFIX="$prefix"
check "the installed compiler makes a trainer" "$prefix/bin/gdlc" models/pca.gdl -o "$temporary/pca"
check "which runs" "$temporary/pca" summary
check "a program that embeds a model is built with pkg-config" embed
check "make uninstall" ${MAKE:-make} B="$B" CC="$CC" uninstall PREFIX="$prefix"
check "nothing is left" test -z "$(find "$prefix" -type f)"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
