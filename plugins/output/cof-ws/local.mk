# SPDX-License-Identifier: AGPL-3.0-or-later
plugins_output_LTLIBRARIES += %D%/cof-ws.la
%C%_cof_ws_la_SOURCES = \
	%D%/filter.c \
	%D%/gate.c \
	%D%/handoff.c \
	%D%/plugin.c \
	%D%/server.c \
	%D%/subs.c \
	%D%/tls.c \
	%D%/tokens.c \
	%D%/ws_private.h
nodist_%C%_cof_ws_la_SOURCES = %D%/page.h
%C%_cof_ws_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(FEED_DIR) -I%D% \
	$(LIBWEBSOCKETS_CFLAGS) $(WSTLS_CFLAGS)
%C%_cof_ws_la_LDFLAGS = $(PLUGIN_LINK)
%C%_cof_ws_la_LIBADD = $(FEED_LIBS) $(PLUGIN_LIBS) $(LIBWEBSOCKETS_LIBS) $(WSTLS_LIBS) -lpthread

# The page as a C string: backslashes and quotes escaped, a line of it a line of the source.
%D%/page.h: %D%/page.html
	$(AM_V_GEN)$(MKDIR_P) %D% && { \
	  echo 'static const char page_html[] ='; \
	  sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/?/\\?/g' -e 's/^/"/' -e 's/$$/\\n"/' \
	    $(srcdir)/%D%/page.html; \
	  echo ';'; } >$@.tmp && mv $@.tmp $@
BUILT_SOURCES += %D%/page.h
CLEANFILES += %D%/page.h
if HAVE_CMOCKA
UNIT_TESTS += %D%/test-gate
%C%_test_gate_SOURCES = %D%/test-gate.c %D%/filter.c %D%/tokens.c
%C%_test_gate_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(FEED_DIR) $(LIBWEBSOCKETS_CFLAGS)
%C%_test_gate_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_gate_LDADD = sdk/libcofd.la $(CMOCKA_LIBS)
endif
dist_man_MANS += %D%/cofd-output-cof-ws.5
EXTRA_DIST += %D%/plugin.m4 %D%/page.html
