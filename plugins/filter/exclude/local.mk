# SPDX-License-Identifier: AGPL-3.0-or-later
plugins_filter_LTLIBRARIES += %D%/exclude.la
exclude_sources = \
	%D%/exclude.c \
	%D%/rules.c \
	%D%/rules_private.h \
	%D%/words.c \
	%D%/words_private.h
%C%_exclude_la_SOURCES = $(exclude_sources)
%C%_exclude_la_LDFLAGS = $(PLUGIN_LINK)
%C%_exclude_la_LIBADD = $(PLUGIN_LIBS) -lpthread
dist_man_MANS += %D%/cofd-filter-exclude.5

if HAVE_CMOCKA
UNIT_TESTS += %D%/test-exclude
%C%_test_exclude_SOURCES = %D%/test-exclude.c $(exclude_sources)
%C%_test_exclude_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/sdk/tests
%C%_test_exclude_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_exclude_LDADD = sdk/tests/libfakehost.la sdk/libcofd.la $(CMOCKA_LIBS) -lpthread
endif
