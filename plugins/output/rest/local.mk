# SPDX-License-Identifier: AGPL-3.0-or-later
# All but the descriptor, shared by the plugin and its tests.
noinst_LTLIBRARIES += %D%/librest.la
%C%_librest_la_SOURCES = \
	%D%/accept.c \
	%D%/access.c \
	%D%/access_private.h \
	%D%/accesslog.c \
	%D%/accesslog_private.h \
	%D%/acl.c \
	%D%/acl_private.h \
	%D%/answer.c \
	%D%/api.c \
	%D%/api_private.h \
	%D%/bulk.c \
	%D%/circl.c \
	%D%/cursors.c \
	%D%/cursors_private.h \
	%D%/format.c \
	%D%/format_private.h \
	%D%/auth_private.h \
	%D%/cors.c \
	%D%/dnsdb_answer.c \
	%D%/dnsdb_object.c \
	%D%/dnsdb_object_private.h \
	%D%/dnsdb_plan.c \
	%D%/dnsdb_private.h \
	%D%/dnsdb_question.c \
	%D%/dnsdb_question_private.h \
	%D%/dnsdb_rdata.c \
	%D%/dnsdb_serve.c \
	%D%/guard.c \
	%D%/guard_private.h \
	%D%/gzip.c \
	%D%/gzip_private.h \
	%D%/health.c \
	%D%/info.c \
	%D%/info_private.h \
	%D%/links.c \
	%D%/prom.c \
	%D%/proxy.c \
	%D%/proxy_private.h \
	%D%/openapi.c \
	%D%/place.c \
	%D%/params.c \
	%D%/params_private.h \
	%D%/question.c \
	%D%/question_private.h \
	%D%/quota.c \
	%D%/quota_private.h \
	%D%/reply.c \
	%D%/rest_private.h \
	%D%/route.c \
	%D%/secret.c \
	%D%/secret_private.h \
	%D%/server.c \
	%D%/settings.c \
	%D%/sorted.c \
	%D%/stream.c \
	%D%/sweep.c \
	%D%/tls.c \
	%D%/tls_private.h \
	%D%/users.c \
	%D%/users_private.h \
	%D%/tally.c \
	%D%/worker.c
%C%_librest_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D% -I$(PRIORITY_DIR) $(MICROHTTPD_CFLAGS) $(IDN2_CFLAGS) $(ZLIB_CFLAGS) \
	$(JANSSON_CFLAGS) $(LDNS_CFLAGS) $(GNUTLS_CFLAGS)
%C%_librest_la_LIBADD = $(PLUGIN_LIBS) $(MICROHTTPD_LIBS) $(IDN2_LIBS) $(ZLIB_LIBS) \
	$(JANSSON_LIBS) $(LDNS_LIBS) $(GNUTLS_LIBS) $(CRYPT_LIBS) -lpthread

# The page at /, as a string of C.
nodist_%C%_librest_la_SOURCES = %D%/page-text.c
CLEANFILES += %D%/page-text.c
EXTRA_DIST += %D%/page.html
%D%/page-text.c: %D%/page.html
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	{ echo '#include "api_private.h"'; echo 'const char page_text[] ='; \
	  sed -e 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' $(srcdir)/%D%/page.html; \
	  echo ';'; } >$@.tmp && mv $@.tmp $@

plugins_output_LTLIBRARIES += %D%/rest.la
%C%_rest_la_SOURCES = %D%/plugin.c
%C%_rest_la_CPPFLAGS = $(%C%_librest_la_CPPFLAGS)
%C%_rest_la_LDFLAGS = $(PLUGIN_LINK)
%C%_rest_la_LIBADD = %D%/librest.la $(PLUGIN_LIBS)

dist_man_MANS += %D%/cofd-output-rest.5
EXTRA_DIST += %D%/plugin.m4

if HAVE_CMOCKA
UNIT_TESTS += %D%/tests/test-rest-question %D%/tests/test-rest-gzip %D%/tests/test-rest-server \
	%D%/tests/test-rest-guard
%C%_tests_test_rest_guard_SOURCES = %D%/tests/test-rest-guard.c
%C%_tests_test_rest_guard_CPPFLAGS = $(%C%_librest_la_CPPFLAGS) -I$(srcdir)/%D%
%C%_tests_test_rest_guard_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_tests_test_rest_guard_LDADD = %D%/librest.la $(PLUGIN_LIBS) $(CMOCKA_LIBS)
UNIT_TESTS += %D%/tests/test-rest-cursors
%C%_tests_test_rest_cursors_SOURCES = %D%/tests/test-rest-cursors.c
%C%_tests_test_rest_cursors_CPPFLAGS = $(%C%_librest_la_CPPFLAGS) -I$(srcdir)/%D%
%C%_tests_test_rest_cursors_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_tests_test_rest_cursors_LDADD = %D%/librest.la $(PLUGIN_LIBS) $(CMOCKA_LIBS)
%C%_tests_test_rest_question_SOURCES = %D%/tests/test-rest-question.c
%C%_tests_test_rest_question_CPPFLAGS = $(%C%_librest_la_CPPFLAGS) -I$(srcdir)/%D%
%C%_tests_test_rest_question_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_tests_test_rest_question_LDADD = %D%/librest.la $(PLUGIN_LIBS) $(CMOCKA_LIBS)
%C%_tests_test_rest_gzip_SOURCES = %D%/tests/test-rest-gzip.c
%C%_tests_test_rest_gzip_CPPFLAGS = $(%C%_librest_la_CPPFLAGS) -I$(srcdir)/%D%
%C%_tests_test_rest_gzip_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_tests_test_rest_gzip_LDADD = %D%/librest.la $(PLUGIN_LIBS) $(CMOCKA_LIBS) $(ZLIB_LIBS)
%C%_tests_test_rest_server_SOURCES = \
	%D%/plugin.c \
	%D%/tests/client.c \
	%D%/tests/client_private.h \
	%D%/tests/fake-host.c \
	%D%/tests/fake-host_private.h \
	%D%/tests/test-rest-server.c
%C%_tests_test_rest_server_CPPFLAGS = $(%C%_librest_la_CPPFLAGS) -I$(srcdir)/%D%
%C%_tests_test_rest_server_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_tests_test_rest_server_LDADD = %D%/librest.la $(PLUGIN_LIBS) $(CMOCKA_LIBS) $(ZLIB_LIBS) \
	$(JANSSON_LIBS) -lpthread
endif

# For measuring (`make plugins/output/rest/tests/serve-fake`): the plugin over records in memory.
EXTRA_PROGRAMS += %D%/tests/serve-fake
%C%_tests_serve_fake_SOURCES = \
	%D%/plugin.c \
	%D%/tests/fake-host.c \
	%D%/tests/fake-host_private.h \
	%D%/tests/serve-fake.c
%C%_tests_serve_fake_CPPFLAGS = $(%C%_librest_la_CPPFLAGS) -I$(srcdir)/%D%
%C%_tests_serve_fake_CFLAGS = $(AM_CFLAGS)
%C%_tests_serve_fake_LDADD = %D%/librest.la $(PLUGIN_LIBS) -lpthread
