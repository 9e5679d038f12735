# SPDX-License-Identifier: AGPL-3.0-or-later
plugins_output_LTLIBRARIES += %D%/cof-file.la
%C%_cof_file_la_SOURCES = \
	%D%/archive.c \
	%D%/archive_private.h \
	%D%/pack.c \
	%D%/part.c \
	%D%/plugin.c
%C%_cof_file_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(FEED_DIR)
%C%_cof_file_la_LDFLAGS = $(PLUGIN_LINK)
%C%_cof_file_la_LIBADD = $(FEED_LIBS) $(PLUGIN_LIBS) $(ZLIB_LIBS) $(ZSTD_LIBS) -lpthread
dist_man_MANS += %D%/cofd-output-cof-file.5
EXTRA_DIST += %D%/plugin.m4
