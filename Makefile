# Builds gdlc (the compiler) and libgdl.a (the runtime) into build/. `make help` lists the targets.
#
# Sources are found by wildcard, headers by the compiler's -MMD; a change of compiler, flags or folder rebuilds
# everything (see $(B)/flags). B=FOLDER builds elsewhere: `make sanitize` and `make fuzz` are this Makefile with another B.

B       ?= build
CFLAGS  ?= -O2 -g
PREFIX  ?= /usr/local
PART_SECONDS ?= 900
VERSION := 0.1.0

PKG_CONFIG   ?= pkg-config
RUNTIME_LIBS  = $(shell $(PKG_CONFIG) --libs libpng zlib libcjson) -lm -pthread
BLAS_LIBS     = $(shell $(PKG_CONFIG) --libs openblas)
TEST_LIBS     = $(shell $(PKG_CONFIG) --libs criterion) $(BLAS_LIBS) $(RUNTIME_LIBS) -ldl
INCLUDES     := $(shell $(PKG_CONFIG) --cflags openblas libpng zlib libcjson 2>/dev/null)

STANDARD  = -std=c11 -D_POSIX_C_SOURCE=200809L
say       = $(if $(V),,@echo '  $(1)'; )
WARNINGS  = -Wall -Wextra -Wpedantic -Wshadow $(MORE_WARNINGS) $(if $(WERROR),-Werror)
COMPILE   = $(call say,CC $<)$(CC) $(STANDARD) $(WARNINGS) -DGDLC_VERSION='"$(VERSION)"' $(CFLAGS) $(CPPFLAGS) \
            -Icompiler -Iruntime -I$(B) $(INCLUDES) -MMD -MP -c -o $@ $<

# ── Sources ──────────────────────────────────────────────────────────────────────────────────

# compiler/support/ holds fragments of C that gdlc copies into its output: they are embedded as text, not compiled.
SUPPORT           := $(sort $(wildcard compiler/support/*.c))
COMPILER_SOURCES  := $(filter-out $(SUPPORT),$(sort $(wildcard compiler/*.c compiler/*/*.c)))
GENERATED_SOURCES := $(patsubst compiler/%.l,$(B)/%.c,$(wildcard compiler/*.l)) \
                     $(patsubst compiler/%.y,$(B)/%.c,$(wildcard compiler/*.y)) \
                     $(patsubst compiler/%.gdl,$(B)/%.c,$(wildcard compiler/*.gdl)) $(if $(SUPPORT),$(B)/support.c)
GENERATED_HEADERS := $(patsubst compiler/%.l,$(B)/%.h,$(wildcard compiler/*.l)) \
                     $(patsubst compiler/%.y,$(B)/%.h,$(wildcard compiler/*.y))
RUNTIME_SOURCES   := $(sort $(wildcard runtime/*.c))

COMPILER_OBJECTS  := $(COMPILER_SOURCES:%.c=$(B)/%.o) $(GENERATED_SOURCES:.c=.o)
RUNTIME_OBJECTS   := $(RUNTIME_SOURCES:%.c=$(B)/%.o)

# A test program is a tests/FOLDER/test_*.c together with the folder's other C files.
TEST_SOURCES      := $(sort $(wildcard tests/*/test_*.c))
HELPER_OBJECTS    := $(patsubst %.c,$(B)/%.o,$(filter-out $(TEST_SOURCES),$(sort $(wildcard tests/*/*.c))))
TESTS             := $(TEST_SOURCES:%.c=$(B)/%)

EXAMPLES          := $(B)/examples/garments $(B)/examples/interpolation $(B)/examples/arithmetic \
                     $(B)/examples/signals
BENCH_MODELS      ?= stacked tied denoising sparse_kl vae gan recurrent conv dcgan

# ── Targets for people ───────────────────────────────────────────────────────────────────────

.PHONY: all demo test check random sanitize fuzz bench install uninstall clean help packages tests run-demo FORCE
.DELETE_ON_ERROR:
.SECONDARY:
.SECONDEXPANSION:

all: $(B)/gdlc $(B)/libgdl.a $(B)/include/gdl.h

help:
	@echo 'make            build $(B)/gdlc and $(B)/libgdl.a'
	@echo 'make demo       draw garments, train models/vae.gdl on them for a minute, make pictures'
	@echo 'make test       build and run all tests; the last line is "N passed, N failed"'
	@echo 'make check      the same, without looking for missing packages'
	@echo 'make sanitize   the tests under AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make random     emitted code of RANDOM_GRAPHS=1000 random graphs beside the reference interpreter'
	@echo 'make fuzz       feed the compiler with broken models, each harness for FUZZ_SECONDS=60 (needs clang)'
	@echo 'make bench      the time of a training step beside its matrix products alone and PyTorch; memory; start'
	@echo 'make install    into PREFIX=/usr/local, below DESTDIR; make uninstall takes it away'
	@echo 'make clean      remove $(B)/'
	@echo 'CC, CFLAGS and WERROR=1 (warnings are errors) are heard everywhere; V=1 shows the commands.'

# The packages may be missing when make reads this file, so that what needs them runs in a second make.
test demo: packages
	@$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell getconf _NPROCESSORS_ONLN || echo 2)) $(if $(filter test,$@),check,run-demo)

packages:
	@.ci/packages

check: all tests $(EXAMPLES)
	@B='$(B)' CC='$(CC)' PART_SECONDS='$(PART_SECONDS)' tests/run.sh

tests: $(TESTS)

run-demo: all $(EXAMPLES)
	@B='$(B)' CC='$(CC)' examples/demo.sh

# Tables of times, of processes and of compilations, on the terminal and in $(B)/bench.txt.
bench: all $(B)/tests/bench/bench $(B)/tests/bench/footprint $(B)/examples/garments $(foreach m,$(BENCH_MODELS),$(B)/tests/bench/$m.so $(B)/tests/bench/$m)
	@{ $(B)/tests/bench/bench --peers tests/bench/peers.py $(BENCH_FLAGS) $(foreach m,$(BENCH_MODELS),models/$m.gdl=$(B)/tests/bench/$m.so) && \
	   B='$(B)' CC='$(CC)' tests/bench/footprint.sh $(BENCH_MODELS); } | tee $(B)/bench.txt

RANDOM_GRAPHS ?= 1000
random: all $(B)/tests/reference/test_random
	@B='$(B)' CC='$(CC)' tests/reference/random.sh $$(($(RANDOM_GRAPHS) / 10))

SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
sanitize:
	$(MAKE) B=$(B)/sanitize CFLAGS='-O1 -g $(SANITIZE)' LDFLAGS='$(SANITIZE)' PART_SECONDS=1800 check

FUZZ_SECONDS ?= 60
FUZZ := -fsanitize=fuzzer-no-link,address,undefined
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz: $(FUZZERS)
$(FUZZERS): FORCE
	$(MAKE) B=$(B)/fuzz CC=clang CFLAGS='-O1 -g $(FUZZ)' $(B)/fuzz/$@
	mkdir -p $(B)/fuzz/corpus/$@
	$(B)/fuzz/$@ -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -artifact_prefix=$(B)/fuzz/ \
	    $(B)/fuzz/corpus/$@ $(wildcard models tests/errors)

install: all $(B)/gdl.pc
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include
	install -m 755 $(B)/gdlc $(DESTDIR)$(PREFIX)/bin/
	install -m 644 $(B)/libgdl.a $(DESTDIR)$(PREFIX)/lib/
	install -m 644 $(B)/include/gdl.h $(DESTDIR)$(PREFIX)/include/
	install -m 644 $(B)/gdl.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig/

uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,bin/gdlc lib/libgdl.a include/gdl.h lib/pkgconfig/gdl.pc)

clean:
	rm -rf $(B)

# ── Rules ────────────────────────────────────────────────────────────────────────────────────

# Holds what every object depends on beside its sources; rewritten only when that has changed.
$(B)/flags: FORCE
	@mkdir -p $(B)
	@{ pwd; $(CC) --version; echo '$(STANDARD) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) $(INCLUDES) $(VERSION)'; } > $@.new 2>&1
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# Lists of the archives' members: a source that was added or taken away rebuilds the archive.
$(B)/gdlc.members: MEMBERS = $(COMPILER_OBJECTS)
$(B)/gdl.members: MEMBERS = $(RUNTIME_OBJECTS)
$(B)/%.members: FORCE
	@mkdir -p $(@D)
	@echo '$(MEMBERS)' | cmp -s - $@ || echo '$(MEMBERS)' > $@

ARCHIVE = $(call say,AR $@)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)
$(B)/libgdlc.a: $(filter-out $(B)/compiler/main.o,$(COMPILER_OBJECTS)) $(B)/gdlc.members
	$(ARCHIVE)
$(B)/libgdl.a: $(RUNTIME_OBJECTS) $(B)/gdl.members
	$(ARCHIVE)
$(B)/gdlc: $(B)/compiler/main.o $(B)/libgdlc.a
	$(call say,LD $@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lm
$(B)/include/gdl.h: runtime/gdl.h
	@mkdir -p $(@D)
	@cp $< $@

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(COMPILE)
$(GENERATED_SOURCES:.c=.o): $(B)/%.o: $(B)/%.c $(B)/flags
	$(COMPILE)
$(COMPILER_OBJECTS): | $(GENERATED_HEADERS)
$(RUNTIME_OBJECTS): private MORE_WARNINGS = -Wconversion

$(B)/%.c: compiler/%.y $(B)/flags
	$(call say,BISON $<)bison -Wall -o $@ --header=$(@:.c=.h) $<
$(B)/%.c: compiler/%.l $(B)/flags
	$(call say,FLEX $<)flex -o $@ --header-file=$(@:.c=.h) $<
$(GENERATED_HEADERS): $(B)/%.h: $(B)/%.c ;

# $(call embed,NAME): standard input as `const char NAME[]`, ended by a zero. Octal character constants mean the same
# where char is signed and where it is not, and know no limit of length as string literals do.
embed = { echo 'const char $(1)[] = {' && od -An -v -to1 | awk '{ gsub(/[0-7]+/, "\x27\\\\&\x27,"); print }' && echo '0};'; }
$(B)/%.c: compiler/%.gdl $(B)/flags
	@{ echo '#include <stddef.h>'; $(call embed,$*_text) < $<; echo 'const size_t $*_length = sizeof $*_text - 1;'; } > $@
$(B)/support.c: $(SUPPORT) $(B)/gdlc.members
	@{ echo '#include <stddef.h>'; $(foreach f,$(SUPPORT),$(call embed,support_$(basename $(notdir $(f)))) < $(f); \
	   echo 'const size_t support_$(basename $(notdir $(f)))_length = sizeof support_$(basename $(notdir $(f))) - 1;';) } > $@

# (ANY keeps the % out of the reach of the static pattern.)
ANY := %
$(TESTS): %: %.o $$(filter $$(@D)/$$(ANY),$(HELPER_OBJECTS)) $(B)/libgdlc.a $(B)/libgdl.a
	$(call say,LD $@)$(CC) $(CFLAGS) $(LDFLAGS) -rdynamic -o $@ $^ $(TEST_LIBS)
$(B)/examples/garments: $(B)/examples/wardrobe.o $(B)/examples/canvas.o
$(B)/examples/%: $(B)/examples/%.o $(B)/libgdl.a
	$(call say,LD $@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) $(RUNTIME_LIBS)

# A model as C, for programs that embed it. (gdlc writes NAME.h beside NAME.c; models may import each other.)
$(B)/models/%.c: models/%.gdl $(wildcard models/*.gdl) $(B)/gdlc
	@mkdir -p $(@D)
	$(call say,GDLC $<)$(B)/gdlc $< -o $@
$(B)/models/%.o: $(B)/models/%.c
	$(COMPILE) $(FAST) -Wconversion
# The model of an example stands beside it.
$(B)/models/%.c: examples/%.gdl $(B)/gdlc
	@mkdir -p $(@D)
	$(call say,GDLC $<)$(B)/gdlc $< -o $@
$(B)/examples/interpolation.o $(B)/examples/arithmetic.o $(B)/examples/signals.o: CPPFLAGS += -I$(B)/models
$(B)/examples/interpolation.o: $(B)/models/vae.c
$(B)/examples/interpolation: $(B)/models/vae.o
$(B)/examples/arithmetic.o: $(B)/models/conv_vae.c
$(B)/examples/arithmetic: $(B)/models/conv_vae.o
$(B)/examples/signals.o: $(B)/models/waves.c
$(B)/examples/signals: $(B)/models/waves.o $(B)/examples/canvas.o
$(EXAMPLES): LDLIBS = $(BLAS_LIBS)
FAST ?= -O3 -march=native -ffp-contract=fast -fno-trapping-math

$(B)/tests/bench/bench: $(addprefix $(B)/tests/bench/,bench.o peer.o products.o) $(B)/libgdlc.a $(B)/libgdl.a
	$(call say,LD $@)$(CC) $(CFLAGS) $(LDFLAGS) -rdynamic -o $@ $^ $(BLAS_LIBS) $(RUNTIME_LIBS) -ldl
$(B)/tests/bench/footprint: $(B)/tests/bench/footprint.o
	$(call say,LD $@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^
$(B)/tests/bench/%.so: $(B)/models/%.c $(B)/include/gdl.h
	@mkdir -p $(@D)
	$(call say,CC $<)$(CC) $(STANDARD) $(CFLAGS) $(FAST) -I$(B)/include $(INCLUDES) -fPIC -shared -o $@ $< $(BLAS_LIBS) -lm
$(addprefix $(B)/tests/bench/,$(notdir $(basename $(wildcard models/*.gdl)))): $(B)/tests/bench/%: models/%.gdl $(B)/gdlc $(B)/libgdl.a
	@mkdir -p $(@D)
	$(call say,GDLC $@)CC='$(CC)' $(B)/gdlc $< -o $@

$(FUZZERS:%=$(B)/%): $(B)/%: $(B)/tests/fuzz/%.o $(B)/libgdlc.a
	$(call say,LD $@)$(CC) $(CFLAGS) -fsanitize=fuzzer -o $@ $^ -lm

$(B)/gdl.pc: FORCE
	@printf '%s\n' 'prefix=$(PREFIX)' 'Name: gdl' 'Description: runtime of models compiled by gdlc' 'Version: $(VERSION)' \
	    'Requires: libpng zlib libcjson openblas' 'Libs: -L$${prefix}/lib -lgdl -lm -pthread' 'Cflags: -I$${prefix}/include' > $@

-include $(shell test -d $(B) && find $(B) -name '*.d' -not -path '$(B)/sanitize/*' -not -path '$(B)/fuzz/*')
