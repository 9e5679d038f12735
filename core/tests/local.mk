# SPDX-License-Identifier: AGPL-3.0-or-later
EXTRA_DIST += %D%/test-cli.sh
if HAVE_CMOCKA
CORE_TEST_CPPFLAGS = $(AM_CPPFLAGS) $(CORE_CPPFLAGS) -I$(top_srcdir)/core \
	-DTEST_PLUGINS='"$(abs_top_builddir)/%D%/.libs"' -DTEST_SOURCES='"$(abs_top_srcdir)/core"'
CORE_TEST_LDADD = %D%/libsupport.la core/libcore.la $(CMOCKA_LIBS)

check_LTLIBRARIES += %D%/libsupport.la
%C%_libsupport_la_SOURCES = %D%/support.c %D%/support_private.h
%C%_libsupport_la_CPPFLAGS = $(CORE_TEST_CPPFLAGS)

UNIT_TESTS += \
	%D%/test-conf \
	%D%/test-confine \
	%D%/test-loader \
	%D%/test-log \
	%D%/test-metrics \
	%D%/test-option \
	%D%/test-route \
	%D%/test-suggest
%C%_test_conf_SOURCES = %D%/test-conf.c
%C%_test_conf_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
%C%_test_conf_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_conf_LDADD = $(CORE_TEST_LDADD)
%C%_test_confine_SOURCES = %D%/test-confine.c
%C%_test_confine_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
%C%_test_confine_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_confine_LDADD = $(CORE_TEST_LDADD)
%C%_test_loader_SOURCES = %D%/test-loader.c
%C%_test_loader_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
%C%_test_loader_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_loader_LDADD = $(CORE_TEST_LDADD)
%C%_test_log_SOURCES = %D%/test-log.c
%C%_test_log_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
%C%_test_log_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
%C%_test_log_LDADD = $(CORE_TEST_LDADD) $(JANSSON_LIBS)
%C%_test_metrics_SOURCES = %D%/test-metrics.c
%C%_test_metrics_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
%C%_test_metrics_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_metrics_LDADD = $(CORE_TEST_LDADD)
%C%_test_option_SOURCES = %D%/test-option.c
%C%_test_option_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
%C%_test_option_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_option_LDADD = $(CORE_TEST_LDADD)
%C%_test_route_SOURCES = %D%/test-route.c
%C%_test_route_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
%C%_test_route_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_route_LDADD = $(CORE_TEST_LDADD)
%C%_test_suggest_SOURCES = %D%/test-suggest.c
%C%_test_suggest_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
%C%_test_suggest_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_suggest_LDADD = $(CORE_TEST_LDADD)
endif

# One source, built good and broken in one place each. -rpath makes libtool build shared objects.
TEST_PLUGIN_LINK = -module -avoid-version -rpath /nowhere $(COFD_LDFLAGS)
check_LTLIBRARIES += %D%/plain.la
%C%_plain_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_plain_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"plain"' -DCAPS=COF_CAP_RRNAME
%C%_plain_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_plain_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/able.la
%C%_able_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_able_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"able"'
%C%_able_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_able_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/zeal.la
%C%_zeal_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_zeal_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"zeal"' -DCAPS=COF_CAP_RRNAME
%C%_zeal_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_zeal_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/feed.la
%C%_feed_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_feed_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"feed"' -DKIND=COF_KIND_INPUT -DOPS='&input_ops'
%C%_feed_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_feed_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/sieve.la
%C%_sieve_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_sieve_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"sieve"' -DKIND=COF_KIND_FILTER -DOPS='&filter_ops'
%C%_sieve_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_sieve_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/api.la
%C%_api_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_api_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"api"' -DKIND=COF_KIND_OUTPUT -DOPS='&output_ops'
%C%_api_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_api_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/no_symbol.la
%C%_no_symbol_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_no_symbol_la_CPPFLAGS = $(AM_CPPFLAGS) -DNO_SYMBOL
%C%_no_symbol_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_no_symbol_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/bad_magic.la
%C%_bad_magic_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_bad_magic_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"bad-magic"' -DMAGIC=0x1234
%C%_bad_magic_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_bad_magic_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/bad_major.la
%C%_bad_major_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_bad_major_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"bad-major"' -DMAJOR=7
%C%_bad_major_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_bad_major_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/new_minor.la
%C%_new_minor_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_new_minor_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"new-minor"' -DMINOR=99
%C%_new_minor_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_new_minor_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/small_struct.la
%C%_small_struct_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_small_struct_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"small-struct"' -DSTRUCT_SIZE=16
%C%_small_struct_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_small_struct_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/small_option.la
%C%_small_option_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_small_option_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"small-option"' -DOPTION_SIZE=16
%C%_small_option_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_small_option_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/small_ops.la
%C%_small_ops_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_small_ops_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"small-ops"' -DOPS_SIZE=16
%C%_small_ops_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_small_ops_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/bad_kind.la
%C%_bad_kind_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_bad_kind_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"bad-kind"' -DKIND=9
%C%_bad_kind_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_bad_kind_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/bad_type.la
%C%_bad_type_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_bad_type_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"bad-type"' -DNUMBER_TYPE=COF_OPT_BOOL
%C%_bad_type_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_bad_type_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/bad_default.la
%C%_bad_default_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_bad_default_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"bad-default"' -DNUMBER_DEFAULT='"17"'
%C%_bad_default_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_bad_default_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/no_reload.la
%C%_no_reload_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_no_reload_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"no-reload"' -DRELOAD=NULL
%C%_no_reload_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_no_reload_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/no_ops.la
%C%_no_ops_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_no_ops_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"no-ops"' -DOPS=NULL
%C%_no_ops_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_no_ops_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/no_create.la
%C%_no_create_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_no_create_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"no-create"' -DCREATE=NULL
%C%_no_create_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_no_create_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/no_write.la
%C%_no_write_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_no_write_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"no-write"' -DWRITE=NULL
%C%_no_write_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_no_write_la_LIBADD = $(PLUGIN_LIBS)
check_LTLIBRARIES += %D%/no_load.la
%C%_no_load_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_no_load_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"no-load"' -DKIND=COF_KIND_INPUT -DOPS='&input_ops' -DCAPS=COF_CAP_LOAD
%C%_no_load_la_LDFLAGS = $(TEST_PLUGIN_LINK)
%C%_no_load_la_LIBADD = $(PLUGIN_LIBS)
# Lazily bound, as a plugin that was not linked with -z now -z defs.
check_LTLIBRARIES += %D%/undefined.la
%C%_undefined_la_SOURCES = %D%/plugin.c %D%/plugin_private.h
%C%_undefined_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_NAME='"undefined"' -DUNDEFINED
%C%_undefined_la_LDFLAGS = -module -avoid-version -rpath /nowhere -Wl,-z,lazy
%C%_undefined_la_LIBADD = $(PLUGIN_LIBS)

TESTS += %D%/test-cli.sh
