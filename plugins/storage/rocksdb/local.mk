# SPDX-License-Identifier: AGPL-3.0-or-later
# All but the descriptor, for the plugin and for its tests.
noinst_LTLIBRARIES += %D%/libstorage-rocksdb.la
%C%_libstorage_rocksdb_la_SOURCES = \
	%D%/bulk.c \
	%D%/cursor.c \
	%D%/db.c \
	%D%/encode.c \
	%D%/expire.c %D%/expire_private.h \
	%D%/keys.c %D%/keys_private.h \
	%D%/names.c %D%/names_private.h \
	%D%/names_query.c \
	%D%/options.c %D%/options_private.h \
	%D%/query.c %D%/query_private.h \
	%D%/sensors.c %D%/sensors_private.h \
	%D%/sort.c %D%/sort_private.h \
	%D%/spans.c \
	%D%/stats.c \
	%D%/store_private.h \
	%D%/token.c \
	%D%/value.c %D%/value_private.h \
	%D%/write.c %D%/write_private.h
%C%_libstorage_rocksdb_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(PAGES_DIR) -I$(PRIORITY_DIR)
%C%_libstorage_rocksdb_la_LIBADD = $(PLUGIN_LIBS) $(ROCKSDB_LIBS)

plugins_storage_LTLIBRARIES += %D%/rocksdb.la
%C%_rocksdb_la_SOURCES = %D%/plugin.c
%C%_rocksdb_la_LDFLAGS = $(PLUGIN_LINK)
%C%_rocksdb_la_LIBADD = %D%/libstorage-rocksdb.la $(PLUGIN_LIBS) $(ROCKSDB_LIBS) -lpthread

dist_man_MANS += %D%/cofd-storage-rocksdb.5
EXTRA_DIST += %D%/LAYOUT.md %D%/plugin.m4

if HAVE_CMOCKA
UNIT_TESTS += \
	%D%/tests/test-rocksdb-keys \
	%D%/tests/test-rocksdb-value \
	%D%/tests/test-rocksdb-sort \
	%D%/tests/test-rocksdb-store \
	%D%/tests/test-rocksdb-expire \
	%D%/tests/test-rocksdb-crash
%C%_tests_test_rocksdb_keys_SOURCES = %D%/tests/test-rocksdb-keys.c
%C%_tests_test_rocksdb_keys_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%
%C%_tests_test_rocksdb_keys_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_tests_test_rocksdb_keys_LDADD = %D%/libstorage-rocksdb.la $(CMOCKA_LIBS)
%C%_tests_test_rocksdb_value_SOURCES = %D%/tests/test-rocksdb-value.c
%C%_tests_test_rocksdb_value_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%
%C%_tests_test_rocksdb_value_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_tests_test_rocksdb_value_LDADD = %D%/libstorage-rocksdb.la $(CMOCKA_LIBS) $(ROCKSDB_LIBS)
%C%_tests_test_rocksdb_sort_SOURCES = %D%/tests/test-rocksdb-sort.c
%C%_tests_test_rocksdb_sort_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%
%C%_tests_test_rocksdb_sort_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_tests_test_rocksdb_sort_LDADD = %D%/libstorage-rocksdb.la $(CMOCKA_LIBS)
%C%_tests_test_rocksdb_store_SOURCES = %D%/tests/test-rocksdb-store.c %D%/tests/host.c \
	%D%/tests/host_private.h %D%/plugin.c
%C%_tests_test_rocksdb_store_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D% -I$(top_srcdir)/sdk/kit
%C%_tests_test_rocksdb_store_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_tests_test_rocksdb_store_LDADD = %D%/libstorage-rocksdb.la sdk/kit/libmodel.la $(PLUGIN_LIBS) $(CMOCKA_LIBS) \
	$(ROCKSDB_LIBS) -lpthread
%C%_tests_test_rocksdb_expire_SOURCES = %D%/tests/test-rocksdb-expire.c %D%/tests/host.c \
	%D%/tests/host_private.h %D%/plugin.c
%C%_tests_test_rocksdb_expire_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%
%C%_tests_test_rocksdb_expire_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_tests_test_rocksdb_expire_LDADD = %D%/libstorage-rocksdb.la $(PLUGIN_LIBS) $(CMOCKA_LIBS) \
	$(ROCKSDB_LIBS) -lpthread
%C%_tests_test_rocksdb_crash_SOURCES = %D%/tests/test-rocksdb-crash.c %D%/tests/host.c \
	%D%/tests/host_private.h %D%/plugin.c
%C%_tests_test_rocksdb_crash_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%
%C%_tests_test_rocksdb_crash_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_tests_test_rocksdb_crash_LDADD = %D%/libstorage-rocksdb.la $(PLUGIN_LIBS) $(CMOCKA_LIBS) \
	$(ROCKSDB_LIBS) -lpthread
endif
