# SPDX-License-Identifier: AGPL-3.0-or-later
plugins_storage_LTLIBRARIES += %D%/redis.la
%C%_redis_la_SOURCES = %D%/plugin.c
%C%_redis_la_CPPFLAGS = $(REDISSTORE_CPPFLAGS)
%C%_redis_la_LDFLAGS = $(PLUGIN_LINK)
%C%_redis_la_LIBADD = $(REDISSTORE_LIBS)

dist_man_MANS += %D%/cofd-storage-redis.5
