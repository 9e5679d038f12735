# SPDX-License-Identifier: AGPL-3.0-or-later
# A client for Redis and Kvrocks, built into each plugin that needs it: $(RESP_LIBS), -I$(RESP_DIR).
RESP_DIR = $(top_srcdir)/%D%
RESP_LIBS = %D%/libresp.la
noinst_LTLIBRARIES += %D%/libresp.la
%C%_libresp_la_SOURCES = \
	%D%/class.c \
	%D%/client.c \
	%D%/conn.c \
	%D%/encode.c \
	%D%/inner_private.h \
	%D%/pump.c \
	%D%/reader.c \
	%D%/reader_private.h \
	%D%/resp_private.h \
	%D%/route.c \
	%D%/slot.c \
	%D%/tls.c \
	%D%/topology.c \
	%D%/topology_private.h
%C%_libresp_la_CPPFLAGS = $(AM_CPPFLAGS) $(OPENSSL_CFLAGS)
%C%_libresp_la_LIBADD = $(HIREDIS_LIBS) $(OPENSSL_LIBS)
EXTRA_DIST += %D%/plugin.m4

if HAVE_CMOCKA
# Servers for tests.
check_LTLIBRARIES += %D%/libredistest.la
%C%_libredistest_la_SOURCES = %D%/redistest.c %D%/redistest.h
%C%_libredistest_la_LIBADD = $(HIREDIS_LIBS)

UNIT_TESTS += %D%/test-resp-unit %D%/test-resp
%C%_test_resp_unit_SOURCES = %D%/test-resp-unit.c
%C%_test_resp_unit_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_resp_unit_LDADD = $(RESP_LIBS) sdk/libcofd.la $(CMOCKA_LIBS)
%C%_test_resp_SOURCES = %D%/test-resp.c
%C%_test_resp_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_resp_LDADD = %D%/libredistest.la $(RESP_LIBS) sdk/libcofd.la $(CMOCKA_LIBS) -lpthread
endif
