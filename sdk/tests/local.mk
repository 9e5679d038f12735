# SPDX-License-Identifier: MIT
if HAVE_CMOCKA
# A host for the unit tests of plugins.
check_LTLIBRARIES += %D%/libfakehost.la
%C%_libfakehost_la_SOURCES = %D%/fakehost.c %D%/fakehost.h
%C%_libfakehost_la_LIBADD = sdk/libcofd.la -lpthread

UNIT_TESTS += %D%/test-addr
%C%_test_addr_SOURCES = %D%/test-addr.c
%C%_test_addr_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_addr_LDADD = sdk/libcofd.la $(CMOCKA_LIBS)
UNIT_TESTS += %D%/test-name
%C%_test_name_SOURCES = %D%/test-name.c
%C%_test_name_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_name_LDADD = sdk/libcofd.la $(CMOCKA_LIBS)
UNIT_TESTS += %D%/test-rdata
%C%_test_rdata_SOURCES = %D%/test-rdata.c
%C%_test_rdata_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_rdata_LDADD = sdk/libcofd.la $(CMOCKA_LIBS)
UNIT_TESTS += %D%/test-record
%C%_test_record_SOURCES = %D%/test-record.c
%C%_test_record_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_record_LDADD = sdk/libcofd.la $(CMOCKA_LIBS)
UNIT_TESTS += %D%/test-cofread
# With its own copy of the reader: the two scanners, which it compares, are not exported.
%C%_test_cofread_SOURCES = %D%/test-cofread.c $(COFREAD_SOURCES)
%C%_test_cofread_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
%C%_test_cofread_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_cofread_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=cof_batch_add_sized
%C%_test_cofread_LDADD = sdk/libcofd.la $(JANSSON_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += %D%/test-cofwrite
%C%_test_cofwrite_SOURCES = %D%/test-cofwrite.c
%C%_test_cofwrite_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_cofwrite_LDADD = sdk/libcofd.la $(CMOCKA_LIBS)

UNIT_TESTS += %D%/test-json
%C%_test_json_SOURCES = %D%/test-json.c
%C%_test_json_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_json_LDADD = sdk/libcofd.la $(CMOCKA_LIBS)

UNIT_TESTS += %D%/test-observe
%C%_test_observe_SOURCES = %D%/test-observe.c
%C%_test_observe_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_observe_LDADD = sdk/libcofd.la $(CMOCKA_LIBS)

UNIT_TESTS += %D%/test-passivedns
%C%_test_passivedns_SOURCES = %D%/test-passivedns.c
%C%_test_passivedns_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_passivedns_LDADD = sdk/libcofd.la $(CMOCKA_LIBS)

UNIT_TESTS += %D%/test-priority
%C%_test_priority_SOURCES = %D%/test-priority.c
%C%_test_priority_CPPFLAGS = $(AM_CPPFLAGS) -I$(PRIORITY_DIR)
%C%_test_priority_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_priority_LDADD = $(CMOCKA_LIBS) -lpthread

UNIT_TESTS += %D%/test-split
# With its own copy, as it is not exported.
%C%_test_split_SOURCES = %D%/test-split.c sdk/src/follow/split.c sdk/src/follow/split_private.h
%C%_test_split_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/sdk/src/follow
%C%_test_split_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_split_LDADD = $(CMOCKA_LIBS)

UNIT_TESTS += %D%/test-rrtype
%C%_test_rrtype_SOURCES = %D%/test-rrtype.c
%C%_test_rrtype_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_rrtype_LDADD = sdk/libcofd.la $(CMOCKA_LIBS)

UNIT_TESTS += %D%/test-wire
%C%_test_wire_SOURCES = %D%/test-wire.c
%C%_test_wire_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_wire_LDADD = sdk/libcofd.la $(CMOCKA_LIBS)
endif
