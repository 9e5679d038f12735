# SPDX-License-Identifier: AGPL-3.0-or-later
# What `./dev bench` measures with. Nothing of this is built by `make all`.
BENCH_TARGETS = %D%/floor-rocksdb %D%/floor-mhd %D%/bench-parse %D%/bench-canon \
	%D%/floor-hiredis %D%/floor-lws-client %D%/floor-read %D%/serve-ws
if HAVE_MTBL
BENCH_TARGETS += %D%/floor-mtbl
endif
BENCH_PLUGINS = %D%/storage/null.la
EXTRA_PROGRAMS += $(BENCH_TARGETS)
EXTRA_LTLIBRARIES += $(BENCH_PLUGINS)
CLEANFILES += $(BENCH_TARGETS) $(BENCH_PLUGINS)
EXTRA_DIST += %D%/bench.py %D%/benchlib.py %D%/bench_inputs.py %D%/bench_ingest.py %D%/bench_latency.py \
	%D%/bench_query.py %D%/bench_redis.py %D%/bench_websocket.py %D%/balboa.py %D%/gencof.py \
	%D%/README.md

# The floors stand for the libraries alone: nothing of cofd is linked.
%C%_floor_read_SOURCES = %D%/floor-read.c
%C%_floor_rocksdb_SOURCES = %D%/floor-rocksdb.c %D%/floor-line.h
%C%_floor_rocksdb_LDADD = $(ROCKSDB_LIBS)
%C%_floor_mtbl_SOURCES = %D%/floor-mtbl.c %D%/floor-line.h
%C%_floor_mtbl_CPPFLAGS = $(AM_CPPFLAGS) $(MTBL_CFLAGS)
%C%_floor_mtbl_LDADD = $(MTBL_LIBS)
%C%_floor_mhd_SOURCES = %D%/floor-mhd.c
%C%_floor_mhd_CPPFLAGS = $(AM_CPPFLAGS) $(MICROHTTPD_CFLAGS)
%C%_floor_mhd_LDADD = $(MICROHTTPD_LIBS)

%C%_bench_parse_SOURCES = %D%/bench-parse.c
%C%_bench_parse_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
%C%_bench_parse_LDADD = sdk/libcofd.la $(JANSSON_LIBS)
%C%_bench_canon_SOURCES = %D%/bench-canon.c
%C%_bench_canon_CPPFLAGS = $(AM_CPPFLAGS) $(LDNS_CFLAGS)
%C%_bench_canon_LDADD = sdk/libcofd.la $(LDNS_LIBS)

%C%_floor_hiredis_SOURCES = %D%/floor-hiredis.c
%C%_floor_hiredis_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
%C%_floor_hiredis_LDADD = $(HIREDIS_LIBS) $(JANSSON_LIBS)

%C%_floor_lws_client_SOURCES = %D%/floor-lws-client.c
%C%_floor_lws_client_CPPFLAGS = $(AM_CPPFLAGS) $(LIBWEBSOCKETS_CFLAGS)
%C%_floor_lws_client_LDADD = $(LIBWEBSOCKETS_LIBS)
%C%_serve_ws_SOURCES = %D%/serve-ws.c
%C%_serve_ws_CPPFLAGS = $(AM_CPPFLAGS) $(LIBWEBSOCKETS_CFLAGS)
%C%_serve_ws_LDADD = $(LIBWEBSOCKETS_LIBS)

# A place to install it makes it a shared object; it is never installed.
%C%_storage_null_la_SOURCES = %D%/storage/null.c
%C%_storage_null_la_LDFLAGS = $(PLUGIN_LINK) -rpath /nowhere
%C%_storage_null_la_LIBADD = $(PLUGIN_LIBS)

.PHONY: bench-programs
bench-programs: all $(BENCH_TARGETS) $(BENCH_PLUGINS)
