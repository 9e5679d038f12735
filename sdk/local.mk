# SPDX-License-Identifier: MIT
COFREAD_SOURCES = \
	%D%/src/cofread.c \
	%D%/src/cofread_fast.c \
	%D%/src/cofread_number.c \
	%D%/src/cofread_private.h \
	%D%/src/cofread_rules.c \
	%D%/src/cofread_slow.c \
	%D%/src/utf8_private.h

FOLLOW_SOURCES = \
	%D%/src/follow/control.c \
	%D%/src/follow/follow.c \
	%D%/src/follow/follow_private.h \
	%D%/src/follow/listen.c \
	%D%/src/follow/listen_private.h \
	%D%/src/follow/paths.c \
	%D%/src/follow/paths_private.h \
	%D%/src/follow/peers.c \
	%D%/src/follow/positions.c \
	%D%/src/follow/positions_private.h \
	%D%/src/follow/reader.c \
	%D%/src/follow/reader_private.h \
	%D%/src/follow/source.c \
	%D%/src/follow/split.c \
	%D%/src/follow/split_private.h \
	%D%/src/follow/stream.c \
	%D%/src/follow/stream_private.h \
	%D%/src/follow/tracked.c \
	%D%/src/follow/watch.c \
	%D%/src/follow/watch_private.h

# Headers that the core and the plugins of this tree use as well: -I$(PAGES_DIR), -I$(PRIORITY_DIR).
PAGES_DIR = $(top_srcdir)/sdk/src/pages
PRIORITY_DIR = $(top_srcdir)/sdk/src/priority

lib_LTLIBRARIES += %D%/libcofd.la
%C%_libcofd_la_SOURCES = \
	$(COFREAD_SOURCES) \
	$(FOLLOW_SOURCES) \
	%D%/src/addr.c \
	%D%/src/cofwrite.c \
	%D%/src/dns_private.h \
	%D%/src/json.c \
	%D%/src/name.c \
	%D%/src/observe.c \
	%D%/src/pages/pages_private.h \
	%D%/src/priority/priority_private.h \
	%D%/src/rdata.c \
	%D%/src/rdata_fields.c \
	%D%/src/rdata_ldns.c \
	%D%/src/rdata_params.c \
	%D%/src/rdata_private.h \
	%D%/src/rdata_target.c \
	%D%/src/rdata_types.c \
	%D%/src/rdata_wire.c \
	%D%/src/rdata_wire_params.c \
	%D%/src/passivedns.c \
	%D%/src/record.c \
	%D%/src/result.c \
	%D%/src/rrtype.c \
	%D%/src/secret.c \
	%D%/src/zone.c
%C%_libcofd_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(PAGES_DIR) -I$(PRIORITY_DIR) $(JANSSON_CFLAGS) $(LDNS_CFLAGS)
# The public functions are exactly those that the installed headers declare, all named cof_*.
%C%_libcofd_la_CFLAGS = $(AM_CFLAGS) -fvisibility=default -fno-semantic-interposition
%C%_libcofd_la_LDFLAGS = $(AM_LDFLAGS) $(COFD_UNDEFINED) -version-info 1:0:0 \
	-export-symbols-regex '^cof_'
%C%_libcofd_la_LIBADD = $(JANSSON_LIBS) $(LDNS_LIBS) $(ZLIB_LIBS) $(ZSTD_LIBS) -lpthread

cofdincludedir = $(includedir)/cofd
cofdinclude_HEADERS = \
	%D%/include/cofd/cofjson.h \
	%D%/include/cofd/dns.h \
	%D%/include/cofd/follow.h \
	%D%/include/cofd/host.h \
	%D%/include/cofd/json.h \
	%D%/include/cofd/observe.h \
	%D%/include/cofd/option.h \
	%D%/include/cofd/passivedns.h \
	%D%/include/cofd/plugin.h \
	%D%/include/cofd/query.h \
	%D%/include/cofd/record.h \
	%D%/include/cofd/result.h \
	%D%/include/cofd/secret.h \
	%D%/include/cofd/wire.h
pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = %D%/cofd-sdk.pc
EXTRA_DIST += %D%/LICENSE

# For those who write plugins: a macro for their configure.ac, the template, a host for unit tests.
aclocaldir = $(datadir)/aclocal
dist_aclocal_DATA = %D%/m4/cofd-sdk.m4
sdkdir = $(pkgdatadir)/sdk
dist_sdk_DATA = %D%/README.md %D%/tests/fakehost.c %D%/tests/fakehost.h
sdk_commondir = $(sdkdir)/template/common
dist_sdk_common_DATA = \
	%D%/template/common/configure.ac \
	%D%/template/common/Makefile.am \
	%D%/template/common/Makefile.simple \
	%D%/template/common/README.md
sdk_inputdir = $(sdkdir)/template/input
dist_sdk_input_DATA = \
	%D%/template/input/plugin.c \
	%D%/template/input/plugin.conf \
	%D%/template/input/sample.txt \
	%D%/template/input/test.sh
sdk_filterdir = $(sdkdir)/template/filter
dist_sdk_filter_DATA = \
	%D%/template/filter/plugin.c \
	%D%/template/filter/plugin.conf \
	%D%/template/filter/test.sh
sdk_storagedir = $(sdkdir)/template/storage
dist_sdk_storage_DATA = \
	%D%/template/storage/plugin.c \
	%D%/template/storage/plugin.conf \
	%D%/template/storage/test.sh
sdk_outputdir = $(sdkdir)/template/output
dist_sdk_output_DATA = \
	%D%/template/output/plugin.c \
	%D%/template/output/plugin.conf \
	%D%/template/output/test.sh

# The model that storages are compared with, by the conformance kit and by their own tests.
noinst_LTLIBRARIES += %D%/kit/libmodel.la
%C%_kit_libmodel_la_SOURCES = %D%/kit/model.c %D%/kit/model_private.h

include sdk/tests/local.mk

dist_man_MANS += %D%/cofd-plugin.3

# The layout that plugins rely on. `make abi-record` records a change that is on purpose.
EXTRA_DIST += %D%/abi/layout.py %D%/abi/x86_64.txt %D%/abi/test-abi.py
if HAVE_PYTHON3
TESTS += %D%/abi/test-abi.py
endif
abi-record:
	CC='$(CC)' $(PYTHON3) $(srcdir)/sdk/abi/layout.py record $(srcdir)/sdk/abi/x86_64.txt
.PHONY: abi-record
