# SPDX-License-Identifier: AGPL-3.0-or-later
plugins_input_LTLIBRARIES += %D%/dnstap.la

# What takes payloads apart, without a host: also for tests/fuzz.
DNSTAP_DIR = $(srcdir)/%D%
noinst_LTLIBRARIES += %D%/libdoor.la
%C%_libdoor_la_SOURCES = \
	%D%/door.c \
	%D%/door_private.h \
	%D%/frames.c \
	%D%/frames_private.h \
	%D%/message.c
nodist_%C%_libdoor_la_SOURCES = \
	%D%/dnstap.pb-c.c \
	%D%/dnstap.pb-c.h
%C%_libdoor_la_CPPFLAGS = $(AM_CPPFLAGS) -I%D% $(FSTRM_CFLAGS) $(PROTOBUF_C_CFLAGS)
%C%_libdoor_la_LIBADD = $(PLUGIN_LIBS) $(FSTRM_LIBS) $(PROTOBUF_C_LIBS)

dnstap_sources = \
	%D%/dnstap_private.h \
	%D%/files.c \
	%D%/intake.c \
	%D%/listen.c \
	%D%/peers.c \
	%D%/plugin.c \
	%D%/positions.c \
	%D%/positions_private.h
%C%_dnstap_la_SOURCES = $(dnstap_sources)
%C%_dnstap_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE $(FSTRM_CFLAGS)
%C%_dnstap_la_LDFLAGS = $(PLUGIN_LINK)
%C%_dnstap_la_LIBADD = %D%/libdoor.la $(PLUGIN_LIBS) -lpthread
dist_man_MANS += %D%/cofd-input-dnstap.5
EXTRA_DIST += %D%/plugin.m4 %D%/dnstap.proto

# Written by protoc-c from the field numbers in dnstap.proto.
BUILT_SOURCES += %D%/dnstap.pb-c.h
CLEANFILES += %D%/dnstap.pb-c.c %D%/dnstap.pb-c.h
%D%/dnstap.pb-c.c: %D%/dnstap.proto
	$(AM_V_GEN)$(MKDIR_P) %D% && $(PROTOC_C) --proto_path=$(srcdir)/%D% --c_out=%D% \
		$(srcdir)/%D%/dnstap.proto
%D%/dnstap.pb-c.h: %D%/dnstap.pb-c.c
	@test -f $@ || { rm -f %D%/dnstap.pb-c.c && $(MAKE) $(AM_MAKEFLAGS) %D%/dnstap.pb-c.c; }
$(%C%_libdoor_la_OBJECTS): %D%/dnstap.pb-c.h

if HAVE_CMOCKA
UNIT_TESTS += %D%/test-dnstap
%C%_test_dnstap_SOURCES = %D%/test-dnstap.c $(dnstap_sources)
%C%_test_dnstap_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I%D% -I$(top_srcdir)/sdk/tests \
	$(FSTRM_CFLAGS) $(PROTOBUF_C_CFLAGS)
%C%_test_dnstap_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_dnstap_LDADD = sdk/tests/libfakehost.la %D%/libdoor.la sdk/libcofd.la $(CMOCKA_LIBS) \
	-lpthread
$(%C%_test_dnstap_OBJECTS): %D%/dnstap.pb-c.h
endif
