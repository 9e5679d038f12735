# SPDX-License-Identifier: AGPL-3.0-or-later
# Fuzz targets: fuzz-NAME.c with LLVMFuzzerTestOneInput, seeds in corpus/NAME, perhaps NAME.dict.
# configure --enable-fuzzing (clang) links them with libFuzzer. Any other build links them with
# replay.c, and runs each over its seeds as a test.
FUZZ_TARGETS = \
	%D%/fuzz-api-params \
	%D%/fuzz-canon \
	%D%/fuzz-cof-ws \
	%D%/fuzz-cofread \
	%D%/fuzz-conf \
	%D%/fuzz-dnstap \
	%D%/fuzz-dnsdb-path \
	%D%/fuzz-feed-request \
	%D%/fuzz-http \
	%D%/fuzz-passivedns \
	%D%/fuzz-resp \
	%D%/fuzz-rest-guard \
	%D%/fuzz-rest-question \
	%D%/fuzz-rocksdb-decode \
	%D%/fuzz-suricata-eve \
	%D%/fuzz-zeek-dns
FUZZ_DICTS = \
	%D%/api-params.dict \
	%D%/canon.dict \
	%D%/cof-ws.dict \
	%D%/cofread.dict \
	%D%/conf.dict \
	%D%/dnsdb-path.dict \
	%D%/dnstap.dict \
	%D%/feed-request.dict \
	%D%/http.dict \
	%D%/passivedns.dict \
	%D%/resp.dict \
	%D%/rest-guard.dict \
	%D%/rest-question.dict \
	%D%/rocksdb-decode.dict \
	%D%/suricata-eve.dict \
	%D%/zeek-dns.dict
EXTRA_DIST += %D%/README.md %D%/corpus $(FUZZ_DICTS)

if FUZZING
noinst_PROGRAMS = $(FUZZ_TARGETS)
FUZZ_MAIN =
FUZZ_LINK = $(AM_LDFLAGS) -fsanitize=fuzzer
else
check_PROGRAMS += $(FUZZ_TARGETS)
TESTS += $(FUZZ_TARGETS)
FUZZ_MAIN = %D%/replay.c
FUZZ_LINK = $(AM_LDFLAGS)
endif

%C%_fuzz_api_params_SOURCES = %D%/fuzz-api-params.c $(FUZZ_MAIN)
%C%_fuzz_api_params_LDFLAGS = $(FUZZ_LINK)
%C%_fuzz_api_params_LDADD = plugins/output/rest/librest.la $(PLUGIN_LIBS)

%C%_fuzz_canon_SOURCES = %D%/fuzz-canon.c $(FUZZ_MAIN)
%C%_fuzz_canon_LDFLAGS = $(FUZZ_LINK)
%C%_fuzz_canon_LDADD = sdk/libcofd.la

%C%_fuzz_cof_ws_SOURCES = %D%/fuzz-cof-ws.c plugins/input/cof-ws/message.c $(FUZZ_MAIN)
%C%_fuzz_cof_ws_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/plugins/input/cof-ws -I$(SPLIT_DIR)
%C%_fuzz_cof_ws_LDFLAGS = $(FUZZ_LINK)
%C%_fuzz_cof_ws_LDADD = $(SPLIT_LIBS) sdk/libcofd.la

# With its own copy of the reader: the two scanners, which it compares, are not exported.
%C%_fuzz_cofread_SOURCES = %D%/fuzz-cofread.c $(FUZZ_MAIN) $(COFREAD_SOURCES)
%C%_fuzz_cofread_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
%C%_fuzz_cofread_LDFLAGS = $(FUZZ_LINK)
%C%_fuzz_cofread_LDADD = sdk/libcofd.la $(JANSSON_LIBS)

%C%_fuzz_conf_SOURCES = %D%/fuzz-conf.c $(FUZZ_MAIN)
%C%_fuzz_conf_LDFLAGS = $(FUZZ_LINK)
%C%_fuzz_conf_LDADD = core/libcore.la

# ldns reads the same rdata, to compare.
%C%_fuzz_dnstap_SOURCES = %D%/fuzz-dnstap.c $(FUZZ_MAIN)
%C%_fuzz_dnstap_CPPFLAGS = $(AM_CPPFLAGS) -I$(DNSTAP_DIR) $(FSTRM_CFLAGS) $(LDNS_CFLAGS)
%C%_fuzz_dnstap_LDFLAGS = $(FUZZ_LINK)
%C%_fuzz_dnstap_LDADD = plugins/input/dnstap/libdoor.la $(PLUGIN_LIBS) $(LDNS_LIBS)

%C%_fuzz_dnsdb_path_SOURCES = %D%/fuzz-dnsdb-path.c $(FUZZ_MAIN)
%C%_fuzz_dnsdb_path_CPPFLAGS = $(AM_CPPFLAGS) $(MICROHTTPD_CFLAGS)
%C%_fuzz_dnsdb_path_LDFLAGS = $(FUZZ_LINK)
%C%_fuzz_dnsdb_path_LDADD = plugins/output/rest/librest.la $(PLUGIN_LIBS)

%C%_fuzz_http_SOURCES = %D%/fuzz-http.c $(FUZZ_MAIN) plugins/output/rest/plugin.c \
	plugins/output/rest/tests/fake-host.c
%C%_fuzz_http_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/plugins/output/rest $(MICROHTTPD_CFLAGS) \
	$(IDN2_CFLAGS) $(GNUTLS_CFLAGS)
%C%_fuzz_http_LDFLAGS = $(FUZZ_LINK)
%C%_fuzz_http_LDADD = plugins/output/rest/librest.la $(PLUGIN_LIBS) -lpthread

%C%_fuzz_rest_guard_SOURCES = %D%/fuzz-rest-guard.c $(FUZZ_MAIN)
%C%_fuzz_rest_guard_LDFLAGS = $(FUZZ_LINK)
%C%_fuzz_rest_guard_LDADD = plugins/output/rest/librest.la $(PLUGIN_LIBS)

%C%_fuzz_rest_question_SOURCES = %D%/fuzz-rest-question.c $(FUZZ_MAIN)
%C%_fuzz_rest_question_LDFLAGS = $(FUZZ_LINK)
%C%_fuzz_rest_question_LDADD = plugins/output/rest/librest.la $(PLUGIN_LIBS)

%C%_fuzz_feed_request_SOURCES = %D%/fuzz-feed-request.c $(FUZZ_MAIN) \
	plugins/output/cof-ws/filter.c
%C%_fuzz_feed_request_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(FEED_DIR) $(LIBWEBSOCKETS_CFLAGS)
%C%_fuzz_feed_request_LDFLAGS = $(FUZZ_LINK)
%C%_fuzz_feed_request_LDADD = core/libcore.la sdk/libcofd.la

%C%_fuzz_passivedns_SOURCES = %D%/fuzz-passivedns.c $(FUZZ_MAIN)
%C%_fuzz_passivedns_LDFLAGS = $(FUZZ_LINK)
%C%_fuzz_passivedns_LDADD = sdk/libcofd.la

%C%_fuzz_resp_SOURCES = %D%/fuzz-resp.c $(FUZZ_MAIN)
%C%_fuzz_resp_LDFLAGS = $(FUZZ_LINK)
%C%_fuzz_resp_LDADD = $(RESP_LIBS) sdk/libcofd.la

%C%_fuzz_rocksdb_decode_SOURCES = %D%/fuzz-rocksdb-decode.c $(FUZZ_MAIN)
%C%_fuzz_rocksdb_decode_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/plugins/storage/rocksdb
%C%_fuzz_rocksdb_decode_LDFLAGS = $(FUZZ_LINK)
%C%_fuzz_rocksdb_decode_LDADD = plugins/storage/rocksdb/libstorage-rocksdb.la $(PLUGIN_LIBS)

%C%_fuzz_suricata_eve_SOURCES = %D%/fuzz-suricata-eve.c $(FUZZ_MAIN) \
	plugins/input/suricata-eve/eve.c
%C%_fuzz_suricata_eve_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/plugins/input/suricata-eve
%C%_fuzz_suricata_eve_LDFLAGS = $(FUZZ_LINK)
%C%_fuzz_suricata_eve_LDADD = sdk/libcofd.la

%C%_fuzz_zeek_dns_SOURCES = %D%/fuzz-zeek-dns.c $(FUZZ_MAIN) plugins/input/zeek-dns/zeek.c
%C%_fuzz_zeek_dns_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/plugins/input/zeek-dns
%C%_fuzz_zeek_dns_LDFLAGS = $(FUZZ_LINK)
%C%_fuzz_zeek_dns_LDADD = sdk/libcofd.la
