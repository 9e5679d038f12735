# SPDX-License-Identifier: AGPL-3.0-or-later
plugins_storage_LTLIBRARIES += %D%/kvrocks.la
%C%_kvrocks_la_SOURCES = %D%/plugin.c
%C%_kvrocks_la_CPPFLAGS = $(REDISSTORE_CPPFLAGS)
%C%_kvrocks_la_LDFLAGS = $(PLUGIN_LINK)
%C%_kvrocks_la_LIBADD = $(REDISSTORE_LIBS)

dist_man_MANS += %D%/cofd-storage-kvrocks.5
