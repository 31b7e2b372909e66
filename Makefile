# leadline: the whole build on one page.
#
# Sources are found by wildcard: src/LAYER/**/*.c and *.cc become lib/LAYER.a, src/cmd plus every archive becomes the
# program. Nothing is written outside $(BUILD). Which archives a layer's unit tests are linked with comes from the layer
# table in ARCHITECTURE.md, by way of tools/check-layers.

##@ Variables (make NAME=value)

BUILD   ?= build# ## where products go; variants get a directory of their own below it
PREFIX  ?= /usr/local# ## make install: below which directory
DESTDIR ?=# ## make install: staging directory, for packages
SAN     ?=# ## address,undefined or thread: sanitizers
FUZZ    ?=# ## 1: instrumented for libFuzzer, with clang
LTO     ?=# ## 1: link-time optimisation
MALLOC  ?= libc# ## libc or jemalloc
WERROR  ?=# ## 1: warnings are errors (CI=true sets it too)
L       ?=# ## make unit: only this layer, e.g. L=spool
T       ?=# ## make unit: only programs whose path contains this
F       ?=# ## make fuzz, make fuzz-corpus: only this target, e.g. F=prom_text
FUZZ_SECONDS ?= 30# ## make fuzz: how long each target runs
V       ?=# ## 1: show commands

VERSION := 0.1.0

ifneq ($(FUZZ),)
CC  := clang
CXX := clang++
endif
ifeq ($(origin CXX),default)
CXX := $(if $(findstring clang,$(CC)),$(patsubst clang%,clang++%,$(CC)),g++)
endif
ifeq ($(origin CC),default)
CC := gcc
endif

empty :=
space := $(empty) $(empty)
comma := ,
variant := $(strip $(if $(SAN),san-$(SAN)) $(if $(FUZZ),fuzz) $(if $(LTO),lto) $(if $(filter jemalloc,$(MALLOC)),jemalloc) \
	$(if $(FUZZ),,$(if $(findstring clang,$(CC)),clang)))
O := $(BUILD)$(if $(variant),/$(subst $(space),-,$(variant)))

# ---- flags -----------------------------------------------------------------------------------------------------------

packages := libuv libcurl libmicrohttpd openssl yaml-0.1 libzstd libdeflate zlib re2 libcares expat
machine  := $(shell uname -m)

# Asked once a build directory and list: pkg-config costs more than the rest of an empty build.
ifneq ($(filter-out help clean format check demo deps deps-build man test,$(or $(MAKECMDGOALS),all)),)
# (An -include of a file that is not there yet would make it missing for the whole run.)
ifneq ($(shell sed -n 's/^packages_asked := //p' $(O)/packages.mk 2>/dev/null),$(packages))
$(shell mkdir -p $(O))
ifneq ($(shell pkg-config --exists $(packages) && echo yes),yes)
$(error Libraries are missing: run `make deps`, or look at `pkg-config --print-errors --exists $(packages)`)
endif
$(shell { echo "package_cflags := $$(pkg-config --cflags $(packages))"; \
	  echo "package_libs := $$(pkg-config --libs $(packages))"; echo "packages_asked := $(packages)"; } >$(O)/packages.mk)
endif
include $(O)/packages.mk
endif

warnings := -Wall -Wextra -Wshadow -Wvla -Wformat=2 -Wundef
c_only   := -std=gnu17 -Wstrict-prototypes -Wmissing-prototypes
cxx_only := -std=c++17 -fno-exceptions
harden   := -fstack-protector-strong -fPIE
ifneq ($(filter x86_64 i686,$(machine)),)
harden   += -fcf-protection
endif
ifeq ($(machine),aarch64)
harden   += -mbranch-protection=standard
endif

common := -O2 -g -fvisibility=hidden -Isrc -D_GNU_SOURCE $(package_cflags) $(warnings) $(harden)
ld     := -pie -Wl,-z,relro,-z,now -Wl,--as-needed

ifneq ($(filter true 1,$(CI) $(WERROR)),)
common += -Werror
endif
ifneq ($(SAN)$(FUZZ),)
common += -fno-omit-frame-pointer -DLEADLINE_SANITIZED=1
else
common += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
ifneq ($(SAN),)
common += -fsanitize=$(SAN) -fno-sanitize-recover=all
ld     += -fsanitize=$(SAN)
endif
ifneq ($(FUZZ),)
common += -fsanitize=fuzzer-no-link,address
ld     += -fsanitize=fuzzer,address
endif
ifneq ($(LTO),)
common += -flto=auto
ld     += -flto=auto -O2
endif
libs := $(package_libs) -lsnappy -lgnutls -lcrypt -lpthread -lm $(if $(filter jemalloc,$(MALLOC)),-ljemalloc)

compile_c   = $(CC) $(c_only) $(common) $(CFLAGS)
compile_cxx = $(CXX) $(cxx_only) $(common) $(CXXFLAGS)
link        = $(CXX) $(common) $(ld) $(LDFLAGS)

quiet := $(if $(V),,@)
say    = $(if $(V),,@printf '  %-5s %s\n' $(1) $(patsubst $(O)/%,%,$@))

# ---- sources ---------------------------------------------------------------------------------------------------------

walk    = $(foreach d,$(wildcard $(1)/*),$(if $(wildcard $(d)/.),$(call walk,$(d)),$(filter %.c %.cc,$(d))))
layers := $(filter-out cmd,$(notdir $(patsubst %/.,%,$(wildcard src/*/.))))
sources_of = $(sort $(call walk,src/$(1)))
objects_of = $(patsubst %,$(O)/obj/%.o,$(basename $(call sources_of,$(1))))
cmd_objects := $(call objects_of,cmd)

test_sources := $(sort $(foreach s,$(call walk,tests/unit),$(if $(filter test_%.c,$(notdir $(s))),$(s))))
test_wanted  := $(foreach s,$(test_sources),$(if $(if $(L),$(filter tests/unit/$(L)/%,$(s)),1),$(if $(if $(T),$(findstring $(T),$(s)),1),$(s))))
test_programs = $(patsubst tests/unit/%.c,$(O)/unit/%,$(test_wanted))

fuzz_names := $(sort $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))
fuzz_wanted := $(if $(F),$(filter $(F),$(fuzz_names)),$(fuzz_names))

##@ Targets

.PHONY: all
all: $(O)/leadline ## the program (the default): build/leadline

$(O)/leadline: $(cmd_objects) $(layers:%=$(O)/lib/%.a)
	$(call say,link)
	$(quiet)$(link) -o $@ $(cmd_objects) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(libs)

define layer_rules
$(O)/lib/$(1).a: $(call objects_of,$(1)) $(O)/sources-$(1)
	$$(call say,ar)
	$$(quiet)mkdir -p $$(@D) && rm -f $$@ && ar rcsD $$@ $$(filter %.o,$$^)
# A list of the archive's members, touched only when it changes: a removed source must leave the archive.
$(O)/sources-$(1): force
	@mkdir -p $$(@D); echo '$(call sources_of,$(1))' | cmp -s - $$@ || echo '$(call sources_of,$(1))' >$$@
endef
$(foreach l,$(layers),$(eval $(call layer_rules,$(l))))

# Every object is made again when the commands that make it change.
flags := $(compile_c) $(compile_cxx) $(VERSION)
$(O)/flags: force
	@mkdir -p $(@D); echo '$(flags)' | cmp -s - $@ || echo '$(flags)' >$@

$(O)/obj/src/cmd/%.o: common += -DLEADLINE_VERSION='"$(VERSION)"' -DLEADLINE_REVISION='"$(revision)"'
revision = $(shell git rev-parse --short=12 HEAD 2>/dev/null)

$(O)/obj/%.o: %.c $(O)/flags
	$(call say,cc)
	$(quiet)mkdir -p $(@D) && $(compile_c) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<
$(O)/obj/%.o: %.cc $(O)/flags
	$(call say,c++)
	$(quiet)mkdir -p $(@D) && $(compile_cxx) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<
-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)

# ---- unit tests ------------------------------------------------------------------------------------------------------

.PHONY: unit unit-programs
unit: ## build and run the unit tests [L=layer] [T=substring] [SAN=...]
	$(if $(V),+,+@)$(MAKE) --no-print-directory -k unit-programs || true
	$(quiet)tools/run-unit --root $(O)/unit $(test_programs)

unit-programs: $(test_programs)

# Sources beside the tests that are not named test_* are shared by the tests of their layer.
test_shared = $(patsubst %.c,$(O)/obj/%.o,$(foreach s,$(call walk,tests/unit/$(1)),$(if $(filter test_%,$(notdir $(s))),,$(s))))
ifneq ($(filter unit unit-programs,$(MAKECMDGOALS)),)
define test_rules
$(patsubst tests/unit/%.c,$(O)/unit/%,$(filter tests/unit/$(1)/%,$(test_sources))): $(O)/unit/%: $(O)/obj/tests/unit/%.o \
		$(call test_shared,$(1)) $(patsubst %,$(O)/lib/%.a,$(2)) $(if $(filter cmd,$(1)),$(filter-out %/main.o,$(cmd_objects)))
	$$(call say,link)
	$$(quiet)mkdir -p $$(@D) && $$(link) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $$(libs) -lcmocka
endef
# tools/check-layers --link prints lines such as `net:base,loop,net,wire`.
$(foreach r,$(shell tools/check-layers --link),$(eval layer_and_use := $(subst :, ,$(r))) \
	$(eval $(call test_rules,$(word 1,$(layer_and_use)),$(filter $(layers),$(subst $(comma), ,$(word 2,$(layer_and_use)))))))
endif
$(O)/obj/tests/%.o: common += -Itests

# ---- fuzzing ---------------------------------------------------------------------------------------------------------

.PHONY: fuzz fuzz-corpus fuzz-programs
fuzz-corpus: ## replay tests/fuzz/corpus through every fuzz target under ASan and UBSan [F=name]
	$(if $(V),+,+@)$(MAKE) --no-print-directory -k SAN=address,undefined fuzz-programs || true
	$(quiet)tools/run-unit --corpus tests/fuzz/corpus $(fuzz_wanted:%=$(BUILD)/san-address,undefined/fuzz/%)

fuzz: ## run libFuzzer on every fuzz target [F=name] [FUZZ_SECONDS=30]
	$(if $(V),+,+@)$(MAKE) --no-print-directory FUZZ=1 fuzz-programs
	$(quiet)set -e; for f in $(fuzz_wanted); do echo "== $$f"; mkdir -p $(BUILD)/fuzz/found/$$f tests/fuzz/corpus/$$f; \
	  $(BUILD)/fuzz/fuzz/$$f -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(BUILD)/fuzz/found/$$f- -print_final_stats=1 \
	  $(BUILD)/fuzz/found/$$f tests/fuzz/corpus/$$f; done

fuzz-programs: $(fuzz_wanted:%=$(O)/fuzz/%)

$(O)/fuzz/%: $(O)/obj/tests/fuzz/fuzz_%.o $(if $(FUZZ),,$(O)/obj/tests/fuzz/replay.o) $(layers:%=$(O)/lib/%.a)
	$(call say,link)
	$(quiet)mkdir -p $(@D) && $(link) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(libs)
$(O)/obj/tests/fuzz/%.o: c_only += -Wno-missing-prototypes

# ---- everything else -------------------------------------------------------------------------------------------------

.PHONY: test check format compdb
test: ## everything: deps, program, unit tests, sanitizers, corpora, check, end to end; last line: N passed, N failed, N skipped
	$(quiet)MAKE='$(MAKE)' BUILD='$(BUILD)' tools/run-tests

check: ## who includes whom, and the house style
	$(quiet)tools/check-layers; layers=$$?; tools/check-style && exit $$layers

format: ## run clang-format over src and tests
	$(quiet)find src tests -name '*.[ch]' -o -name '*.cc' | xargs -r clang-format -i

compdb: ## compile_commands.json, for editors and clang-tidy
	$(if $(V),+,+@)tools/compdb $(MAKE) BUILD=$(BUILD) >$(O)/compile_commands.json
	$(quiet)cp $(O)/compile_commands.json compile_commands.json

.PHONY: deps deps-build
deps: ## install what the build, the tests and the demo need (packages.txt, Python, the peers)
	$(quiet)tools/deps all
deps-build: ## install only what the build needs
	$(quiet)tools/deps build

.PHONY: demo bench chaos conformance
demo: ## a real exporter, leadline and a real store on this machine, to look at [DURATION=seconds]
	$(quiet)tools/deps demo
	$(quiet)$(MAKE) --no-print-directory -j$(shell nproc) all
	$(quiet)DURATION=$(DURATION) tools/demo $(O)/leadline
bench: $(O)/leadline ## leadline beside its peers: CPU, memory, bytes
	$(quiet)tests/bench/run $(O)/leadline
chaos: $(O)/leadline ## kill, stall and refuse at random; the ledger must balance
	$(quiet)tests/chaos/run $(O)/leadline
conformance: $(O)/leadline ## the published conformance suites
	$(quiet)tests/conformance/run $(O)/leadline

man_sources := $(wildcard docs/man/*.scd)
man_pages   := $(patsubst docs/man/%.scd,$(O)/man/%,$(man_sources))
.PHONY: man install clean help
man: $(man_pages) ## the manual pages, by scdoc
$(O)/man/%: docs/man/%.scd
	$(call say,man)
	$(quiet)mkdir -p $(@D) && scdoc <$< >$@

install: $(O)/leadline $(man_pages) ## install the program and its manual pages [DESTDIR=] [PREFIX=]
	install -D -m 0755 $(O)/leadline $(DESTDIR)$(PREFIX)/bin/leadline
	set -e; for m in $(man_pages); do install -D -m 0644 $$m $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$${m##*/}; done

clean: ## remove what was built
	rm -rf $(BUILD) compile_commands.json

help: ## this text
	@awk 'BEGIN {FS = "## "} /^##@ / {printf "\n%s\n", substr($$0, 5); next} \
	  /^[a-zA-Z_]+ *\?=.*## / {split($$1, w, " "); printf "  %-14s %s\n", w[1], $$2; next} \
	  /^[a-z-]+:.*## / {split($$1, w, ":"); printf "  %-14s %s\n", w[1], $$2}' Makefile

.PHONY: force
force:
.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
