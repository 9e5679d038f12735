# SPDX-License-Identifier: AGPL-3.0-or-later
# How outputs write what was stored: built into each that does.
noinst_LTLIBRARIES += %D%/libfeed.la
%C%_libfeed_la_SOURCES = %D%/feed.c %D%/feed_private.h
FEED_DIR = $(top_srcdir)/plugins/common/feed
FEED_LIBS = plugins/common/feed/libfeed.la
