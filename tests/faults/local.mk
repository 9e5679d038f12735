# SPDX-License-Identifier: AGPL-3.0-or-later
# Faults, a bounded part of each kind: `./dev faults --long` has the rest. The environment of the
# scripts is that of tests/e2e.
FAULTS_TESTS = \
	%D%/test-kills.py \
	%D%/test-network.py \
	%D%/test-process.py \
	%D%/test-redis.py \
	%D%/test-rocksdb.py
EXTRA_DIST += $(FAULTS_TESTS) %D%/README.md %D%/faults.py %D%/tcpproxy.py %D%/soak.py %D%/wallclock.c

if HAVE_PYTHON3
TESTS += $(FAULTS_TESTS)
endif
