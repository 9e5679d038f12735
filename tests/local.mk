# SPDX-License-Identifier: AGPL-3.0-or-later
# What crosses plugins: end to end tests, faults, fuzz targets, benchmarks.
EXTRA_DIST += %D%/data/sample.ndjson

# Plugins with one fault each, which the conformance kit has to find.
FAULTY = \
	%D%/faulty/README.md \
	%D%/faulty/adds-record.fault \
	%D%/faulty/asks-after-stop.fault \
	%D%/faulty/bad-default.fault \
	%D%/faulty/bad-reload.fault \
	%D%/faulty/busy-loop.fault \
	%D%/faulty/changes-batch.fault \
	%D%/faulty/changes-record.fault \
	%D%/faulty/counts.fault \
	%D%/faulty/crash-ack.fault \
	%D%/faulty/crash-thread.fault \
	%D%/faulty/crash-unstarted.fault \
	%D%/faulty/cursor.fault \
	%D%/faulty/deaf-while-full.fault \
	%D%/faulty/done-twice.fault \
	%D%/faulty/drops-on-again.fault \
	%D%/faulty/emit-after-stop.fault \
	%D%/faulty/fewer-records.fault \
	%D%/faulty/finished-twice.fault \
	%D%/faulty/first-seen.fault \
	%D%/faulty/global-state.fault \
	%D%/faulty/hang-start.fault \
	%D%/faulty/judges-again.fault \
	%D%/faulty/leak-descriptor.fault \
	%D%/faulty/leak-memory.fault \
	%D%/faulty/leak-thread.fault \
	%D%/faulty/limit.fault \
	%D%/faulty/merge.fault \
	%D%/faulty/newline.fault \
	%D%/faulty/no-bounds.fault \
	%D%/faulty/no-callback.fault \
	%D%/faulty/no-reason.fault \
	%D%/faulty/no-resume.fault \
	%D%/faulty/no-symbol.fault \
	%D%/faulty/not-canonical.fault \
	%D%/faulty/not-durable.fault \
	%D%/faulty/old-abi.fault \
	%D%/faulty/order.fault \
	%D%/faulty/other-name.fault \
	%D%/faulty/page.fault \
	%D%/faulty/silent-start.fault \
	%D%/faulty/silent-timeout.fault \
	%D%/faulty/slow-stop.fault \
	%D%/faulty/statistics.fault \
	%D%/faulty/stores-dropped.fault \
	%D%/faulty/subdomains.fault \
	%D%/faulty/summary.fault \
	%D%/faulty/times.fault \
	%D%/faulty/token.fault \
	%D%/faulty/trusts-token.fault \
	%D%/faulty/undefined-function.fault \
	%D%/faulty/waits-for-acks.fault
EXTRA_DIST += $(FAULTY)
EXTRA_DIST += %D%/lint/compile-commands.py %D%/lint/cppcheck.txt %D%/lint/valgrind.sh \
	%D%/lint/valgrind.supp

include %D%/e2e/local.mk
include %D%/faults/local.mk
include %D%/fuzz/local.mk
include %D%/bench/local.mk
