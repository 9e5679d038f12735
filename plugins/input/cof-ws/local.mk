# SPDX-License-Identifier: AGPL-3.0-or-later
plugins_input_LTLIBRARIES += %D%/cof-ws.la
# What needs no network.
cof_ws_parts = \
	%D%/backoff.c \
	%D%/backoff_private.h \
	%D%/conf_private.h \
	%D%/headers.c \
	%D%/headers_private.h \
	%D%/message.c \
	%D%/message_private.h \
	%D%/url.c \
	%D%/url_private.h
cof_ws_sources = \
	$(cof_ws_parts) \
	%D%/lwslog.c \
	%D%/lwslog_private.h \
	%D%/plugin.c \
	%D%/service.c \
	%D%/service_private.h \
	%D%/stream.c \
	%D%/tls.c \
	%D%/tls_private.h
%C%_cof_ws_la_SOURCES = $(cof_ws_sources)
%C%_cof_ws_la_CPPFLAGS = $(AM_CPPFLAGS) $(LIBWEBSOCKETS_CFLAGS) $(WSTLS_CFLAGS) -I$(SPLIT_DIR)
# libwebsockets keeps the address of the function that takes its log: it has to stay.
%C%_cof_ws_la_LDFLAGS = $(PLUGIN_LINK) -Wl,-z,nodelete
%C%_cof_ws_la_LIBADD = $(SPLIT_LIBS) $(LIBWEBSOCKETS_LIBS) $(WSTLS_LIBS) $(PLUGIN_LIBS) -lpthread
EXTRA_DIST += %D%/plugin.m4
dist_man_MANS += %D%/cofd-input-cof-ws.5

if HAVE_CMOCKA
UNIT_TESTS += %D%/test-cof-ws
%C%_test_cof_ws_SOURCES = %D%/test-cof-ws.c $(cof_ws_parts)
%C%_test_cof_ws_CPPFLAGS = $(AM_CPPFLAGS) $(WSTLS_CFLAGS) -I$(SPLIT_DIR)
%C%_test_cof_ws_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_cof_ws_LDADD = $(SPLIT_LIBS) $(WSTLS_LIBS) sdk/libcofd.la $(CMOCKA_LIBS)
endif
