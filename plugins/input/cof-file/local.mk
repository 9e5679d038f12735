# SPDX-License-Identifier: AGPL-3.0-or-later
plugins_input_LTLIBRARIES += %D%/cof-file.la
%C%_cof_file_la_SOURCES = %D%/plugin.c
%C%_cof_file_la_LDFLAGS = $(PLUGIN_LINK)
%C%_cof_file_la_LIBADD = $(PLUGIN_LIBS)
dist_man_MANS += %D%/cofd-input-cof-file.5

if HAVE_CMOCKA
UNIT_TESTS += %D%/test-cof-file
%C%_test_cof_file_SOURCES = %D%/test-cof-file.c %D%/plugin.c
%C%_test_cof_file_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(top_srcdir)/sdk/tests
%C%_test_cof_file_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_cof_file_LDADD = sdk/tests/libfakehost.la sdk/libcofd.la $(ZLIB_LIBS) $(ZSTD_LIBS) \
	$(CMOCKA_LIBS) -lpthread
endif
