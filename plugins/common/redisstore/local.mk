# SPDX-License-Identifier: AGPL-3.0-or-later
# All of the storages redis and kvrocks but their descriptors.
REDISSTORE_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/%D% -I$(RESP_DIR)
REDISSTORE_LIBS = %D%/libredisstore.la $(RESP_LIBS) $(PLUGIN_LIBS) -lpthread
noinst_LTLIBRARIES += %D%/libredisstore.la
%C%_libredisstore_la_SOURCES = \
	%D%/compact.c \
	%D%/compact_answer.c \
	%D%/compact_cache.c \
	%D%/compact_keys.c \
	%D%/compact_keys_private.h \
	%D%/compact_page.c \
	%D%/compact_private.h \
	%D%/compact_query.c \
	%D%/compact_query_private.h \
	%D%/compact_spans.c \
	%D%/compact_split.c \
	%D%/compact_sweep.c \
	%D%/compact_walk.c \
	%D%/compact_write.c \
	%D%/connect.c \
	%D%/d4.c \
	%D%/d4_cursor_private.h \
	%D%/d4_page.c \
	%D%/d4_page_private.h \
	%D%/d4_place.c \
	%D%/d4_probe.c \
	%D%/d4_probe_private.h \
	%D%/d4_private.h \
	%D%/d4_query.c \
	%D%/d4_read.c \
	%D%/d4_scan.c \
	%D%/d4_sweep.c \
	%D%/d4_text.c \
	%D%/d4_write.c \
	%D%/layout_private.h \
	%D%/layouts.c \
	%D%/options.c \
	%D%/options_private.h \
	%D%/readers.c \
	%D%/replicate.c \
	%D%/store.c \
	%D%/store_private.h
%C%_libredisstore_la_CPPFLAGS = $(REDISSTORE_CPPFLAGS)
EXTRA_DIST += %D%/COMPACT.md

if HAVE_CMOCKA
UNIT_TESTS += %D%/tests/test-d4-text %D%/tests/test-d4 %D%/tests/test-compact-keys
# Its thousands of commands take too long under sanitizers, which see the same code by migration tests.
if !SANITIZE
UNIT_TESTS += %D%/tests/test-compact
else
EXTRA_PROGRAMS += %D%/tests/test-compact
endif
%C%_tests_test_d4_text_SOURCES = %D%/tests/test-d4-text.c
%C%_tests_test_d4_text_CPPFLAGS = $(REDISSTORE_CPPFLAGS)
%C%_tests_test_d4_text_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_tests_test_d4_text_LDADD = $(REDISSTORE_LIBS) $(CMOCKA_LIBS)
%C%_tests_test_d4_SOURCES = %D%/tests/test-d4.c %D%/tests/storehost.c %D%/tests/storehost.h
%C%_tests_test_d4_CPPFLAGS = $(REDISSTORE_CPPFLAGS)
%C%_tests_test_d4_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_tests_test_d4_LDADD = plugins/common/resp/libredistest.la $(REDISSTORE_LIBS) $(CMOCKA_LIBS)
%C%_tests_test_compact_keys_SOURCES = %D%/tests/test-compact-keys.c
%C%_tests_test_compact_keys_CPPFLAGS = $(REDISSTORE_CPPFLAGS)
%C%_tests_test_compact_keys_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_tests_test_compact_keys_LDADD = $(REDISSTORE_LIBS) $(CMOCKA_LIBS)
%C%_tests_test_compact_SOURCES = %D%/tests/test-compact.c %D%/tests/compactmodel.c \
	%D%/tests/compactmodel.h %D%/tests/storehost.c %D%/tests/storehost.h
%C%_tests_test_compact_CPPFLAGS = $(REDISSTORE_CPPFLAGS)
%C%_tests_test_compact_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_tests_test_compact_LDADD = plugins/common/resp/libredistest.la $(REDISSTORE_LIBS) $(CMOCKA_LIBS)
endif
