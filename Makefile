# Every target does the set-up it needs; `make help` lists them. The work is in scripts/.
#
# Variables: CPU=max|neoverse-n2|... MEM=512M GIC=2|3 EL2=1 SMP=1 TIMEOUT=120 (seconds) V=1 (show commands)
#   GRANULE=4k|16k|64k   pages and blocks: 4 KiB and 64 KiB, 16 KiB and 2 MiB, 64 KiB and 2 MiB
#   APPEND="..."  the kernel's command line, for example pleat.batch=off
#   ARGS="..."    what init runs instead of the storm, for example "utest , echo hello"

ifneq ($(filter-out 4k 16k 64k,$(GRANULE)),)
$(error GRANULE=$(GRANULE): a granule is 4k, 16k or 64k)
endif

export CPU MEM GIC EL2 SMP TIMEOUT V APPEND ARGS BOOT MUTANTS GRANULE ROOTFS RUN BUSYBOX ONLY UPDATE SEED CALLS PROCS
# A shell may have a SECONDS of its own.
export FUZZ_SECONDS = $(SECONDS)

.PHONY: help run fuzz shell userland-test redis test bench compare guard scale matrix referee tlb mutants debug image lint doc clean
.NOTPARALLEL:

help:
	@echo 'make run     boot in QEMU: self-tests, a short fork storm, power off'
	@echo 'make redis   the pause of redis'\''s BGSAVE on Linux and on Pleat; needs Debian'
	@echo 'make test    the tests on the host, then the boot matrix'
	@echo 'make fuzz    system calls with hostile arguments: SEED=1 CALLS=200000 or SECONDS=, PROCS=6'
	@echo 'make shell   boot to a shell: BusyBox from Debian, or a small one of ours; ROOTFS=dir adds files'
	@echo 'make userland-test  programs from Debian, in the guest: a line for each; ONLY="busybox" for some'
	@echo 'make bench   the fork storm over all folio sizes; target/pleat/bench.jsonl'
	@echo 'make compare the same benchmark on Linux and on Pleat, and the ratio; needs QEMU 9.2, and Debian for the Linux'
	@echo 'make guard   instructions, TLBIs and barriers against committed limits; UPDATE=1 writes them anew'
	@echo 'make scale   fork and exit by size, children and mappings: target/pleat/scale.svg; takes 10 GiB of memory, or MIB=1024'
	@echo 'make matrix  the boot matrix alone'
	@echo 'make referee the architecture'\''s rules, over the booted kernel; needs QEMU 9.2'
	@echo 'make tlb     TLB misses by folio size, with and without the contiguous bit; QEMU 9.2'
	@echo 'make mutants plants known bugs one by one: each must be caught; BOOT=1 boots each as well'
	@echo 'make debug   boot, waiting for gdb'
	@echo 'make image   target/pleat/{Image,initramfs.cpio,pleat.elf}'
	@echo 'make lint    rustfmt and clippy'
	@echo 'make doc     the documentation'
	@echo 'make clean   remove target/'
	@sed -n '/^# Variables/,/^$$/s/^# \{0,1\}//p' Makefile

userland-test: run-file = userland
run fuzz test bench guard scale matrix debug shell userland-test:
	@scripts/setup.sh
	@scripts/image.sh
	@scripts/$(or $(run-file),$@).sh

referee tlb compare redis:
	@scripts/setup.sh plugins
	@scripts/image.sh
	@scripts/$@.sh

mutants:
	@scripts/setup.sh $(if $(BOOT),plugins,rust)
	@scripts/mutants.sh

image:
	@scripts/setup.sh rust
	@scripts/image.sh

lint doc:
	@scripts/setup.sh rust
	@scripts/$@.sh

clean:
	rm -rf target
