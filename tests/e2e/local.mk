# SPDX-License-Identifier: AGPL-3.0-or-later
# Each script prints TAP. They start the cofd of this build tree with the plugins of this build tree.
# The longest comes first, so that others run beside it.
E2E_TESTS = \
	%D%/test-conformance.py \
	%D%/test-sample.py \
	%D%/test-query.py \
	%D%/test-cof-ws.py \
	%D%/test-import.py \
	%D%/test-ingest.py \
	%D%/test-inputs.py \
	%D%/test-crash.py \
	%D%/test-takeover.py \
	%D%/test-cluster.py \
	%D%/test-sentinel.py \
	%D%/test-kvrocks.py \
	%D%/test-live.py \
	%D%/test-archive.py \
	%D%/test-federation.py \
	%D%/test-reload.py \
	%D%/test-check.py \
	%D%/test-dnsdb.py \
	%D%/test-dnstap.py \
	%D%/test-rest-tls.py \
	%D%/test-rest-auth.py \
	%D%/test-rest-ops.py \
	%D%/test-hostile-http.py \
	%D%/test-circl.py \
	%D%/test-api.py \
	%D%/test-sensors.py \
	%D%/test-real.py \
	%D%/test-isolation.py \
	%D%/test-privileges.py
# These run compilers and clients, and no threads of cofd that those above do not run as well: under
# ThreadSanitizer they would only take minutes.
OTHER_E2E_TESTS = \
	%D%/test-sdk-inputs.py \
	%D%/test-migrate.py \
	%D%/test-dnsdbq.py \
	%D%/test-faulty.py \
	%D%/test-sdk.py
EXTRA_DIST += $(E2E_TESTS) $(OTHER_E2E_TESTS) \
	%D%/cofdtest.py %D%/generate.py %D%/d4model.py %D%/d4site.py %D%/restclient.py %D%/redisproc.py \
	%D%/lexproxy.py %D%/sdkbuild.py %D%/wsclient.py %D%/wsserver.py %D%/dnstapwire.py \
	%D%/dev-run.sh

if HAVE_PYTHON3
TESTS += $(E2E_TESTS)
if !WITH_TSAN
TESTS += $(OTHER_E2E_TESTS)
endif
check_DATA += %D%/installed.stamp
endif

# What test-sdk.py takes for an installed cofd. It is made before any test runs: to install a plugin
# libtool links it anew, and moves it away meanwhile.
%D%/installed.stamp: $(sbin_PROGRAMS) $(lib_LTLIBRARIES) $(plugins_input_LTLIBRARIES) \
		$(plugins_filter_LTLIBRARIES) $(plugins_storage_LTLIBRARIES) \
		$(plugins_output_LTLIBRARIES) $(cofdinclude_HEADERS) $(pkgconfig_DATA) $(dist_aclocal_DATA) \
		$(dist_sdk_DATA) $(dist_sdk_common_DATA) $(dist_sdk_input_DATA) $(dist_sdk_filter_DATA) \
		$(dist_sdk_storage_DATA) $(dist_sdk_output_DATA)
	@$(MKDIR_P) %D%
	@rm -rf %D%/installed $@
	$(AM_V_GEN)$(MAKE) $(AM_MAKEFLAGS) -s install DESTDIR='$(abs_builddir)/%D%/installed' \
		>%D%/installed.log 2>&1 || { cat %D%/installed.log; exit 1; }
	@touch $@
CLEANFILES += %D%/installed.stamp %D%/installed.log
clean-local: clean-installed
clean-installed:
	rm -rf %D%/installed
.PHONY: clean-installed

# What shows that the files of a distribution belong together; `./dev test` runs these from there.
DIST_TESTS = $(FUZZ_TARGETS) %D%/test-sample.py %D%/test-sdk.py tests/faults/test-kills.py \
	sdk/abi/test-abi.py core/tests/test-cli.sh

TEST_EXTENSIONS = .py
PY_LOG_COMPILER = $(PYTHON3)
PY_LOG_DRIVER = $(LOG_DRIVER)

# Sanitizers make a report the exit status, which the tests look at. What LeakSanitizer guesses of the
# memory that C libraries keep variables of threads in is wrong where that begins 16 octets into a page
# by chance, and ends it by a signal: so it does not.
AM_TESTS_ENVIRONMENT += \
	COFD='$(abs_top_builddir)/core/cofd'; export COFD; \
	COFD_PLUGIN_PATH='$(abs_top_builddir)/plugins'; export COFD_PLUGIN_PATH; \
	COFD_BUILD='$(abs_top_builddir)'; export COFD_BUILD; \
	COFD_INSTALLED='$(abs_top_builddir)/%D%/installed'; export COFD_INSTALLED; \
	COFD_CC='$(CC)'; export COFD_CC; \
	COFD_SANITIZE='$(enable_sanitize)'; export COFD_SANITIZE; \
	PYTHONDONTWRITEBYTECODE=1; export PYTHONDONTWRITEBYTECODE; \
	ASAN_OPTIONS="$${ASAN_OPTIONS-detect_stack_use_after_return=1:intercept_tls_get_addr=0}"; \
	export ASAN_OPTIONS; \
	UBSAN_OPTIONS="$${UBSAN_OPTIONS-print_stacktrace=1:halt_on_error=1}"; export UBSAN_OPTIONS; \
	TSAN_OPTIONS="$${TSAN_OPTIONS-suppressions=$(abs_top_srcdir)/%D%/tsan.supp}"; \
	export TSAN_OPTIONS;
EXTRA_DIST += %D%/tsan.supp
