# SPDX-License-Identifier: AGPL-3.0-or-later
plugins_input_LTLIBRARIES += %D%/suricata-eve.la
suricata_eve_sources = %D%/plugin.c %D%/eve.c %D%/eve_private.h
%C%_suricata_eve_la_SOURCES = $(suricata_eve_sources)
%C%_suricata_eve_la_LDFLAGS = $(PLUGIN_LINK)
%C%_suricata_eve_la_LIBADD = $(PLUGIN_LIBS)
dist_man_MANS += %D%/cofd-input-suricata-eve.5

if HAVE_CMOCKA
UNIT_TESTS += %D%/test-suricata-eve
%C%_test_suricata_eve_SOURCES = %D%/test-suricata-eve.c $(suricata_eve_sources)
%C%_test_suricata_eve_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(top_srcdir)/sdk/tests
%C%_test_suricata_eve_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_suricata_eve_LDADD = sdk/tests/libfakehost.la sdk/libcofd.la $(CMOCKA_LIBS) -lpthread
endif
