# SPDX-License-Identifier: AGPL-3.0-or-later
plugins_input_LTLIBRARIES += %D%/passivedns-log.la
passivedns_log_sources = %D%/plugin.c
%C%_passivedns_log_la_SOURCES = $(passivedns_log_sources)
%C%_passivedns_log_la_LDFLAGS = $(PLUGIN_LINK)
%C%_passivedns_log_la_LIBADD = $(PLUGIN_LIBS)
dist_man_MANS += %D%/cofd-input-passivedns-log.5

if HAVE_CMOCKA
UNIT_TESTS += %D%/test-passivedns-log
%C%_test_passivedns_log_SOURCES = %D%/test-passivedns-log.c $(passivedns_log_sources)
%C%_test_passivedns_log_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(top_srcdir)/sdk/tests
%C%_test_passivedns_log_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_passivedns_log_LDADD = sdk/tests/libfakehost.la sdk/libcofd.la $(CMOCKA_LIBS) -lpthread
endif
