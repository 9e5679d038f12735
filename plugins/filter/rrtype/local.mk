# SPDX-License-Identifier: AGPL-3.0-or-later
plugins_filter_LTLIBRARIES += %D%/rrtype.la
%C%_rrtype_la_SOURCES = %D%/rrtype.c
%C%_rrtype_la_LDFLAGS = $(PLUGIN_LINK)
%C%_rrtype_la_LIBADD = $(PLUGIN_LIBS) -lpthread
dist_man_MANS += %D%/cofd-filter-rrtype.5

if HAVE_CMOCKA
UNIT_TESTS += %D%/test-rrtype
%C%_test_rrtype_SOURCES = %D%/test-rrtype.c %D%/rrtype.c
%C%_test_rrtype_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/sdk/tests
%C%_test_rrtype_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_rrtype_LDADD = sdk/tests/libfakehost.la sdk/libcofd.la $(CMOCKA_LIBS) -lpthread
endif
