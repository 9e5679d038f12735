# SPDX-License-Identifier: AGPL-3.0-or-later
plugins_input_LTLIBRARIES += %D%/zeek-dns.la
zeek_dns_sources = %D%/plugin.c %D%/zeek.c %D%/zeek_private.h
%C%_zeek_dns_la_SOURCES = $(zeek_dns_sources)
%C%_zeek_dns_la_LDFLAGS = $(PLUGIN_LINK)
%C%_zeek_dns_la_LIBADD = $(PLUGIN_LIBS)
dist_man_MANS += %D%/cofd-input-zeek-dns.5

if HAVE_CMOCKA
UNIT_TESTS += %D%/test-zeek-dns
%C%_test_zeek_dns_SOURCES = %D%/test-zeek-dns.c $(zeek_dns_sources)
%C%_test_zeek_dns_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(top_srcdir)/sdk/tests
%C%_test_zeek_dns_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_zeek_dns_LDADD = sdk/tests/libfakehost.la sdk/libcofd.la $(CMOCKA_LIBS) -lpthread
endif
