# SPDX-License-Identifier: AGPL-3.0-or-later
# The host is a convenience library, which the tests link too, and a program around it.
noinst_LTLIBRARIES += %D%/libcore.la
%C%_libcore_la_SOURCES = \
	%D%/chain.c %D%/chain_private.h \
	%D%/checksum.c %D%/checksum_private.h \
	%D%/cli.c %D%/cli_private.h \
	%D%/cmd_check.c \
	%D%/cmd_plugins.c \
	%D%/conf.c %D%/conf_private.h \
	%D%/confine.c %D%/confine_private.h \
	%D%/conf_tables.c \
	%D%/descriptor.c %D%/descriptor_private.h \
	%D%/engine.c %D%/engine_private.h \
	%D%/export.c \
	%D%/guard.c %D%/guard_private.h \
	%D%/host.c %D%/host_private.h \
	%D%/import.c \
	%D%/ini.c %D%/ini_private.h \
	%D%/instance.c %D%/instance_private.h \
	%D%/kit/cases_common.c \
	%D%/kit/cases_filter.c \
	%D%/kit/cases_input.c \
	%D%/kit/cases_storage.c \
	%D%/kit/cmd_plugin.c \
	%D%/kit/kit_private.h \
	%D%/kit/new.c \
	%D%/kit/rig.c %D%/kit/rig_private.h \
	%D%/kit/righost.c %D%/kit/righost_private.h \
	%D%/kit/trial.c \
	%D%/loader.c %D%/loader_private.h \
	%D%/log.c %D%/log_private.h \
	%D%/memory.c %D%/memory_private.h \
	%D%/metrics.c %D%/metrics_private.h \
	%D%/migrate.c \
	%D%/option.c %D%/option_private.h \
	%D%/option_print.c \
	%D%/option_table.c \
	%D%/privileges.c %D%/privileges_private.h \
	%D%/problems.c \
	%D%/progress.c %D%/progress_private.h \
	%D%/resume.c %D%/resume_private.h \
	%D%/route.c %D%/route_private.h \
	%D%/run.c \
	%D%/scan.c %D%/scan_private.h \
	%D%/secret.c %D%/secret_private.h \
	%D%/section.c %D%/section_private.h \
	%D%/setup.c %D%/setup_private.h \
	%D%/suggest.c %D%/suggest_private.h \
	%D%/tallies.c %D%/tallies_private.h \
	%D%/tap.c %D%/tap_private.h \
	%D%/transfer.c %D%/transfer_private.h \
	%D%/tuples.c %D%/tuples_private.h \
	%D%/verify.c %D%/verify_private.h \
	%D%/via.c %D%/via_private.h \
	%D%/watchdog.c %D%/watchdog_private.h \
	%D%/window.c %D%/window_private.h \
	%D%/writer.c %D%/writer_private.h
%C%_libcore_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/sdk/kit -I$(PAGES_DIR) -I$(PRIORITY_DIR) $(CORE_CPPFLAGS) $(SECCOMP_CFLAGS)
%C%_libcore_la_LIBADD = sdk/kit/libmodel.la sdk/libcofd.la $(LTDL_LIBS) $(INIH_LIBS) \
	$(SECCOMP_LIBS) -ldl -lpthread

CORE_CPPFLAGS = \
	-DCOFD_PLUGIN_DIR='"$(pkglibdir)"' \
	-DCOFD_SDK_DIR='"$(pkgdatadir)/sdk"' \
	-DCOFD_CONF_FILE='"$(sysconfdir)/cofd/cofd.conf"'

sbin_PROGRAMS += %D%/cofd
%C%_cofd_SOURCES = %D%/main.c
%C%_cofd_CPPFLAGS = $(AM_CPPFLAGS) $(CORE_CPPFLAGS)
%C%_cofd_LDADD = %D%/libcore.la
include core/tests/local.mk
dist_man_MANS += %D%/cofd.8 %D%/cofd.conf.5 %D%/cofd-federation.7
include core/tests/engine.mk
