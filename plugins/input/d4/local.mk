# SPDX-License-Identifier: AGPL-3.0-or-later
plugins_input_LTLIBRARIES += %D%/d4.la
d4_sources = \
	%D%/d4.c \
	%D%/d4_private.h \
	%D%/entry.c \
	%D%/worker.c
%C%_d4_la_SOURCES = $(d4_sources)
%C%_d4_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(RESP_DIR)
%C%_d4_la_LDFLAGS = $(PLUGIN_LINK)
%C%_d4_la_LIBADD = $(RESP_LIBS) $(PLUGIN_LIBS) -lpthread
dist_man_MANS += %D%/cofd-input-d4.5

if HAVE_CMOCKA
UNIT_TESTS += %D%/test-d4
%C%_test_d4_SOURCES = %D%/test-d4.c $(d4_sources)
%C%_test_d4_CPPFLAGS = $(AM_CPPFLAGS) -I$(RESP_DIR) -I$(top_srcdir)/sdk/tests
%C%_test_d4_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_d4_LDADD = sdk/tests/libfakehost.la plugins/common/resp/libredistest.la $(RESP_LIBS) \
	sdk/libcofd.la $(CMOCKA_LIBS) -lpthread
endif
